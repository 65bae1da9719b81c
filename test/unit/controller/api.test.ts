/** The REST API, in process over a real store, held against what it says of itself and what an operator may do. */
import { createHash } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openAdminCredential } from '../../../src/controller/adminCredential.ts';
import { createApi } from '../../../src/controller/api/server.ts';
import { openBlobs } from '../../../src/controller/blobs.ts';
import { createFirmwareStore } from '../../../src/controller/firmware.ts';
import { createFleetService } from '../../../src/controller/fleetService.ts';
import { openSqliteStore } from '../../../src/controller/store/sqlite.ts';
import { createFiles } from '../../../src/system/linux/files.ts';
import { createLogger } from '../../../src/system/linux/logger.ts';
import { signJws } from '../../../src/pki/jws.ts';
import { makeVersion } from '../../fakes/firmwareDisk.ts';
import { issue, makeCa, NOW_MS } from '../pki/domain.ts';
import { branch, CONTROLLER, SMALL_FLEET } from './fixtures.ts';

const RELEASE = (() => {
  const ca = makeCa('Release CA');
  return { ca, key: issue(ca, { kind: 'firmware-signing', commonName: 'release' }) };
})();
const clock = { nowMs: () => 1_000, monotonicMs: () => 0, sleep: async () => undefined };

async function start(directory: string) {
  const store = openSqliteStore(':memory:');
  const log = createLogger({ name: 'test', write: () => undefined });
  const path = join(directory, 'admin.credential');
  const admin = await openAdminCredential({ store, files: createFiles(), path, log });
  const token = ((await createFiles().readText(path)) ?? '').trim();
  const changes: number[] = [];
  const kept = { maxBytes: 4096, suffix: '.tar', what: 'the bundle' };
  const bundles = await openBlobs({ ...kept, directory: join(directory, 'bundles') });
  const firmware = createFirmwareStore({
    store: store.firmware,
    blobs: await openBlobs({ ...kept, directory: join(directory, 'firmware') }),
    anchors: [RELEASE.ca.certificate],
    clock,
  });
  const fleet = createFleetService({
    store,
    controller: CONTROLLER,
    firmware: firmware.offered,
    clock,
    onChange: () => changes.push(changes.length),
  });
  const ailments: string[] = [];
  const triggered: number[] = [];
  const revocations = {
    list: { der: Buffer.from('a list'), pem: '' },
    trigger: () => void triggered.push(triggered.length),
  };
  const resets: string[] = [];
  const orders = {
    factoryReset: async (gatewayId: string, actor: string) => {
      resets.push(`${gatewayId} by ${actor}`);
      return 'resetting to factory state';
    },
  };
  const context = { store, fleet, bundles, firmware, orders, revocations, clock };
  const away: string[] = [];
  const api = await createApi({
    context,
    admin,
    tls: {},
    log,
    ailments: () => ailments,
    peersAway: async () => away,
  });
  await api.ready();
  const call = async (
    method: 'GET' | 'PUT' | 'POST' | 'PATCH' | 'DELETE',
    url: string,
    body?: unknown,
    headers: Record<string, string> = {},
  ) => {
    const response = await api.inject({
      method,
      url,
      headers: { authorization: `Bearer ${token}`, ...headers },
      ...(body === undefined
        ? {}
        : { payload: typeof body === 'string' || Buffer.isBuffer(body) ? body : Object(body) }),
    });
    const text = response.body;
    return {
      status: response.statusCode,
      etag: response.headers.etag,
      text,
      json:
        response.headers['content-type']?.toString().includes('json') === true ? JSON.parse(text) : undefined,
    };
  };
  return { api, call, store, changes, ailments, away, resets, triggered };
}

