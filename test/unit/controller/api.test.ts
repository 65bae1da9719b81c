/** The REST API, in process over a real store, held against what it says of itself and what an operator may do. */
import { Validator } from '@seriousme/openapi-schema-validator';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { describe, expect, it } from 'vitest';
import { type RunningApi, useApi } from './apiWorld.ts';
import { branch, SMALL_FLEET } from './fixtures.ts';
import { Description } from './openapi.ts';

let running: RunningApi;
useApi((fresh) => {
  running = fresh;
});

/** Every schema of a description. */
function schemasOf(value: unknown): object[] {
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([key, inner]) => (key === 'schema' ? [inner] : schemasOf(inner)));
}

const putFleet = () => running.call('PUT', '/api/v1/fleet', SMALL_FLEET);

describe('the fleet', () => {
  it('is stored under a revision, told back, and announced', async () => {
    expect((await running.call('GET', '/api/v1/fleet')).status).toBe(404);
    const put = await putFleet();
    expect([put.status, put.etag]).toEqual([200, '"1"']);
    const got = await running.call('GET', '/api/v1/fleet');
    expect([got.json, got.etag]).toEqual([SMALL_FLEET, '"1"']);
    expect(running.changes.length).toBe(1);
  });

  it('is taken and given as TOML too', async () => {
    await putFleet();
    const toml = await running.call('GET', '/api/v1/fleet', undefined, { accept: 'application/toml' });
    expect(toml.text).toContain('[[gateways]]');
    const headers = { 'content-type': 'application/toml' };
    const put = await running.call('PUT', '/api/v1/fleet', toml.text, headers);
    expect([put.status, put.json, put.etag]).toEqual([200, SMALL_FLEET, '"1"']);
    const bad = await running.call('PUT', '/api/v1/fleet', 'x = = 1', headers);
    expect([bad.status, bad.json.code]).toEqual([400, 'model/invalid']);
  });

  it('is refused with every problem by path, and nothing changes', async () => {
    const [first, ...rest] = SMALL_FLEET.gateways;
    const bad = {
      ...SMALL_FLEET,
      gateways: [
        { ...first, vtep: '10.1.1.1' },
        ...rest,
        { ...branch('branch3', '10.255.0.13'), site: 'Bad Site' },
      ],
    };
    const answer = await running.call('PUT', '/api/v1/fleet', bad);
    expect(answer.status).toBe(400);
    expect(answer.json.problems.map((p: { path: string }) => p.path)).toContain('$.gateways[3].site');
    expect((await running.call('GET', '/api/v1/fleet')).status).toBe(404);
    expect(running.changes.length).toBe(0);
  });

  it('that moved on is a conflict', async () => {
    await putFleet();
    const other = { ...SMALL_FLEET, fleet: { ...SMALL_FLEET.fleet, name: 'other' } };
    await running.call('PUT', '/api/v1/fleet', other);
    const stale = await running.call('PUT', '/api/v1/fleet', SMALL_FLEET, { 'if-match': '"1"' });
    expect([stale.status, stale.json.code]).toEqual([412, 'controller/conflict']);
    const fresh = await running.call('PUT', '/api/v1/fleet', SMALL_FLEET, { 'if-match': '"2"' });
    expect([fresh.status, fresh.etag]).toEqual([200, '"3"']);
    const junk = await running.call('PUT', '/api/v1/fleet', SMALL_FLEET, { 'if-match': '3' });
    expect(junk.status).toBe(400);
  });

  it('is changed gateway by gateway', async () => {
    await putFleet();
    const made = await running.call('POST', '/api/v1/gateways', branch('branch3', '10.255.0.13'));
    expect([made.status, made.json.id, made.etag]).toEqual([201, 'branch3', '"2"']);
    expect((await running.call('POST', '/api/v1/gateways', branch('branch3', '10.255.0.13'))).status).toBe(
      409,
    );
    const moved = { ...branch('branch3', '10.255.0.13'), site: 'elsewhere' };
    expect((await running.call('PUT', '/api/v1/gateways/branch3', moved)).json.site).toBe('elsewhere');
    expect((await running.call('PUT', '/api/v1/gateways/other', moved)).status).toBe(400);
    expect((await running.call('GET', '/api/v1/gateways')).json.length).toBe(4);
    expect((await running.call('DELETE', '/api/v1/gateways/branch3')).status).toBe(204);
    expect((await running.call('GET', '/api/v1/gateways/branch3')).status).toBe(404);
    expect((await running.call('DELETE', '/api/v1/tenants/red')).json.problems[0].path).toBe(
      '$.segments[0].tenant',
    );
  });
});

