/** Status from what was read of a box, held against parts that are dark, missing, silent or of another shape. */
import { describe, expect, test } from 'vitest';
import type { DesiredSpec } from '../../../src/model/desired.ts';
import type { Facts } from '../../../src/model/facts.ts';
import { type ItemId, itemId } from '../../../src/model/ids.ts';
import { parseLiveness, parseSessions, parseVnis } from '../../../src/telemetry/frrState.ts';
import { parseHandshakes } from '../../../src/telemetry/read.ts';
import { type BoxReading, statusOf, type Undone } from '../../../src/telemetry/status.ts';
import { dark, facts, KEY, nothing, spec, verdict, well } from './twoUplinks.ts';

describe('status', () => {
  test('a box that is well is said to be', () => {
    const body = statusOf(spec, facts, well, nothing);
    expect(body.paths.map(({ uplink, state, active }) => [uplink, state, active])).toEqual([
      ['internet', 'up', true],
      ['lte', 'up', false],
    ]);
    expect(body.uplinks.map(({ state }) => state)).toEqual(['up', 'up']);
    expect(body.segments[0]).toMatchObject({ state: 'up', remoteVteps: ['10.255.0.12'] });
    expect(body.apps[0]).toMatchObject({ state: 'running' });
    expect(verdict(well)).toEqual([]);
  });

  test('a dark uplink with its carrier up is down, and the other carries', () => {
    const body = statusOf(spec, facts, dark, nothing);
    expect(body.uplinks.map(({ state }) => state)).toEqual(['down', 'up']);
    expect(body.paths.map(({ active }) => active)).toEqual([false, true]);
    expect(verdict(dark).map(({ code, subject }) => [code, subject])).toEqual([
      ['uplink-down', 'internet'],
      ['path-down', 'branch1.internet~hub.internet'],
    ]);
  });

  test('an uplink of IPv6 alone shows its addresses, and is down without one', () => {
    const [first, ...rest] = spec.uplinks;
    if (first === undefined) throw new Error('no uplink');
    const six: DesiredSpec = {
      ...spec,
      uplinks: [{ ...first, addressing: { kind: 'none' }, addressing6: { kind: 'auto' } }, ...rest],
    };
    const lease = {
      ifname: 'wan1',
      address: '2001:db8::7/64',
      gateway: 'fe80::1',
      dns: [],
      bootstrapServers: [],
    };
    const shown = (more: object) => statusOf(six, { ...facts, ...more }, well, nothing).uplinks[0];
    expect(shown({ leases6: [lease] })).toMatchObject({
      address6: '2001:db8::7/64',
      gateway6: 'fe80::1',
      state: 'up',
    });
    expect(shown({ leases6: [lease] })).not.toHaveProperty('address');
    expect(shown({})).toMatchObject({ state: 'down' });
    const body = statusOf(six, facts, well, nothing);
    const [found] = verdict(well, nothing, { spec: six, body });
    expect(found?.sentence).toContain("the provider's router advertises no IPv6 prefix");
  });

  test('a blocked link blocks its segment; a missing one is down', () => {
    const blocked = new Map<ItemId, ItemId[]>([
      [itemId('link', 'br-10010'), [itemId('external', 'kernel', 'bridge')]],
    ]);
    const states = (box: BoxReading, undone: Undone) =>
      statusOf(spec, facts, box, undone).segments.map(({ state }) => state);
    expect(states(well, { ...nothing, blocked })).toEqual(['blocked', 'up']);
    expect(states({ ...well, links: new Set(['br-10010', 'vx-10010']) }, nothing)).toEqual(['up', 'down']);
  });

  test('a port that is not there, or not in its bridge, leaves its segment degraded', () => {
    const wanted = { ...spec, ports: [{ port: 'lan1', segment: 'red' }] };
    const there: Facts = {
      ...facts,
      ports: [...facts.ports, { label: 'lan1', role: 'lan', ifname: 'enp3s0', carrier: false }],
    };
    const box = { ...well, links: new Set([...well.links, 'enp3s0']) };
    const failures = new Map([[itemId('link', 'enp3s0'), { message: 'busy' }]]);
    const blocked = new Map<ItemId, ItemId[]>([
      [itemId('link', 'enp3s0'), [itemId('external', 'port', 'lan1')]],
    ]);
    const red = (...given: [Facts, BoxReading, Undone]) => statusOf(wanted, ...given).segments[0];
    expect(red(there, box, nothing)).toMatchObject({ state: 'up', ports: ['lan1'], portsMissing: [] });
    const missing = { state: 'degraded', ports: ['lan1'], portsMissing: ['lan1'] };
    expect(red(facts, box, nothing)).toMatchObject(missing);
    expect(red(there, well, nothing)).toMatchObject(missing);
    expect(red(there, box, { ...nothing, failures })).toMatchObject(missing);
    expect(red(there, box, { ...nothing, blocked })).toMatchObject(missing);
    // What carries nothing is not called half well.
    expect(red(facts, { ...well, links: new Set() }, nothing)).toMatchObject({ ...missing, state: 'down' });
  });

  test('an app that runs without its attachment has failed', () => {
    const failures = new Map([[itemId('app-attachment', 'red-app'), { message: 'no bridge' }]]);
    expect(statusOf(spec, facts, well, { ...nothing, failures }).apps[0]?.state).toBe('failed');
  });
});

test('answers of another shape are unknown, not dead', () => {
  for (const answer of [undefined, null, 'x', { peers: 7 }, [{ peer: 1 }]]) {
    expect(parseLiveness(answer)).toBeUndefined();
  }
  expect(parseVnis(undefined)).toBeUndefined();
  expect(parseVnis({})).toEqual(new Map());
  expect(parseVnis([{ vni: 1, type: 'L2', numRemoteVteps: ['10.0.0.1'] }])?.get(1)).toEqual(['10.0.0.1']);
  expect(parseSessions([])).toBeUndefined();
});

test('a peer that never shook hands has no age', () => {
  expect([...parseHandshakes(`wg-a\t${KEY}\t0\nwg-b\t${KEY}\t17\n`)]).toEqual([[`wg-b ${KEY}`, 17]]);
});
