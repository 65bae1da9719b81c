/**
 * Owns scenarios of addresses, routes, rules, and refusals. They run on the fake box and on a real kernel (scenarios.ts).
 */
import { expect } from 'vitest';
import { itemId, linkItem } from '../../../src/model/ids.ts';
import { address, fdb, link, route, rule } from '../../../src/net/itemIds.ts';
import { addPort, lines, port, settle, type BoxItem, type Scenario } from './bench.ts';

function uplink(gateway: string): BoxItem[] {
  return [
    link({ type: 'loopback', name: 'lo' }),
    port('wan1'),
    address({ link: 'lo', address: '10.255.0.11/32' }, [linkItem('lo')]),
    address({ link: 'wan1', address: '198.51.100.7/24' }, [linkItem('wan1')]),
    route(
      {
        table: 101,
        destination: '0.0.0.0/0',
        type: 'unicast',
        via: gateway,
        dev: 'wan1',
        metric: 10,
        source: '198.51.100.7',
      },
      [itemId('address', 'wan1', '198.51.100.7/24')],
    ),
    route({ table: 101, destination: '203.0.113.9/32', type: 'unreachable', metric: 20 }),
    route({ table: 254, destination: '10.254.0.0/16', type: 'unicast', dev: 'wan1', metric: 4_261_412_865 }, [
      itemId('address', 'wan1', '198.51.100.7/24'),
    ]),
    rule({ preference: 1101, mark: 0x101, action: { kind: 'lookup', table: 101 } }),
    rule({ preference: 1201, mark: 0x101, action: { kind: 'unreachable' } }),
    rule({ preference: 1301, from: '198.51.100.7', action: { kind: 'lookup', table: 101 } }),
    rule({ preference: 1000, to: '10.255.0.0/16', action: { kind: 'lookup', table: 254 } }),
  ];
}