describe('who may', () => {
  it('only the admin credential opens the API', async () => {
    const tries = ['', 'Bearer wrong', `Basic ${Buffer.from('admin:x').toString('base64')}`];
    for (const authorization of tries) {
      const answer = await running.call('GET', '/api/v1/fleet', undefined, { authorization });
      expect([answer.status, answer.json.code]).toEqual([401, 'controller/refused']);
    }
    expect((await running.call('GET', '/nowhere', undefined, { authorization: '' })).status).toBe(401);
  });

  it('health and the description are open', async () => {
    const none = { authorization: '' };
    expect((await running.call('GET', '/healthz', undefined, none)).json).toEqual({ ok: true, ailments: [] });
    running.ailments.push('the broker is down');
    running.away.push('the signer is away');
    expect(await running.call('GET', '/healthz', undefined, none)).toMatchObject({
      status: 503,
      json: { ok: false, ailments: ['the broker is down', 'the signer is away'] },
    });
    const described = (await running.call('GET', '/api/v1/openapi.json', undefined, none)).json;
    expect(described.openapi).toBe('3.1.0');
    expect(Object.keys(described.paths)).toEqual(
      expect.arrayContaining([
        '/api/v1/fleet',
        '/api/v1/tenants/{id}',
        '/api/v1/segments/{id}',
        '/api/v1/gateways/{id}/status',
        '/api/v1/gateways/{id}/events',
        '/api/v1/inventory/{serial}',
        '/api/v1/bundles',
        '/api/v1/status',
        '/healthz',
        '/domain.crl',
      ]),
    );
    expect(JSON.stringify(described.paths['/api/v1/fleet'].put.requestBody)).toContain('tunnelRange');
  });

  it('the description is one that a client can be made from', async () => {
    const described = (await running.call('GET', '/api/v1/openapi.json')).json;
    expect(Description.safeParse(described).error?.issues ?? []).toEqual([]);
    // Against the official meta-schema, too; which takes what the stricter one above does not.
    const official = new Validator();
    expect(await official.validate(described)).toEqual({ valid: true });
    expect(official.version).toBe('3.1');
    const { info: _info, ...without } = described;
    expect(await new Validator().validate(without)).toMatchObject({ valid: false });
    const ajv = new Ajv2020({ strict: false, validateFormats: false });
    for (const schema of schemasOf(described))
      expect(ajv.validateSchema(schema), ajv.errorsText()).toBe(true);
    const operations = Object.entries<Record<string, { operationId?: string }>>(described.paths).flatMap(
      ([path, methods]) =>
        Object.entries(methods).map(([method, { operationId }]) => ({ path, method, operationId })),
    );
    expect(operations.filter(({ operationId }) => operationId === undefined)).toEqual([]);
    const ids = operations.map(({ operationId }) => operationId);
    expect(new Set(ids).size).toBe(ids.length);
    expect(ids).toEqual(expect.arrayContaining(['listTenants', 'putGateway', 'uploadBundle', 'getHealth']));
    expect(described.paths['/api/v1/bundles'].post.requestBody).toEqual({
      required: true,
      content: { 'application/x-tar': {}, 'application/octet-stream': {} },
    });
    expect(described.paths['/api/v1/inventory/{serial}/activation'].post.requestBody.required).toBe(false);
    const statuses = (path: string, method: string) =>
      Object.keys(described.paths[path][method].responses).toSorted();
    expect(statuses('/api/v1/gateways/{id}', 'get')).toEqual(['200', '304', '401', '4XX', '5XX']);
    expect(statuses('/api/v1/gateways/{id}', 'put')).toEqual(['200', '401', '412', '415', '4XX', '5XX']);
    expect(statuses('/healthz', 'get')).toEqual(['200', '503']);
  });
});

describe('what cannot be answered', () => {
  const refused = (status: number, code: string) => ({
    status,
    json: { code, message: expect.any(String), problems: expect.any(Array) },
  });

  it('has one form, whoever refuses it', async () => {
    const { call } = running;
    expect(await call('GET', '/api/v1/tenants/%zz')).toMatchObject(refused(400, 'model/invalid'));
    const long = await call('GET', `/api/v1/tenants/${'x'.repeat(300)}`);
    expect(long).toMatchObject(refused(414, 'model/invalid'));
    expect(await call('PUT', '/api/v1/fleet', '{', { 'content-type': 'application/json' })).toMatchObject(
      refused(400, 'model/invalid'),
    );
    expect(await call('PUT', '/api/v1/fleet', 'x', { 'content-type': 'text/x' })).toMatchObject(
      refused(415, 'model/invalid'),
    );
    for (const { json } of [long, await call('GET', '/api/v1/nowhere')]) {
      expect(Object.keys(json).toSorted()).toEqual(['code', 'mend', 'message', 'problems']);
    }
  });

  it('about a gateway that there is not is 404, as is what one has not said yet', async () => {
    await putFleet();
    for (const what of ['status', 'desired', 'events']) {
      const answer = await running.call('GET', `/api/v1/gateways/nope/${what}`);
      expect(answer, what).toMatchObject(refused(404, 'controller/not-found'));
      expect(answer.json.message).toContain('no gateway is named nope');
      expect(answer.json.mend).toContain('GET /api/v1/gateways');
    }
    expect((await running.call('GET', '/api/v1/gateways/branch1/status')).json.message).toContain(
      'not reported',
    );
    expect((await running.call('GET', '/api/v1/gateways/branch1/events')).json).toEqual([]);
  });
});

it('the revocation list is open to whoever verifies, as RFC 2585 names it', async () => {
  const response = await running.call('GET', '/domain.crl', undefined, { authorization: '' });
  expect([response.status, response.headers['content-type'], response.text]).toEqual([
    200,
    'application/pkix-crl',
    'a list',
  ]);
});
