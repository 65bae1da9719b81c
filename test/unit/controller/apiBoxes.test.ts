/** The REST API of boxes: the inventory, what is kept of their events, and what can be ordered of them. */
import { beforeEach, describe, expect, it } from 'vitest';
import { type RunningApi, useApi } from './apiWorld.ts';
import { SMALL_FLEET } from './fixtures.ts';

let running: RunningApi;
useApi((fresh) => {
  running = fresh;
});

const putFleet = () => running.call('PUT', '/api/v1/fleet', SMALL_FLEET);

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
    await running.call('DELETE', '/api/v1/gateways/branch2');
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