export const ROUTING_SCENARIOS: readonly Scenario[] = [
  {
    name: 'an uplink: addresses, routes and rules of ours beside those of others',
    async run(bench) {
      await addPort(bench, 'wan1');
      await bench.outside('ip', 'link', 'set', 'dev', 'far-wan1', 'up');
      await bench.outside('ip', 'link', 'set', 'dev', 'wan1', 'up');
      await bench.outside('ip', 'address', 'add', '192.0.2.1/24', 'dev', 'wan1');
      await bench.outside(
        'ip',
        'route',
        'add',
        '192.0.3.0/24',
        'via',
        '192.0.2.254',
        'dev',
        'wan1',
        'metric',
        '7',
      );
      await bench.outside('ip', 'rule', 'add', 'pref', '500', 'from', '192.0.2.1', 'lookup', '254');
      await settle(bench, uplink('198.51.100.1'));
      const others = [
        'address 192.0.2.1/24 dev wan1',
        'route 192.0.3.0/24 via 192.0.2.254 dev wan1 table 254 metric 7',
        'rule 500 from 192.0.2.1 lookup 254',
      ];
      expect(lines(await bench.print()).filter((line) => !line.startsWith('link'))).toEqual(
        [
          ...others,
          'address 10.255.0.11/32 dev lo proto 0x62',
          'address 198.51.100.7/24 dev wan1 proto 0x62',
          'route 10.254.0.0/16 dev wan1 table 254 metric 4261412865 proto 98',
          'route default via 198.51.100.1 dev wan1 table 101 metric 10 src 198.51.100.7 proto 98',
          'route unreachable 203.0.113.9 table 101 metric 20 proto 98',
          'rule 1000 from all to 10.255.0.0/16 lookup 254 proto 98',
          'rule 1101 from all mark 0x101 lookup 101 proto 98',
          'rule 1201 from all mark 0x101 unreachable proto 98',
          'rule 1301 from 198.51.100.7 lookup 101 proto 98',
        ].toSorted(),
      );
      const moved = uplink('198.51.100.2');
      expect((await bench.plan(moved)).steps.map((step) => step.op)).toEqual(['modify']);
      await settle(bench, moved);
      expect(await bench.print()).toContain('route default via 198.51.100.2 dev wan1 table 101');
      await settle(bench, []);
      expect(lines(await bench.print()).filter((line) => !line.startsWith('link'))).toEqual(others);
    },
  },
  {
    name: 'an uplink of IPv6: its address at once, a router of the link, and rules of its own list',
    async run(bench) {
      await addPort(bench, 'wan1');
      await bench.outside('ip', 'link', 'set', 'dev', 'far-wan1', 'up');
      const own = itemId('address', 'wan1', '2001:db8::7/64');
      const six = (router: string): BoxItem[] => [
        port('wan1'),
        address({ link: 'wan1', address: '2001:db8::7/64' }, [linkItem('wan1')]),
        route(
          {
            table: 101,
            destination: '::/0',
            type: 'unicast',
            via: router,
            dev: 'wan1',
            metric: 10,
            source: '2001:db8::7',
          },
          [own],
        ),
        route(
          {
            table: 101,
            destination: '2001:db8::/64',
            type: 'unicast',
            dev: 'wan1',
            metric: 10,
            source: '2001:db8::7',
          },
          [own],
        ),
        rule({ preference: 1101, mark: 0x101, action: { kind: 'lookup', table: 101 } }),
        rule({ preference: 1101, family: 6, mark: 0x101, action: { kind: 'lookup', table: 101 } }),
        rule({ preference: 1201, family: 6, mark: 0x101, action: { kind: 'unreachable' } }),
        rule({ preference: 1301, from: '2001:db8::7', action: { kind: 'lookup', table: 101 } }),
        rule({ preference: 32_800, family: 6, action: { kind: 'lookup', table: 99 } }),
      ];
      await settle(bench, six('fe80::1'));
      const held = [
        'address 2001:db8::7/64 dev wan1 proto 0x62',
        'route 2001:db8::/64 dev wan1 table 101 metric 10 src 2001:db8::7 proto 98',
        'route default via fe80::1 dev wan1 table 101 metric 10 src 2001:db8::7 proto 98',
        'rule 1101 from all mark 0x101 lookup 101 proto 98',
        'rule 1101 from all mark 0x101 lookup 101 proto 98 (IPv6)',
        'rule 1201 from all mark 0x101 unreachable proto 98 (IPv6)',
        'rule 1301 from 2001:db8::7 lookup 101 proto 98 (IPv6)',
        'rule 32800 from all lookup 99 proto 98 (IPv6)',
      ];
      const seen = async (): Promise<string[]> =>
        lines(await bench.print()).filter((line) => /^(address|route|rule)/.test(line));
      expect(await seen()).toEqual(held.toSorted());
      const moved = six('fe80::2');
      expect((await bench.plan(moved)).steps.map((step) => step.op)).toEqual(['modify']);
      await settle(bench, moved);
      expect(await bench.print()).toContain('route default via fe80::2 dev wan1 table 101');
      // The address goes from outside: its routes stay and forget it, and all is mended.
      await bench.outside('ip', 'address', 'del', '2001:db8::7/64', 'dev', 'wan1');
      expect((await bench.plan(moved)).steps.map((step) => step.op).toSorted()).toEqual([
        'create',
        'modify',
        'modify',
      ]);
      await settle(bench, moved);
      await settle(bench, []);
      expect(await seen()).toEqual([]);
    },
  },
  {
    name: 'each refusal is that of its own item, and the others stand',
    async run(bench) {
      await addPort(bench, 'wan1');
      await bench.outside('ip', 'link', 'set', 'dev', 'far-wan1', 'up');
      await bench.outside('ip', 'link', 'set', 'dev', 'wan1', 'up');
      await bench.outside('ip', 'address', 'add', '198.51.100.7/24', 'dev', 'wan1');
      await bench.outside('ip', 'route', 'add', '10.6.0.0/16', 'dev', 'wan1', 'metric', '5');
      const good = route({ table: 101, destination: '10.5.0.0/16', type: 'unicast', dev: 'wan1', metric: 5 });
      const bad = [
        address({ link: 'wan1', address: '198.51.100.7/24' }),
        address({ link: 'gone0', address: '10.1.1.1/24' }),
        address({ link: 'wan1', address: '10.1.1.1/24\nlink delete wan1' }),
        route({ table: 101, destination: '10.7.0.0/16', type: 'unicast', dev: 'gone0', metric: 5 }),
        route({
          table: 101,
          destination: '10.8.0.0/16',
          type: 'unicast',
          via: '10.99.0.1',
          dev: 'wan1',
          metric: 5,
        }),
        route({ table: 254, destination: '10.6.0.0/16', type: 'unicast', dev: 'wan1', metric: 5 }),
        port('gone0'),
        // Its need left out, so that it comes as far as the driver.
        { ...port('wan1', 77), needs: [] },
        fdb({ link: 'wan1', macAddress: '02:00:00:00:00:01' }),
      ];
      // In one batch with the ports that cannot be had, and after them.
      await addPort(bench, 'wan2');
      const report = await bench.converge([good, ...bad, port('wan2')]);
      expect([...report.failures.keys()].toSorted()).toEqual(bad.map((item) => item.id).toSorted());
      const text = await bench.print();
      expect(text).toContain('route 10.5.0.0/16 dev wan1 table 101 metric 5 proto 98');
      expect(text).toContain('address 198.51.100.7/24 dev wan1\n');
      expect(text).toContain('route 10.6.0.0/16 dev wan1 table 254 metric 5\n');
    },
  },
];
