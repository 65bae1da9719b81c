/** A controller over a fleet that an earlier version stored and that breaks a rule of this one. */
import { parse as parseToml } from 'smol-toml';
import { beforeEach, describe, expect, it } from 'vitest';
import { NO_ALLOCATIONS } from '../../../src/controller/allocations.ts';
import type { Fleet } from '../../../src/model/fleet.ts';
import { type RunningApi, useApi } from './apiWorld.ts';
import { RED, SMALL_FLEET } from './fixtures.ts';
import { createPublishing } from './publishingWorld.ts';
import { statusWith } from './statusFixture.ts';

/** An uplink of no family, which was no problem before there was IPv6. */
const BROKEN: Fleet = {
  ...SMALL_FLEET,
  gateways: SMALL_FLEET.gateways.map((gateway) =>
    gateway.id === 'branch1'
      ? { ...gateway, uplinks: gateway.uplinks.map((uplink) => ({ ...uplink, ipv4: 'none' as const })) }
      : gateway,
  ),
};

describe('a stored fleet that breaks a newer rule', () => {
  let running: RunningApi;
  useApi((fresh) => {
    running = fresh;
  });
  beforeEach(() => running.store.fleet.replace({ fleet: BROKEN, allocations: NO_ALLOCATIONS }, 0, 1));

  it('is said to be one, with every problem by path', async () => {
    const answer = await running.call('GET', '/api/v1/fleet');
    expect([answer.status, answer.json.code]).toEqual([409, 'controller/conflict']);
    expect(answer.json.mend).toContain('fleet apply');
    expect(answer.json.problems.map(({ path }: { path: string }) => path)).toEqual([
      '$.gateways[1].uplinks[0].ipv4',
      '$.gateways[1].uplinks[1].ipv4',
      '$.gateways[1].uplinks',
    ]);
  });

  it('is shown as it is stored, to be corrected and sent back', async () => {
    const json = await running.call('GET', '/api/v1/fleet');
    expect([json.json.stored, json.etag]).toEqual([BROKEN, '"1"']);
    const toml = await running.call('GET', '/api/v1/fleet', undefined, { accept: 'application/toml' });
    expect([toml.status, toml.etag, toml.headers['vary']]).toEqual([409, '"1-toml"', 'Accept']);
    expect(toml.text).toMatch(
      /^# the fleet was stored by an earlier version .*\n# \$\.gateways\[1\]\.uplinks\[0\]/,
    );
    expect(parseToml(toml.text)).toEqual(JSON.parse(JSON.stringify(BROKEN)));
    const head = await running.call('HEAD', '/api/v1/fleet');
    expect([head.status, head.etag, head.text]).toEqual([409, '"1"', '']);
    const mended = toml.text.replaceAll('ipv4 = "none"\n', '');
    const headers = { 'content-type': 'application/toml', 'if-match': '"1-toml"' };
    const put = await running.call('PUT', '/api/v1/fleet', mended, headers);
    expect([put.status, put.etag, put.json]).toEqual([200, '"2"', SMALL_FLEET]);
  });

  it('may say anything of itself: fields and lines that no version knew', async () => {
    const odd = { ...BROKEN, later: { 'with\nlines': ['\u0000'] } };
    await running.store.fleet.replace({ fleet: odd, allocations: NO_ALLOCATIONS }, 1, 1);
    expect((await running.call('GET', '/api/v1/fleet')).json.stored).toEqual(odd);
    const toml = await running.call('GET', '/api/v1/fleet', undefined, { accept: 'application/toml' });
    expect(parseToml(toml.text)).toEqual(JSON.parse(JSON.stringify(odd)));
  });

  it('cannot be changed in parts, and is replaced by a whole one that holds', async () => {
    const part = await running.call('POST', '/api/v1/segments', { ...RED, id: 'red-two', vni: 10_011 });
    expect(part.status).toBe(409);
    expect((await running.call('PUT', '/api/v1/fleet', BROKEN)).status).toBe(400);
    const moved = await running.call('PUT', '/api/v1/fleet', SMALL_FLEET, { 'if-match': '"7"' });
    expect(moved.status).toBe(412);
    const whole = await running.call('PUT', '/api/v1/fleet', SMALL_FLEET, { 'if-match': '"1"' });
    expect([whole.status, whole.etag]).toEqual([200, '"2"']);
    expect((await running.call('GET', '/api/v1/fleet')).json).toEqual(SMALL_FLEET);
  });
});

describe('its boxes', () => {
  it('stay who they are and are heard; none is told anything, until the fleet is mended', async () => {
    const world = await createPublishing();
    await world.round();
    await world.store.fleet.replace({ fleet: BROKEN, allocations: NO_ALLOCATIONS }, 1, 1);
    await world.say('branchbox/v1/gw/branch1/status', statusWith('branch1', { sequence: 1, seed: 7 }));
    expect((await world.store.gateways.status('branch1'))?.status.gatewayId).toBe('branch1');
    expect(await world.round()).toEqual([]);
    expect(world.fleet.ailment).toContain('$.gateways[1].uplinks[0].ipv4 is none');
    expect(await world.store.gateways.allDesired()).toHaveLength(3);
    const mended = { ...SMALL_FLEET, fleet: { ...SMALL_FLEET.fleet, tenantMtu: 1300 } };
    await world.fleet.change({ actor: 'test', subject: 'fleet', next: { replace: () => mended } });
    expect(await world.round()).toContain('branchbox/v1/gw/branch1/desired');
    expect(world.fleet.ailment).toBeUndefined();
  });
});
