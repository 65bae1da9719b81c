/** Owns a branch with its leases and what it may be told, for tests of what the underlay renders. Does not own any test. */
import type { DesiredSpec } from '../../../src/model/desired.ts';
import type { NetItem } from '../../../src/net/items.ts';
import { factsOf, specOf } from '../../lab/wan/fleet.ts';

export const KEYS = {
  hub: 'AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=',
  branch1: 'BBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBA=',
  branch2: 'CCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCA=',
};
export const facts = factsOf(KEYS.branch1);
export const lease = {
  ifname: 'wan1',
  address: '198.51.100.130/24',
  gateway: '198.51.100.1',
  dns: [],
  bootstrapServers: [],
};
export const session1 = {
  ...lease,
  ifname: 'ppp-wan1',
  address: '203.0.113.50/32',
  gateway: '10.0.0.1',
};
export const byDhcp = (): DesiredSpec => {
  const spec = specOf('branch1', KEYS);
  return { ...spec, uplinks: spec.uplinks.map((u) => ({ ...u, addressing: { kind: 'dhcp' } })) };
};
export const lease6 = {
  ifname: 'wan1',
  address: '2001:db8:1::7/64',
  gateway: 'fe80::1',
  dns: [],
  bootstrapServers: [],
};
export const inBoth = (): DesiredSpec => {
  const spec = byDhcp();
  return { ...spec, uplinks: spec.uplinks.map((u) => ({ ...u, addressing6: { kind: 'auto' } })) };
};
/** The first uplink has IPv6 alone, and its tunnels go over that. */
export const firstOverIpv6 = (addressing6: DesiredSpec['uplinks'][number]['addressing6']): DesiredSpec => {
  const spec = byDhcp();
  return {
    ...spec,
    uplinks: spec.uplinks.map((u, i) => (i === 0 ? { ...u, addressing: { kind: 'none' }, addressing6 } : u)),
    tunnels: spec.tunnels.map((tunnel) =>
      tunnel.uplink !== 'internet'
        ? tunnel
        : {
            ...tunnel,
            peers: tunnel.peers.map((peer) => ({
              ...peer,
              endpoint: { address: '2001:db8:a::20', port: 51_821 },
            })),
          },
    ),
  };
};
export const kinds = <K extends NetItem['kind']>(items: readonly NetItem[], kind: K) =>
  items.filter((item): item is Extract<NetItem, { kind: K }> => item.kind === kind);
