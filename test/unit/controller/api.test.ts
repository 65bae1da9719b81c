import { createHash } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openAdminCredential } from '../../../src/controller/adminCredential.ts';
import { createApi } from '../../../src/controller/api/server.ts';
import { openBundles } from '../../../src/controller/bundles.ts';
import { createFleetService } from '../../../src/controller/fleetService.ts';
import { openSqliteStore } from '../../../src/controller/store/sqlite.ts';
import { createFiles } from '../../../src/system/linux/files.ts';
import { createLogger } from '../../../src/system/linux/logger.ts';
import { branch, CONTROLLER, SMALL_FLEET } from './fixtures.ts';

const clock = { nowMs: () => 1_000, monotonicMs: () => 0, sleep: async () => undefined };

async function start(directory: string) {
  const store = openSqliteStore(':memory:');
  const log = createLogger({ name: 'test', write: () => undefined });
  const path = join(directory, 'admin.credential');
  const admin = await openAdminCredential({ store, files: createFiles(), path, log });
  const token = ((await createFiles().readText(path)) ?? '').trim();
  const changes: number[] = [];
  const bundles = await openBundles({ directory: join(directory, 'bundles'), maxBytes: 4096 });
  const fleet = createFleetService({
    store,
    controller: CONTROLLER,
    clock,
    onChange: () => changes.push(changes.length),
  });
  const ailments: string[] = [];
  const resets: string[] = [];
  const orders = {
    factoryReset: async (gatewayId: string, actor: string) => {
      resets.push(`${gatewayId} by ${actor}`);
      return 'resetting to factory state';
    },
  };
  const context = { store, fleet, bundles, orders, clock };
  const api = await createApi({ context, admin, tls: {}, log, ailments: () => ailments });
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
  return { api, call, store, changes, ailments, resets };
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
    expect((await running.call('GET', '/healthz', undefined, none)).status).toBe(503);
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
      ]),
    );
    expect(JSON.stringify(described.paths['/api/v1/fleet'].put.requestBody)).toContain('tunnelRange');
  });
});

describe('the inventory', () => {
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
