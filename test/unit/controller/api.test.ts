/** The REST API, in process over a real store, held against what it says of itself and what an operator may do. */
import { Ajv2020 } from 'ajv/dist/2020.js';
import { beforeEach, describe, expect, it } from 'vitest';
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
    expect([put.status, put.json, put.etag]).toEqual([200, SMALL_FLEET, '"2"']);
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
    await putFleet();
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

describe('the inventory', () => {
  it('has the certificates of a box that is revoked, taken back or forgotten looked at', async () => {
    await running.call('POST', '/api/v1/inventory', { serial: 'SN-branch1' });
    expect(running.triggered).toHaveLength(0);
    for (const revoked of [true, false]) {
      await running.call('PATCH', '/api/v1/inventory/SN-branch1', { revoked });
    }
    await running.call('DELETE', '/api/v1/inventory/SN-branch1');
    expect(running.triggered).toHaveLength(3);
  });

  it('knows serials, once each', async () => {
    const added = await running.call('POST', '/api/v1/inventory', { serial: 'SN-branch1' });
    expect([added.status, added.json.state, added.json.approved]).toEqual([201, 'expected', true]);
    expect((await running.call('POST', '/api/v1/inventory', { serial: 'SN-branch1' })).status).toBe(409);
    const held = await running.call('PATCH', '/api/v1/inventory/SN-branch1', { approved: false });
    expect(held.json.approved).toBe(false);
    expect((await running.call('PATCH', '/api/v1/inventory/SN-none', {})).status).toBe(404);
    for (const serial of ['S 1/../x', '../x', 'a\nb', '', '-x'])
      expect((await running.call('POST', '/api/v1/inventory', { serial })).status, serial).toBe(400);
    expect((await running.call('PATCH', '/api/v1/inventory/SN-branch1', { state: 'x' })).status).toBe(400);
  });

  it('is not touched by a change of nothing', async () => {
    const added = await running.call('POST', '/api/v1/inventory', { serial: 'SN-branch1' });
    const audited = async () => (await running.call('GET', '/api/v1/audit')).json.length;
    const before = await audited();
    const same = await running.call('PATCH', '/api/v1/inventory/SN-branch1', {});
    expect([same.status, same.json]).toEqual([200, added.json]);
    expect([await audited(), running.triggered.length]).toEqual([before, 0]);
  });

  it('binds the first key of a serial and no other', async () => {
    const { inventory } = running.store;
    await inventory.add('SN-1', { approved: true }, 1);
    const identity = { issuerKeyId: 'aa', spkiSha256: '11' };
    expect(await inventory.bind('SN-1', identity, 2)).toBe(true);
    expect(await inventory.bind('SN-1', { ...identity, spkiSha256: '22' }, 3)).toBe(false);
    expect(await inventory.bind('SN-1', identity, 4)).toBe(true);
    await inventory.quarantine('SN-1', '22', 'another key', 3);
    expect(await inventory.get('SN-1')).toMatchObject({
      identity: { spkiSha256: '11', boundAtMs: 2 },
      quarantined: [{ spkiSha256: '22' }],
    });
  });
});

describe('what is kept of events', () => {
  const event = (n: number) => ({
    id: `b/${n}`,
    atMs: n,
    kind: 'agent-started' as const,
    subject: 'a',
    sentence: 's',
  });
  const pageOf = async (path: string, query: string): Promise<{ id: string; number: number }[]> =>
    (await running.call('GET', `/api/v1/${path}?${query}`)).json;
  beforeEach(async () => {
    await putFleet();
    const { gateways } = running.store;
    await gateways.addEvents('branch1', [1, 2, 3].map(event), 1);
    await gateways.addEvents('branch2', [event(1)], 2);
    await gateways.addEvents('branch1', [4, 5, 6, 7].map(event), 3);
  });

  it('is read to its last, forwards', async () => {
    const seen: string[] = [];
    for (
      let after = 0, page = await pageOf('gateways/branch1/events', 'limit=3&after=0');
      page.length > 0;
    ) {
      seen.push(...page.map(({ id }) => id));
      after = page.at(-1)?.number ?? after;
      page = await pageOf('gateways/branch1/events', `limit=3&after=${after}`);
    }
    expect(seen).toEqual([1, 2, 3, 4, 5, 6, 7].map((n) => `b/${n}`));
  });

  it('is read to its first, from the last', async () => {
    const last = await pageOf('events', 'limit=3');
    expect(last.map(({ id }) => id)).toEqual(['b/5', 'b/6', 'b/7']);
    const earlier = await pageOf('events', `limit=3&before=${last[0]?.number}`);
    expect(earlier.map(({ id }) => id)).toEqual(['b/3', 'b/1', 'b/4']);
    const none = await pageOf(
      'events',
      `before=${earlier[0]?.number}&after=${(earlier[0]?.number ?? 0) - 1}`,
    );
    expect(none).toEqual([]);
    expect((await running.call('GET', '/api/v1/events?after=-1')).status).toBe(400);
  });

  it('is so for the audit log too', async () => {
    await putFleet();
    const [first, second] = await pageOf('audit', 'limit=2');
    expect(await pageOf('audit', `before=${second?.number}`)).toEqual([first]);
    expect(await pageOf('audit', `after=${first?.number}`)).toEqual([second]);
  });
});

describe('a factory reset', () => {
  it('is ordered only where the gateway is named twice', async () => {
    const path = '/api/v1/gateways/branch1/factory-reset';
    expect((await running.call('POST', path, { confirm: 'branch2' })).status).toBe(400);
    expect((await running.call('POST', path, {})).status).toBe(400);
    expect(running.resets).toEqual([]);
    const done = await running.call('POST', path, { confirm: 'branch1' });
    expect(done).toMatchObject({ status: 200, json: { message: 'resetting to factory state' } });
    expect(running.resets).toEqual(['branch1 by admin']);
  });
});

describe('uplink tests', () => {
  it('are ordered of gateways of the fleet, within caps, and their reports can be read', async () => {
    const path = '/api/v1/gateways/branch1';
    const reports = `${path}/uplink-reports`;
    expect((await running.call('POST', '/api/v1/gateways/nobody/uplink-tests', {})).status).toBe(404);
    expect((await running.call('GET', '/api/v1/gateways/nobody/uplink-reports')).status).toBe(404);
    await putFleet();
    expect((await running.call('POST', `${path}/uplink-tests`, { budgetBytes: 1 })).status).toBe(400);
    expect(await running.call('POST', `${path}/uplink-tests`, { uplink: 'lte' })).toMatchObject({
      status: 200,
      json: { message: 'testing; the report follows' },
    });
    expect(running.resets).toEqual(['branch1 tests lte for admin']);
    expect(await running.call('GET', reports)).toMatchObject({ status: 200, json: [] });
    const report = {
      schema: 1,
      id: 'r1',
      occasion: 'ordered',
      serial: 'SN-1',
      startedAtMs: 1,
      endedAtMs: 2,
    } as const;
    await running.store.uplinkReports.add('branch1', { ...report, verdict: 'pass', uplinks: [] }, 7);
    expect(await running.call('GET', reports)).toMatchObject({
      json: [{ receivedAtMs: 7, report: { id: 'r1' } }],
    });
  });
});
