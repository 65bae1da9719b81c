/** Which uplinks the box's own connections take, in which order, and which links those go by. */
import { describe, expect, it } from 'vitest';
import { linksOfUplinks, rankUplinks } from '../../../src/agent/uplinkChoice.ts';
import { type Facts, KERNEL_FEATURES } from '../../../src/model/facts.ts';
import { pppoeOf, vlanOf } from '../../../src/model/ids.ts';
import { desired } from './signedState.ts';

const facts: Facts = {
  serial: 'S1',
  model: 'test',
  version: '0',
  bootId: 'b',
  kernel: {
    release: '6',
    features: Object.fromEntries(KERNEL_FEATURES.map((name) => [name, true])) as Facts['kernel']['features'],
  },
  ports: [
    { label: 'wan1', role: 'wan', ifname: 'wan1', carrier: true },
    { label: 'wan2', role: 'wan', ifname: 'wan2', carrier: true },
  ],
  leases6: [],
  leases: [
    { ifname: 'wan1', address: '198.51.100.7/24', gateway: '198.51.100.1', dns: [], bootstrapServers: [] },
    { ifname: 'wan2', address: '100.64.0.7/16', gateway: '100.64.0.1', dns: [], bootstrapServers: [] },
  ],
  wireguardPublicKey: `${'A'.repeat(42)}A=`,
};

describe('choice of uplink for the box itself', () => {
  const base = desired(1).spec;
  const internet = base.uplinks[0] ?? expect.unreachable();
  const uplinks = [internet, { ...internet, name: 'lte', slot: 2, port: 'wan2', metered: true }];
  const state = (name: string, ifname: string, state: 'up' | 'down') =>
    ({ name, port: ifname, ifname, carrier: true, state }) as const;
  const order = (states: Parameters<typeof rankUplinks>[2], spec = { ...base, uplinks }) =>
    rankUplinks(spec, facts, states).map(({ ifname, alive }) => `${ifname}${alive ? '' : ' dark'}`);

  it('takes the unmetered one first, and the living one before that', () => {
    expect(order([])).toEqual(['wan1', 'wan2']);
    expect(order([state('internet', 'wan1', 'down'), state('lte', 'wan2', 'up')])).toEqual([
      'wan2',
      'wan1 dark',
    ]);
    const swapped = uplinks.map((uplink) => ({ ...uplink, metered: uplink.name === 'internet' }));
    expect(order([], { ...base, uplinks: swapped })).toEqual(['wan2', 'wan1']);
  });

  it('goes by a port, what is on that, and no other link, be anything there or not', () => {
    const noPorts = { ...facts, ports: [], leases: [] };
    const lines = [
      internet,
      { ...internet, name: 'lte', port: 'wan2', vlan: 7, addressing: { kind: 'pppoe' as const } },
    ];
    expect(linksOfUplinks({ ...base, uplinks: lines }, facts)).toEqual(
      new Set(['wan1', 'wan2', vlanOf('wan2', 7), pppoeOf('wan2')]),
    );
    expect(linksOfUplinks({ ...base, uplinks }, noPorts)).toEqual(new Set(['wan1', 'wan2']));
    // Of the factory: each WAN port.
    expect(linksOfUplinks(undefined, facts)).toEqual(new Set(['wan1', 'wan2']));
  });

  it('takes IPv6 where there is no IPv4, and after every IPv4 where there is', () => {
    const six = (ifname: string) => ({
      ifname,
      address: `2001:db8:${ifname === 'wan1' ? 1 : 2}::7/64`,
      dns: [],
      bootstrapServers: [],
    });
    const both: Facts = { ...facts, leases6: [six('wan1'), six('wan2')] };
    const addresses = (all: readonly object[]) =>
      rankUplinks(
        { ...base, uplinks: uplinks.map((one, i) => ({ ...one, metered: false, ...all[i] })) },
        both,
        [],
      ).map(({ address }) => address);
    const auto = { addressing6: { kind: 'auto' } };
    expect(addresses([auto, auto])).toEqual(['198.51.100.7', '100.64.0.7', '2001:db8:1::7', '2001:db8:2::7']);
    expect(addresses([auto, { ...auto, metered: true }])[1]).toBe('2001:db8:1::7');
    expect(addresses([{ ...auto, addressing: { kind: 'none' } }, {}])).toEqual([
      '2001:db8:1::7',
      '100.64.0.7',
    ]);
    const static6 = { kind: 'static', address: '2001:db8:3::7/64', gateway: 'fe80::1', dns: [] };
    expect(addresses([{ addressing: { kind: 'none' }, addressing6: static6 }, {}])[0]).toBe('2001:db8:3::7');
    expect(rankUplinks(undefined, both, []).map(({ address }) => address)).toEqual([
      '198.51.100.7',
      '100.64.0.7',
      '2001:db8:1::7',
      '2001:db8:2::7',
    ]);
  });

  it("takes the line that a bootstrap medium names for the port's own", () => {
    const vlan = { ...facts.leases[0], ifname: 'wan1.7', address: '192.0.2.7/24' } as Facts['leases'][number];
    const network = { schema: 1, vlan: 7, addressing: { kind: 'dhcp' }, bootstrapServers: [] } as const;
    const found = rankUplinks(undefined, { ...facts, leases: [...facts.leases, vlan] }, [], {
      ...network,
      bootstrapServers: [],
    });
    expect(found.map(({ ifname, address }) => [ifname, address])).toEqual([
      ['wan1.7', '192.0.2.7'],
      ['wan2', '100.64.0.7'],
    ]);
  });

  it('takes every leased WAN port before there is a desired state', () => {
    expect(rankUplinks(undefined, facts, []).map(({ address }) => address)).toEqual([
      '198.51.100.7',
      '100.64.0.7',
    ]);
  });
});