let directory: string;
let running: Awaited<ReturnType<typeof start>>;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'bbt-controller-'));
  running = await start(directory);
});
afterEach(async () => {
  await running.api.close();
  await rm(directory, { recursive: true, force: true });
});

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
    const junk = await running.call('PUT', '/api/v1/fleet', SMALL_FLEET, { 'if-match': 'W/"x"' });
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
    const operations = Object.entries<Record<string, { operationId?: string }>>(described.paths).flatMap(
      ([path, methods]) =>
        Object.entries(methods).map(([method, { operationId }]) => ({ path, method, operationId })),
    );
    expect(operations.filter(({ operationId }) => operationId === undefined)).toEqual([]);
    const ids = operations.map(({ operationId }) => operationId);
    expect(new Set(ids).size).toBe(ids.length);
    expect(ids).toEqual(expect.arrayContaining(['listTenants', 'putGateway', 'uploadBundle', 'getHealth']));
    const binary = { schema: { type: 'string', format: 'binary' } };
    expect(described.paths['/api/v1/bundles'].post.requestBody).toEqual({
      required: true,
      content: { 'application/x-tar': binary, 'application/octet-stream': binary },
    });
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
  const response = await running.api.inject({ method: 'GET', url: '/domain.crl' });
  expect([response.statusCode, response.headers['content-type'], response.body]).toEqual([
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
    expect((await running.call('PATCH', '/api/v1/inventory/SN-branch1', { state: 'x' })).status).toBe(400);
  });

  it('binds the first key of a serial and no other', async () => {
    const { inventory } = running.store;
    await inventory.add('SN-1', undefined, true, 1);
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

describe('a bundle', () => {
  const content = Buffer.from('an archive');
  const sha256 = createHash('sha256').update(content).digest('hex');
  const tar = { 'content-type': 'application/x-tar' };

  it('is taken in by its digest', async () => {
    const taken = await running.call('POST', `/api/v1/bundles?sha256=${sha256}`, content, tar);
    expect([taken.status, taken.json]).toEqual([201, { sha256, sizeBytes: content.length }]);
    expect((await running.call('GET', '/api/v1/bundles')).json).toEqual([
      { sha256, sizeBytes: content.length },
    ]);
  });

  it('of another digest, too large or empty is refused and leaves nothing', async () => {
    const other = await running.call('POST', `/api/v1/bundles?sha256=${'0'.repeat(64)}`, content, tar);
    expect(other.json.message).toContain('SHA-256');
    expect((await running.call('POST', '/api/v1/bundles', Buffer.alloc(5000), tar)).status).toBe(400);
    expect((await running.call('POST', '/api/v1/bundles', {}, {})).status).toBe(400);
    expect(await createFiles().list(join(directory, 'bundles'))).toEqual([]);
  });
});

describe('a firmware version', () => {
  const version = makeVersion('1.1.0', { builtAtMs: NOW_MS });
  const { manifest } = version.target;
  const sign = (what: object, by = RELEASE.key): string => signJws(Buffer.from(JSON.stringify(what)), by);
  const jose = { 'content-type': 'application/jose' };
  const stream = { 'content-type': 'application/octet-stream' };
  const register = (jws: string) => running.call('POST', '/api/v1/firmware', jws, jose);
  const upload = (sha256: string, bytes: Buffer) =>
    running.call('POST', `/api/v1/firmware/parts?sha256=${sha256}`, bytes, stream);
  const wanting = (firmware: object) => ({
    ...SMALL_FLEET,
    fleet: { ...SMALL_FLEET.fleet, firmware },
  });

  it('is offered when all its parts are here, and wanted only then', async () => {
    const jws = sign(manifest);
    const registered = await register(jws);
    expect([registered.status, registered.json.missing.length]).toEqual([201, 3]);
    const early = await running.call('PUT', '/api/v1/fleet', wanting({ version: '1.1.0' }));
    expect([early.status, early.json.problems[0].path]).toEqual([400, '$.fleet.firmware.version']);
    for (const { role, sha256 } of manifest.parts) {
      expect((await upload(sha256, version.bytes[role])).status).toBe(201);
    }
    expect((await running.call('GET', '/api/v1/firmware')).json).toMatchObject([
      { version: '1.1.0', missing: [] },
    ]);
    const window = { start: '01:00', end: '04:00' };
    expect((await running.call('PUT', '/api/v1/fleet', wanting({ version: '1.1.0', window }))).status).toBe(
      200,
    );
    const kept = await running.call('DELETE', '/api/v1/firmware/1.1.0');
    expect([kept.status, kept.json.code]).toEqual([409, 'controller/conflict']);
    await putFleet();
    expect((await running.call('DELETE', '/api/v1/firmware/1.1.0')).status).toBe(204);
    expect(await createFiles().list(join(directory, 'firmware'))).toEqual([]);
  });

  it.each<[string, () => string]>([
    [
      'by nobody that is trusted',
      () => sign(manifest, issue(makeCa(), { kind: 'firmware-signing', commonName: 'x' })),
    ],
    [
      'by a key for other things',
      () => sign(manifest, issue(RELEASE.ca, { kind: 'owner', commonName: 'x' })),
    ],
    ['over something else', () => sign({ hello: 1 })],
    ['not at all', () => 'no.jws'],
  ])('signed %s is not taken', async (_, jws) => {
    const answer = await register(jws());
    expect([answer.status, answer.json.code]).toEqual([400, 'model/invalid']);
    expect((await running.call('GET', '/api/v1/firmware')).json).toEqual([]);
  });

  it('takes no part that it does not name, and no other bytes than its own', async () => {
    const [root] = manifest.parts;
    const sha256 = root?.sha256 ?? '';
    expect((await upload(sha256, version.bytes.root)).status).toBe(404);
    await register(sign(manifest));
    expect((await upload('0'.repeat(64), version.bytes.root)).status).toBe(404);
    expect((await upload(sha256, version.bytes.verity)).json.message).toContain('SHA-256');
    expect(
      (await upload(sha256, Buffer.concat([version.bytes.root, Buffer.from('x')]))).json.message,
    ).toContain('at most');
    expect((await running.call('GET', '/api/v1/firmware')).json[0].missing.length).toBe(3);
  });

  it('is one content: another build of that name is a conflict', async () => {
    await register(sign(manifest));
    const other = await register(sign({ ...manifest, rootHash: 'e'.repeat(64) }));
    expect([other.status, other.json.code]).toEqual([409, 'controller/conflict']);
    expect((await register(sign(manifest))).status).toBe(201);
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
