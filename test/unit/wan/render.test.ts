/** Owns the rules of the underlay's items that a golden case does not say out loud. */
import { describe, expect, it } from 'vitest';
import type { DesiredSpec } from '../../../src/model/desired.ts';
import { MANAGEMENT_TABLE, RULE_PREFERENCE } from '../../../src/model/ids.ts';
import { renderWan } from '../../../src/wan/render.ts';
import { specOf } from '../../lab/wan/fleet.ts';
import { KEYS, facts, lease, byDhcp, lease6, firstOverIpv6, kinds } from './branchCase.ts';

describe('renderWan', () => {
  it('gives every item an id of its own', () => {
    for (const gateway of ['hub', 'branch1'] as const) {
      const ids = renderWan(specOf(gateway, KEYS), facts).map((item) => item.id);
      expect(new Set(ids).size).toBe(ids.length);
    }
  });

  it('blocks the default routes of an uplink without a lease, and asks for no rule of an unknown address', () => {
    const items = renderWan(byDhcp(), { ...facts, leases: [lease] });
    const defaults = kinds(items, 'route').filter((item) => item.spec.destination === '0.0.0.0/0');
    const without = defaults.filter((item) => item.spec.dev === 'wan2');
    expect(without.map((item) => item.needs)).toEqual(
      without.map(() => ['link:wan2', 'external:lease/wan2']),
    );
    expect(without).toHaveLength(2);
    expect(kinds(items, 'rule').map((item) => item.spec.from)).toContain('198.51.100.130');
    expect(
      kinds(items, 'rule').filter((item) => item.spec.preference === RULE_PREFERENCE.uplinkSource + 2),
    ).toEqual([]);
  });

  it('ties every route of an uplink to its address, so that a lease that ends takes them along', () => {
    const items = renderWan(byDhcp(), { ...facts, leases: [lease] });
    const own = kinds(items, 'route').filter((item) => item.spec.dev === 'wan1');
    expect(own.map((item) => item.spec.source)).toEqual(own.map(() => '198.51.100.130'));
  });

  it('sends the box itself out by an unmetered uplink first', () => {
    const spec = specOf('branch1', KEYS);
    const metered = { ...spec, uplinks: spec.uplinks.map((u) => ({ ...u, metered: u.name === 'internet' })) };
    const order = kinds(renderWan(metered, facts), 'route')
      .filter((item) => item.spec.table === MANAGEMENT_TABLE)
      .sort((a, b) => a.spec.metric - b.spec.metric)
      .map((item) => item.spec.dev);
    expect(order).toEqual(['wan2', 'wan1']);
  });

  it('never routes overlay networks anywhere but main', () => {
    const rules = kinds(renderWan(specOf('branch1', KEYS), facts), 'rule').filter((item) => item.spec.to);
    expect(rules.map(({ spec }) => [spec.preference, spec.to, spec.action.kind])).toEqual([
      [1000, '10.255.0.0/16', 'lookup'],
      [1001, '10.255.0.0/16', 'unreachable'],
      [1010, '10.254.0.0/16', 'lookup'],
      [1011, '10.254.0.0/16', 'unreachable'],
    ]);
  });

  it('keeps a tunnel silent until its packets are pinned to the uplink', () => {
    const [first] = kinds(renderWan(specOf('branch1', KEYS), facts), 'wireguard');
    expect(first?.needs).toContain('rule:1101/mark-0x101');
    expect(first?.needs).toContain('rule:1201/mark-0x101');
  });

  it('begins no tunnel that calls while the clock is behind, and makes all the rest', () => {
    const spec = specOf('branch1', KEYS);
    const well = renderWan(spec, facts);
    const held = renderWan(spec, facts, { clockIsBehind: true });
    const gate = 'external:clock/tunnels';
    expect(held.map(({ id }) => id)).toEqual(well.map(({ id }) => id));
    const waiting = held.filter(({ needs }) => needs.some((need) => need === gate));
    expect(waiting.map(({ kind }) => kind)).toEqual(kinds(held, 'wireguard').map(({ kind }) => kind));
    // Who only answers sends no timestamp.
    const hub = renderWan(specOf('hub', KEYS), facts, { clockIsBehind: true });
    expect(hub.filter(({ needs }) => needs.some((need) => need === gate))).toEqual([]);
  });

  it('pins a tunnel over IPv6 in both families, and waits for its way out in that one', () => {
    const auto = { kind: 'auto' } as const;
    const items = renderWan(firstOverIpv6(auto), { ...facts, leases: [lease], leases6: [lease6] });
    const [first, , second] = kinds(items, 'wireguard');
    expect(first?.needs.slice(1)).toEqual([
      // Whatever is marked and of IPv4 ends: the uplink has none.
      'rule:1201/mark-0x101',
      'rule:1101/ipv6+mark-0x101',
      'rule:1201/ipv6+mark-0x101',
      'route:101/::/0/10',
    ]);
    expect(second?.needs.slice(1)).toEqual([
      'rule:1102/mark-0x102',
      'rule:1202/mark-0x102',
      'rule:1202/ipv6+mark-0x102',
      'route:102/0.0.0.0/0/10',
    ]);
    expect(items.map(({ id }) => id)).not.toContain('rule:1101/mark-0x101');
    const without = renderWan(firstOverIpv6(auto), facts);
    const route = without.find(({ id }) => id === 'route:101/::/0/10');
    expect(route?.needs).toEqual(['link:wan1', 'external:lease6/wan1']);
  });

  it('an end that only answers goes out by the family that is there', () => {
    const hub = specOf('hub', KEYS);
    const both: DesiredSpec = {
      ...hub,
      uplinks: hub.uplinks.map((u) => ({
        ...u,
        addressing: { kind: 'dhcp' },
        addressing6: { kind: 'auto' },
      })),
    };
    const wayOut = (leases: typeof facts.leases, leases6: typeof facts.leases6) =>
      kinds(renderWan(both, { ...facts, leases, leases6 }), 'wireguard')[0]?.needs.at(-1);
    expect(wayOut([lease], [lease6])).toBe('route:101/0.0.0.0/0/10');
    expect(wayOut([], [lease6])).toBe('route:101/::/0/10');
    expect(wayOut([], [])).toBe('route:101/0.0.0.0/0/10');
  });

  it('wishes for an IPv6 address as the kernel writes it, whatever was written', () => {
    const items = renderWan(
      firstOverIpv6({ kind: 'static', address: '2001:DB8:1:0:0:0:0:07/64', gateway: 'FE80::01', dns: [] }),
      facts,
    );
    const ids = items.map(({ id }) => id);
    for (const id of [
      'address:wan1/2001:db8:1::7/64',
      'route:101/2001:db8:1::/64/10',
      'rule:1301/from-2001:db8:1::7',
    ])
      expect(ids).toContain(id);
    expect(kinds(items, 'route').find(({ id }) => id === 'route:101/::/0/10')?.spec).toMatchObject({
      via: 'fe80::1',
      source: '2001:db8:1::7',
    });
  });

  it('asks a router for what else is on the link where it does not say', () => {
    const alone = { ...lease6, address: '2001:db8:1::7/128' };
    const items = renderWan(firstOverIpv6({ kind: 'auto' }), { ...facts, leases6: [alone] });
    const destinations = kinds(items, 'route').filter(({ spec }) => spec.table === 101);
    expect(destinations.map(({ spec }) => spec.destination)).toEqual(['::/0']);
  });

  it('has no peer that claims an address of another on one interface', () => {
    for (const item of kinds(renderWan(specOf('hub', KEYS), facts), 'wireguard')) {
      const all = item.spec.peers.flatMap((peer) => peer.allowedIps);
      expect(new Set(all).size).toBe(all.length);
    }
  });

  it('puts the paths of two hubs in one order to what both forward to, and leaves each VTEP its own', () => {
    const spec = specOf('branch1', KEYS);
    const second = spec.tunnels.map((tunnel) => ({
      ...tunnel,
      id: `${tunnel.id}-2`,
      address: tunnel.address.replace('10.254.', '10.254.1'),
      peers: tunnel.peers.map((peer) => ({
        ...peer,
        gatewayId: 'hub2',
        vtep: '10.255.0.2',
        tunnelAddress: peer.tunnelAddress.replace('10.254.', '10.254.1'),
      })),
    }));
    const items = renderWan({ ...spec, tunnels: [...spec.tunnels, ...second] }, facts);
    const ids = items.map((item) => item.id);
    expect(new Set(ids).size).toBe(ids.length);
    const routes = (destination: string) =>
      kinds(items, 'frr')
        .map((item) => item.spec.line.split(' '))
        .filter((words) => words[0] === 'ip' && words[2] === destination)
        .map((words) => ({ via: words[3], distance: words[5] === 'bfd' ? 1 : Number(words[5]) }))
        .sort((a, b) => a.distance - b.distance);
    const shared = routes('10.255.0.0/16');
    expect(shared.map(({ distance }) => distance)).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
    // The first hub's before the second's, and of each the better path first.
    const nexthops = (tunnels: typeof spec.tunnels) =>
      tunnels
        .flatMap(({ peers }) => peers)
        .sort((a, b) => a.preference - b.preference)
        .map(({ tunnelAddress }) => tunnelAddress);
    expect(shared.map(({ via }) => via)).toEqual([...nexthops(spec.tunnels), ...nexthops(second)]);
    expect(routes('10.255.0.2/32').map(({ distance }) => distance)).toEqual([10, 11, 20, 21]);
  });

  it('uses the kernel WireGuard where there is one', () => {
    const able = {
      ...facts,
      kernel: { ...facts.kernel, features: { ...facts.kernel.features, wireguard: true } },
    };
    const links = kinds(renderWan(specOf('branch1', KEYS), able), 'link').filter(
      (i) => i.spec.type === 'wireguard',
    );
    expect(links.map((item) => item.needs)).toEqual(links.map(() => ['external:kernel/wireguard']));
  });
});
