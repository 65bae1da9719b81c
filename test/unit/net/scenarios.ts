/**
 * Owns what the network drivers must do to a box, as scenarios that run on the fake box (drivers.test.ts) and on a
 * real kernel (test/lab/netDrivers.test.ts) alike: so the fake is held against the real thing.
 */
import { expect } from 'vitest';
import { itemId, linkItem } from '../../../src/model/ids.ts';
import {
  address,
  fdb,
  link,
  nftChain,
  nftElement,
  nftSet,
  route,
  rule,
  sysctl,
  wireguard,
} from '../../../src/net/identity.ts';
import type { FrrLineItem, NetItem } from '../../../src/net/items.ts';
import type { Plan } from '../../../src/reconcile/item.ts';
import type { Report } from '../../../src/reconcile/reconciler.ts';

/** FRR has tests of its own. */
export type BoxItem = Exclude<NetItem, FrrLineItem>;

export interface Bench {
  /** A new process each time: nothing is remembered. */
  converge(desired: readonly BoxItem[]): Promise<Report<BoxItem>>;
  plan(desired: readonly BoxItem[]): Promise<Plan<BoxItem>>;
  observe(): Promise<readonly BoxItem[]>;
  /** Somebody else on the box. */
  outside(command: string, ...args: string[]): Promise<void>;
  print(): Promise<string>;
  readFile(path: string): Promise<string | undefined>;
  /** A file with a WireGuard private key, and the public key that belongs to it. */
  wireguardKey(): Promise<{ readonly file: string; readonly publicKey: string }>;
  /** wireguard-go of a link ends, and is started again as its unit says. */
  killWireguard(name: string): Promise<void>;
}

export interface Scenario {
  readonly name: string;
  run(bench: Bench): Promise<void>;
}

const PEER = 'xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg=';

const bridge = (vni: number, extra: { mtu?: number; macAddress?: string } = {}) =>
  link({ type: 'bridge', name: `br-${vni}`, mtu: 1390, ...extra });
const vxlan = (vni: number, bridgeVni = vni) =>
  link(
    {
      type: 'vxlan',
      name: `vx-${bridgeVni}`,
      vni,
      localAddress: '10.255.0.11',
      mtu: 1390,
      bridge: `br-${bridgeVni}`,
    },
    [linkItem(`br-${bridgeVni}`)],
  );
const port = (name: string, vni?: number) =>
  link(
    { type: 'port', name, mtu: 1390, ...(vni === undefined ? {} : { bridge: `br-${vni}` }) },
    vni === undefined ? [] : [linkItem(`br-${vni}`)],
  );

async function addPort(bench: Bench, name: string): Promise<void> {
  await bench.outside('ip', 'link', 'add', 'name', name, 'type', 'veth', 'peer', 'name', `far-${name}`);
}

/** Converges, and is then content: the plan is empty, and so is a second look. */
async function settle(bench: Bench, desired: readonly BoxItem[]): Promise<void> {
  const report = await bench.converge(desired);
  expect([...report.failures.values()].map((error) => error.message)).toEqual([]);
  expect((await bench.plan(desired)).steps).toEqual([]);
}

const lines = (text: string): string[] => text.trim().split('\n');

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

const chain = (rules: readonly string[]) =>
  nftChain(
    {
      family: 'inet',
      name: 'input',
      hook: { type: 'filter', hook: 'input', priority: 0, policy: 'accept' },
      rules,
    },
    [itemId('nft-set', 'inet', 'callers'), itemId('nft-set', 'inet', 'ports')],
  );
