/** Owns the rules of the underlay's items that a golden case does not say out loud. */
import { describe, expect, it } from 'vitest';
import type { DesiredSpec } from '../../../src/model/desired.ts';
import { MANAGEMENT_TABLE, RULE_PREFERENCE } from '../../../src/model/ids.ts';
import type { NetItem } from '../../../src/net/items.ts';
import { BootstrapNetwork } from '../../../src/model/medium.ts';
import { missingGateSentence } from '../../../src/net/gates.ts';
import { renderFactory } from '../../../src/wan/factory.ts';
import { renderWan } from '../../../src/wan/render.ts';
import { factsOf, specOf } from '../../lab/wan/fleet.ts';

const KEYS = {
  hub: 'AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=',
  branch1: 'BBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBA=',
  branch2: 'CCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCA=',
};
const facts = factsOf(KEYS.branch1);
const lease = {
  ifname: 'wan1',
  address: '198.51.100.130/24',
  gateway: '198.51.100.1',
  dns: [],
  bootstrapServers: [],
};
const session1 = {
  ...lease,
  ifname: 'ppp-wan1',
  address: '203.0.113.50/32',
  gateway: '10.0.0.1',
};
const byDhcp = (): DesiredSpec => {
  const spec = specOf('branch1', KEYS);
  return { ...spec, uplinks: spec.uplinks.map((u) => ({ ...u, addressing: { kind: 'dhcp' } })) };
};
const lease6 = {
  ifname: 'wan1',
  address: '2001:db8:1::7/64',
  gateway: 'fe80::1',
  dns: [],
  bootstrapServers: [],
};
const inBoth = (): DesiredSpec => {
  const spec = byDhcp();
  return { ...spec, uplinks: spec.uplinks.map((u) => ({ ...u, addressing6: { kind: 'auto' } })) };
};
/** The first uplink has IPv6 alone, and its tunnels go over that. */
const firstOverIpv6 = (addressing6: DesiredSpec['uplinks'][number]['addressing6']): DesiredSpec => {
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
const kinds = <K extends NetItem['kind']>(items: readonly NetItem[], kind: K) =>
  items.filter((item): item is Extract<NetItem, { kind: K }> => item.kind === kind);

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
    const distances = (destination: string) =>
      kinds(items, 'frr')
        .map((item) => item.spec.line.split(' '))
        .filter((words) => words[0] === 'ip' && words[2] === destination)
        .map((words) => (words[5] === 'bfd' ? 1 : Number(words[5])))
        .sort((a, b) => a - b);
    expect(distances('10.255.0.0/16')).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
    expect(distances('10.255.0.2/32')).toEqual([10, 11, 20, 21]);
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

describe('renderFactory', () => {
  it('is what a desired state of DHCP uplinks in the same slots has, so that taking one on moves nothing', () => {
    const withLeases = { ...facts, leases: [lease], leases6: [lease6] };
    const desired = new Map(renderWan(inBoth(), withLeases).map((item) => [item.id, item]));
    const factory = renderFactory(withLeases);
    for (const item of factory) expect(desired.get(item.id)).toEqual(item);
    expect(factory.map(({ id }) => id)).toContain('route:101/::/0/10');
    // Of IPv4 alone: nothing of IPv6 stays, and the rest moves as little.
    const four = new Map(renderWan(byDhcp(), withLeases).map((item) => [item.id, item]));
    for (const item of factory) {
      if (/ipv6|::|dhcpcd6@/.test(item.id)) expect(four.has(item.id), item.id).toBe(false);
      else expect(four.get(item.id)).toEqual(item);
    }
  });

  it('waits for no IPv6 that nobody offers', () => {
    const waiting = renderFactory(facts).flatMap(({ needs }) => needs);
    expect(waiting).toContain('external:lease/wan1');
    expect(waiting).not.toContain('external:lease6/wan1');
  });

  it('is, of the port that a bootstrap medium names, what the medium says', () => {
    const addressing = {
      kind: 'static',
      address: '192.0.2.5/28',
      gateway: '192.0.2.1',
      dns: [],
    } as const satisfies BootstrapNetwork['addressing'];
    const network: BootstrapNetwork = {
      schema: 1,
      port: 'wan2',
      addressing: { ...addressing, dns: [] },
      bootstrapServers: [],
    };
    const items = renderFactory(facts, network);
    expect(kinds(items, 'address').map(({ spec }) => spec)).toEqual([
      { link: 'wan2', address: '192.0.2.5/28' },
    ]);
    expect(kinds(items, 'service').map(({ spec }) => spec.unit)).toEqual([
      'dhcpcd@wan1.service',
      'dhcpcd6@wan1.service',
      'dhcpcd6@wan2.service',
    ]);
    const byTable = kinds(items, 'route').filter(({ spec }) => spec.table === 102);
    expect(byTable.map(({ spec }) => spec.via)).toContain('192.0.2.1');
  });

  it('has the IPv6 address that a medium names without a client for it, and IPv4 as ever', () => {
    const addressing6 = {
      kind: 'static',
      address: '2001:db8:5::5/64',
      gateway: 'fe80::1',
      dns: [],
    } as const;
    const network: BootstrapNetwork = {
      schema: 1,
      addressing: { kind: 'dhcp' },
      addressing6: { ...addressing6, dns: [] },
      bootstrapServers: [],
    };
    const items = renderFactory(facts, network);
    expect(kinds(items, 'address').map(({ spec }) => spec)).toEqual([
      { link: 'wan1', address: '2001:db8:5::5/64' },
    ]);
    expect(kinds(items, 'service').map(({ spec }) => spec.unit)).toEqual([
      'dhcpcd@wan1.service',
      'dhcpcd@wan2.service',
      'dhcpcd6@wan2.service',
    ]);
    expect(kinds(items, 'route').find(({ id }) => id === 'route:101/::/0/10')?.spec.via).toBe('fe80::1');
    // On a VLAN not on the bare port.
    const onVlan = kinds(renderFactory(facts, { ...network, vlan: 7 }), 'address');
    expect(onVlan.map(({ spec }) => spec.link)).not.toContain('wan1');
    expect(onVlan).toHaveLength(1);
  });

  it('is on the VLAN that a bootstrap medium names, and asks nothing of the bare port', () => {
    const network: BootstrapNetwork = {
      schema: 1,
      vlan: 7,
      addressing: { kind: 'dhcp' },
      bootstrapServers: [],
    };
    const found = renderFactory({ ...facts, leases: [{ ...lease, ifname: 'wan1.7' }] }, network);
    expect(found.find(({ id }) => id === 'link:wan1.7')).toMatchObject({
      spec: { type: 'vlan', name: 'wan1.7', parent: 'wan1', vlan: 7, mtu: 1500 },
      needs: ['link:wan1', 'external:kernel/vlan'],
    });
    const asks = kinds(found, 'service').map(({ spec, needs }) => [spec.unit, needs]);
    expect(asks).toEqual([
      ['dhcpcd@wan1.7.service', ['link:wan1.7']],
      ['dhcpcd6@wan1.7.service', ['link:wan1.7']],
      ['dhcpcd@wan2.service', ['link:wan2']],
      ['dhcpcd6@wan2.service', ['link:wan2']],
    ]);
    const devices = kinds(found, 'route').map(({ spec }) => spec.dev);
    expect(devices).toContain('wan1.7');
    expect(devices).not.toContain('wan1');
  });

  it('is a PPPoE session where a bootstrap medium says so, over the VLAN that it names', () => {
    const network = BootstrapNetwork.parse({
      schema: 1,
      vlan: 7,
      addressing: { kind: 'pppoe', user: 'u', password: 'p' },
    });
    const session = 'service:pppoe@ppp-wan1.service';
    const without = renderFactory(facts, network);
    expect(without.find(({ id }) => id === session)?.needs).toEqual(['link:wan1.7', 'external:kernel/ppp']);
    const defaults = kinds(without, 'route').filter(({ spec }) => spec.dev === 'ppp-wan1');
    expect(defaults.map(({ needs }) => needs)).toEqual(
      defaults.map(() => [session, 'external:pppoe/ppp-wan1']),
    );
    expect(missingGateSentence('external:pppoe/ppp-wan1')).toContain('user and password');
    // No IPv6 is asked for in it, and none beside it.
    expect(kinds(without, 'service').map(({ spec }) => spec.unit)).toEqual([
      'pppoe@ppp-wan1.service',
      'dhcpcd@wan2.service',
      'dhcpcd6@wan2.service',
    ]);

    const found = renderFactory({ ...facts, leases: [session1] }, network);
    const routes = kinds(found, 'route').filter(({ spec }) => spec.dev === 'ppp-wan1');
    // By the link alone: nobody else is at its other end.
    const way = {
      destination: '0.0.0.0/0',
      type: 'unicast',
      dev: 'ppp-wan1',
      source: '203.0.113.50',
      metric: 10,
    };
    expect(routes.map(({ spec }) => spec)).toEqual([
      { ...way, table: 101 },
      { ...way, table: 99 },
    ]);
    expect(routes.map(({ needs }) => needs)).toEqual([[session], [session]]);
    expect(found.map(({ id }) => id)).toContain('rule:1301/from-203.0.113.50');
  });

  it('is what a desired state of the same line has, so that taking one on redials nothing', () => {
    const pppoe = BootstrapNetwork.parse({
      schema: 1,
      vlan: 7,
      addressing: { kind: 'pppoe', user: 'u', password: 'p' },
    });
    const withLeases = { ...facts, leases: [session1] };
    const spec = inBoth();
    const lines: DesiredSpec = {
      ...spec,
      uplinks: spec.uplinks.map((u, i) =>
        i > 0 ? u : { ...u, vlan: 7, addressing: { kind: 'pppoe' }, addressing6: undefined },
      ),
    };
    const desired = new Map(renderWan(lines, withLeases).map((item) => [item.id, item]));
    const factory = renderFactory(withLeases, pppoe).filter(({ id }) => !id.includes('::/0'));
    for (const item of factory) expect(desired.get(item.id)).toEqual(item);
  });

  it("names a VLAN on a port of a long name within the kernel's 15 characters", () => {
    const ports = [{ label: 'wan1', role: 'wan', ifname: 'enx001122334455', carrier: true } as const];
    const network: BootstrapNetwork = {
      schema: 1,
      vlan: 4094,
      addressing: { kind: 'dhcp' },
      bootstrapServers: [],
    };
    const [, made] = kinds(renderFactory({ ...facts, ports }, network), 'link');
    expect(made?.spec.name).toMatch(/^vlan-[0-9a-z]{7}$/);
  });
});