const sets = [
  nftSet({ family: 'inet', name: 'callers', type: 'ipv4_addr . ifname', flags: ['interval'] }),
  nftSet({ family: 'inet', name: 'ports', type: 'ifname', mapTo: 'verdict' }),
];
const elements = [
  nftElement({ family: 'inet', set: 'callers', key: '10.0.0.0/8 . wan1' }, [
    itemId('nft-set', 'inet', 'callers'),
  ]),
  nftElement({ family: 'inet', set: 'ports', key: 'app-x1', value: 'jump tenant-red' }, [
    itemId('nft-set', 'inet', 'ports'),
    itemId('nft-chain', 'inet', 'tenant-red'),
  ]),
];
const RULES = [
  'iifname "wan1" udp dport 4789 counter drop',
  'ip saddr . iifname @callers accept',
  'iifname vmap @ports',
];
const policy = [
  ...sets,
  nftChain({ family: 'inet', name: 'tenant-red', rules: ['counter accept'] }),
  ...elements,
  chain(RULES),
];

export const SCENARIOS: readonly Scenario[] = [
  {
    name: 'a segment: bridge, VXLAN device, port and a static entry, changed in place and taken away',
    async run(bench) {
      await addPort(bench, 'lan1');
      const before = await bench.print();
      const entry = fdb({ link: 'lan1', macAddress: '02:00:00:00:00:01' }, [linkItem('lan1')]);
      await settle(bench, [bridge(10), vxlan(10), port('lan1', 10), entry]);
      expect(lines(await bench.print())).toEqual([
        'fdb 02:00:00:00:00:01 dev lan1',
        'link br-10 type bridge mtu 1390 up stp 0 snooping 0 alias branchbox:link:br-10',
        'link far-lan1 type veth mtu 1500 down',
        'link lan1 type veth mtu 1390 up master br-10 port-learning true suppress false alias branchbox:link:lan1',
        'link lo mtu 65536 up',
        'link vx-10 type vxlan mtu 1390 up master br-10 id 10 local 10.255.0.11 port 4789 learning false' +
          ' port-learning false suppress true alias branchbox:link:vx-10',
      ]);
      const wider = [
        bridge(10, { mtu: 1400, macAddress: '02:00:00:00:00:aa' }),
        vxlan(10),
        port('lan1'),
        entry,
      ];
      const plan = await bench.plan(wider);
      expect(plan.steps.map((step) => step.op)).toEqual(['modify', 'modify']);
      await settle(bench, wider.slice(0, 3));
      await settle(bench, [bridge(10), vxlan(10), port('lan1')]);
      await settle(bench, []);
      // A port is let go of as it is: up.
      expect(await bench.print()).toBe(
        before.replace('link lan1 type veth mtu 1500 down', 'link lan1 type veth mtu 1500 up'),
      );
    },
  },
  {
    name: 'a link that somebody else made is left alone, and keeps nothing else out',
    async run(bench) {
      await bench.outside('ip', 'link', 'add', 'name', 'br-7', 'type', 'bridge');
      const desired = [bridge(7), vxlan(7), bridge(8), vxlan(8)];
      const report = await bench.converge(desired);
      const failure = report.failures.get(linkItem('br-7'));
      expect(failure?.code).toBe('net/kernel');
      expect(failure?.message).toContain('not ours');
      const text = await bench.print();
      expect(text).toContain('link br-7 type bridge mtu 1500 down stp 0 snooping 1\n');
      expect(text).toContain('alias branchbox:link:vx-8');
      expect(text).not.toContain('vx-7');
      await settle(bench, []);
      expect(lines(await bench.print())).toEqual([
        'link br-7 type bridge mtu 1500 down stp 0 snooping 1',
        'link lo mtu 65536 up',
      ]);
    },
  },
  {
    name: 'what was changed behind our back is put right',
    async run(bench) {
      const desired = [bridge(10), vxlan(10)];
      await settle(bench, desired);
      const before = await bench.print();
      await bench.outside('ip', 'link', 'set', 'dev', 'br-10', 'down');
      await bench.outside('ip', 'link', 'set', 'dev', 'br-10', 'type', 'bridge', 'mcast_snooping', '1');
      await bench.outside('ip', 'link', 'set', 'dev', 'vx-10', 'nomaster');
      expect(await bench.print()).not.toBe(before);
      expect((await bench.plan(desired)).steps.map((step) => step.op)).toEqual(['modify', 'modify']);
      await settle(bench, desired);
      expect(await bench.print()).toBe(before);
    },
  },
  {
    name: 'a link whose maker was killed before it could name it is ours all the same',
    async run(bench) {
      await bench.outside(
        'ip',
        'link',
        'add',
        'name',
        'br-9',
        'group',
        '98',
        'mtu',
        '1390',
        'type',
        'bridge',
      );
      expect((await bench.observe()).map((item) => item.id)).toContain(linkItem('br-9'));
      await settle(bench, [bridge(9)]);
      expect(await bench.print()).toContain('alias branchbox:link:br-9');
      await settle(bench, []);
      expect(await bench.print()).not.toContain('br-9');
    },
  },
  {
    name: 'a VXLAN device of another VNI is a new device',
    async run(bench) {
      await settle(bench, [bridge(10), vxlan(10)]);
      await settle(bench, [bridge(10), vxlan(11, 10)]);
      expect(await bench.print()).toContain('id 11 local');
    },
  },
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
  {
    name: 'nft: chains, sets and elements; an edit is undone; a bad rule keeps no other out',
    async run(bench) {
      await bench.outside('nft', 'add', 'table', 'inet', 'somebody');
      const before = await bench.print();
      await settle(bench, policy);
      expect(lines(await bench.print()).filter((line) => line.startsWith('nft'))).toEqual([
        'nft chain inet branchbox input input 0 accept',
        'nft chain inet branchbox tenant-red',
        'nft map inet branchbox ports',
        ...RULES.map(() => 'nft rule inet branchbox input'),
        'nft rule inet branchbox tenant-red',
        'nft set inet branchbox callers',
      ]);
      const found = await bench.observe();
      expect(found.filter((item) => item.kind === 'nft-element').map((item) => item.spec)).toEqual(
        elements.map((item) => item.spec),
      );

      await bench.outside('nft', 'add', 'rule', 'inet', 'branchbox', 'input', 'accept');
      const plan = await bench.plan(policy);
      expect(plan.steps.map((step) => step.op)).toEqual(['modify']);
      await settle(bench, policy);
      expect(
        lines(await bench.print()).filter((line) => line === 'nft rule inet branchbox input'),
      ).toHaveLength(3);

      const broken = nftChain({ family: 'inet', name: 'broken', rules: ['what is this'] });
      const lost = nftChain({ family: 'inet', name: 'lost', rules: ['jump nowhere'] });
      const added = nftChain({ family: 'inet', name: 'added', rules: ['drop'] });
      const report = await bench.converge([...policy, broken, lost, added]);
      expect([...report.failures.keys()].toSorted()).toEqual([broken.id, lost.id]);
      expect(await bench.print()).toContain('nft chain inet branchbox added');

      await settle(bench, []);
      expect(await bench.print()).toBe(before);
    },
  },
  {
    name: 'nft: a value of a map changes in place, a hook by a new chain',
    async run(bench) {
      await settle(bench, policy);
      const dropped = nftElement({ family: 'inet', set: 'ports', key: 'app-x1', value: 'drop' }, [
        itemId('nft-set', 'inet', 'ports'),
      ]);
      const later = chain(RULES);
      const moved = nftChain(
        { ...later.spec, hook: { type: 'filter', hook: 'input', priority: 10, policy: 'drop' } },
        later.needs,
      );
      const rest = policy.filter((item) => item.id !== dropped.id && item.id !== moved.id);
      await settle(bench, [...rest, dropped, moved]);
      expect(await bench.print()).toContain('nft chain inet branchbox input input 10 drop');
    },
  },
  {
    name: 'nft: the bridge family, keys of several parts, raw bits of a header',
    async run(bench) {
      const guard = itemId('nft-set', 'bridge', 'sources');
      const vnis = itemId('nft-set', 'inet', 'vnis');
      const desired = [
        nftSet({ family: 'bridge', name: 'sources', type: 'ifname . ether_addr . ipv4_addr' }),
        nftElement({ family: 'bridge', set: 'sources', key: 'app-red . 02:00:00:00:00:01 . 10.10.0.100' }, [
          guard,
        ]),
        nftChain(
          {
            family: 'bridge',
            name: 'guard',
            hook: { type: 'filter', hook: 'prerouting', priority: -300, policy: 'accept' },
            rules: [
              'iifname "app-*" ether type ip iifname . ether saddr . ip saddr @sources accept',
              'counter drop',
            ],
          },
          [guard],
        ),
        nftSet({ family: 'inet', name: 'vnis', type: 'ipv4_addr . mark' }),
        nftElement({ family: 'inet', set: 'vnis', key: '10.255.0.11 . 2562560' }, [vnis]),
        nftChain(
          {
            family: 'inet',
            name: 'senders',
            rules: [
              'meta mark set @th,96,32 & 0xffffff00',
              'ip saddr . meta mark @vnis meta mark set 0 accept',
            ],
          },
          [vnis],
        ),
      ];
      await settle(bench, desired);
      const chains = (await bench.observe()).filter((item) => item.kind === 'nft-chain');
      expect(chains.map((item) => [item.id, item.needs]).toSorted()).toEqual([
        ['nft-chain:bridge/guard', [guard]],
        ['nft-chain:inet/senders', [vnis]],
      ]);
      await settle(bench, []);
      expect(lines(await bench.print())).toEqual(['link lo mtu 65536 up']);
    },
  },
  {
    name: 'sysctls go back to what they were',
    async run(bench) {
      const path = '/proc/sys/net/ipv4/conf/lo/rp_filter';
      const before = (await bench.readFile(path))?.trim();
      const strict = sysctl({ key: 'net.ipv4.conf.lo.rp_filter', value: before === '1' ? '2' : '1' });
      await settle(bench, [strict]);
      expect((await bench.readFile(path))?.trim()).toBe(strict.spec.value);
      const report = await bench.converge([strict, sysctl({ key: 'net.ipv4.no_such', value: '1' })]);
      expect([...report.failures.values()].map((error) => error.code)).toEqual(['net/unsupported']);
      await settle(bench, []);
      expect((await bench.readFile(path))?.trim()).toBe(before);
    },
  },
  {
    name: 'a WireGuard interface in userspace, its process killed, its peer changed',
    async run(bench) {
      const { file, publicKey } = await bench.wireguardKey();
      const tunnel = link({ type: 'wireguard', name: 'wg-a', mtu: 1440, implementation: 'userspace' });
      const inside = address({ link: 'wg-a', address: '10.254.0.1/31' }, [tunnel.id]);
      const to = (port: number, mark = 0x101) =>
        wireguard(
          {
            link: 'wg-a',
            privateKeyFile: file,
            publicKey,
            mark,
            peers: [
              {
                publicKey: PEER,
                endpoint: { address: '198.51.100.20', port },
                allowedIps: ['10.254.0.0/32', '10.255.0.0/16'],
                keepaliveS: 25,
              },
            ],
          },
          [tunnel.id],
        );
      const desired = [tunnel, inside, to(51_820)];
      await settle(bench, desired);
      const before = await bench.print();
      expect(before).toContain('link wg-a type tun mtu 1440 up alias branchbox:link:wg-a');
      await bench.killWireguard('wg-a');
      expect((await bench.plan(desired)).steps.length).toBeGreaterThan(0);
      await settle(bench, desired);
      expect(await bench.print()).toBe(before);
      const changed = [tunnel, inside, to(51_821, 0x102)];
      expect((await bench.plan(changed)).steps.map((step) => step.op)).toEqual(['modify']);
      await settle(bench, changed);
      await settle(bench, [tunnel]);
      await settle(bench, []);
      expect(lines(await bench.print())).toEqual(['link lo mtu 65536 up']);
    },
  },
];
