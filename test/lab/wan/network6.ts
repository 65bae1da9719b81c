/**
 * Owns a network where one line has IPv6 alone: two providers with both families that route to each other, of which the
 * first advertises its prefix; a hub reached in both families, a branch whose first uplink is that line and whose second
 * has both, a branch of IPv4 alone; a tenant's host behind each branch. What the boxes hold is designed by the controller
 * from one fleet, and reaches them by the real drivers and reconciler; their IPv6 address by the real client.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { allocate, NO_ALLOCATIONS } from '../../../src/controller/allocations.ts';
import { designFleet } from '../../../src/controller/designer.ts';
import { renderEvpn } from '../../../src/evpn/render.ts';
import type { DesiredSpec } from '../../../src/model/desired.ts';
import type { Facts } from '../../../src/model/facts.ts';
import { Fleet } from '../../../src/model/fleet.ts';
import { createNetDrivers } from '../../../src/net/drivers.ts';
import { presentGates } from '../../../src/net/gates.ts';
import type { NetItem } from '../../../src/net/items.ts';
import { renderPolicy } from '../../../src/policy/render.ts';
import { createReconciler, type Report } from '../../../src/reconcile/reconciler.ts';
import { readLeases6 } from '../../../src/system/leases6.ts';
import { createClock } from '../../../src/system/linux/clock.ts';
import { createRunner } from '../../../src/system/linux/runner.ts';
import type { Services, System } from '../../../src/system/ports.ts';
import { renderWan } from '../../../src/wan/render.ts';
import { type BareNode, startBareNode } from './bareNode.ts';
import { factsOf } from './fleet.ts';
import { until } from './network.ts';
import { silentLog as log } from '../../fakes/silentLog.ts';

const FIRMWARE = join(import.meta.dirname, '../../../firmware');
export const BOXES = ['hub', 'branch1', 'branch2'] as const;
export type Box = (typeof BOXES)[number];
/** The most that fits 1500 over IPv6. */
export const TENANT_MTU = 1370;
export const HUB = { four: '198.51.100.20', six: '2001:db8:a::20' } as const;
/** Behind the first provider, by a line that takes less: nobody is there, and its router says so. */
export const NARROW = { host: '2001:db8:f::2', mtu: 1400 } as const;

const branch = (id: string, host: number, uplinks: readonly object[]) => ({
  id,
  role: 'branch',
  site: id,
  vtep: `10.255.0.${host}`,
  uplinks,
  ports: [{ port: 'lan1', segment: 'red' }],
});
const FLEET = Fleet.parse({
  // Slower than the default: nothing here is about how fast a path is left, and busy machines make 50 ms × 3 flap.
  fleet: { name: 'test', tenantMtu: TENANT_MTU, liveness: { intervalMs: 300, multiplier: 5 } },
  tenants: [{ name: 'red' }],
  segments: [{ id: 'red', tenant: 'red', vni: 10_010, subnet: '10.10.0.0/24' }],
  gateways: [
    {
      id: 'hub',
      role: 'hub',
      site: 'hub',
      vtep: '10.255.0.1',
      uplinks: [
        {
          name: 'internet',
          port: 'wan1',
          static: { address: `${HUB.four}/24`, gateway: '198.51.100.1' },
          static6: { address: `${HUB.six}/64`, gateway: '2001:db8:a::1' },
          publicAddress: HUB.four,
          publicAddress6: HUB.six,
        },
      ],
    },
    branch('branch1', 11, [
      { name: 'internet', port: 'wan1', ipv4: 'none', ipv6: 'auto' },
      {
        name: 'lte',
        port: 'wan2',
        static: { address: '203.0.113.111/24', gateway: '203.0.113.1' },
        static6: { address: '2001:db8:b::111/64', gateway: '2001:db8:b::1' },
      },
    ]),
    branch('branch2', 12, [
      { name: 'internet', port: 'wan1', static: { address: '198.51.100.112/24', gateway: '198.51.100.1' } },
    ]),
  ],
});
/** Of the branches' hosts, by branch. */
export const HOST: Readonly<Record<Exclude<Box, 'hub'>, string>> = {
  branch1: '10.10.0.11',
  branch2: '10.10.0.12',
};

export interface Network6 {
  readonly nodes: Readonly<Record<Box | 'isp', BareNode>>;
  spec(box: Box): DesiredSpec;
  converge(box: Box): Promise<Report<NetItem>>;
  /** All, from nothing, until each has what it wants and its client its lease. */
  convergeAll(): Promise<void>;
  /** From a branch's host to another's: packets of that size, which nobody may cut. How many were lost. */
  pingFrom(box: Exclude<Box, 'hub'>, to: string, count: number, packetBytes?: number): Promise<number>;
  stop(): Promise<void>;
}

export async function startNetwork6(tree: string): Promise<Network6> {
  const host = createRunner();
  const made: string[] = [];
  const isp = await startBareNode('isp', tree);
  const ipOf = (node: BareNode, line: string) => node.run('ip', ...line.split(' '));
  for (const [i, [four, six]] of [
    ['198.51.100', '2001:db8:a'],
    ['203.0.113', '2001:db8:b'],
  ].entries()) {
    await ipOf(isp, `link add br${i} type bridge mcast_snooping 0`);
    await ipOf(isp, `address add ${four}.1/24 dev br${i}`);
    await ipOf(isp, `address add ${six}::1/64 dev br${i} nodad`);
    await ipOf(isp, `link set br${i} up`);
  }
  await ipOf(isp, `route add 2001:db8:f::/64 dev br1 mtu ${NARROW.mtu}`);

  const nodes = {
    isp,
    hub: await startBareNode('hub', tree),
    branch1: await startBareNode('branch1', tree),
    branch2: await startBareNode('branch2', tree),
  };
  const keys = new Map<string, string>();
  for (const box of BOXES) {
    const node = nodes[box];
    for (const i of [0, 1]) {
      await host.runChecked('sh', [
        '-ec',
        `ip link add p${i}-${box} netns ${isp.netns} type veth peer name wan${i + 1} netns ${node.netns}
         ip -n ${isp.netns} link set p${i}-${box} master br${i} up`,
      ]);
    }
    const key = (await node.run('wg', 'genkey')).trim();
    await node.files.writeDurable('/var/lib/branchbox/agent/wireguard.key', `${key}\n`);
    keys.set(box, (await node.runner.runChecked('wg', ['pubkey'], { stdin: key })).trim());
    for (const [name, mode] of [
      ['dhcpcd6.conf', 0o644],
      ['dhcpcd-hook', 0o755],
    ] as const)
      await node.files.writeDurable(
        `/usr/lib/branchbox/${name}`,
        readFileSync(join(FIRMWARE, name), 'utf8'),
        mode,
      );
  }
  const lanOf = (box: Box): string => `${nodes[box].netns}-red`;
  for (const box of ['branch1', 'branch2'] as const) {
    await host.runChecked('ip', ['netns', 'add', lanOf(box)]);
    made.push(lanOf(box));
    await host.runChecked('sh', [
      '-ec',
      `ip link add lan netns ${lanOf(box)} type veth peer name lan1 netns ${nodes[box].netns}
       ip -n ${lanOf(box)} address add ${HOST[box]}/24 dev lan
       ip -n ${lanOf(box)} link set lan mtu ${TENANT_MTU} up`,
    ]);
  }
  await Promise.all(BOXES.map((box) => nodes[box].startFrr()));
  // The first provider alone advertises: the second's lines are static.
  isp.loop(
    'dnsmasq',
    'dnsmasq -k -p 0 -C /dev/null --user=root --leasefile-ro --enable-ra --interface=br0 --dhcp-range=2001:db8:a::,ra-only,64,1h',
  );

  const specs = designFleet({
    fleet: FLEET,
    allocations: allocate(FLEET, NO_ALLOCATIONS),
    publicKeys: keys,
    bundleSizes: new Map(),
    firmware: new Map(),
    controller: {
      mqtt: { host: 'controller.branchbox.example', port: 8883 },
      device: { host: 'controller.branchbox.example', port: 8446 },
    },
  });
  const spec = (box: Box): DesiredSpec => {
    const found = specs.get(box);
    if (found === undefined) throw new Error(`nothing was designed for ${box}`);
    return found;
  };
  const clock = createClock();
  const reconcilers = new Map(
    BOXES.map((box) => {
      const { runner, files } = nodes[box];
      const system: System = { runner, files, clock, log, services: servicesOf(nodes[box]) };
      const gates = () => presentGates(factsOf(keys.get(box) ?? ''));
      return [box, createReconciler<NetItem>({ drivers: createNetDrivers(system, { gates }), clock, log })];
    }),
  );
  const factsNow = async (box: Box): Promise<Facts> => ({
    ...factsOf(keys.get(box) ?? ''),
    leases6: [...(await readLeases6(nodes[box].files))],
  });
  const converge: Network6['converge'] = async (box) => {
    const reconciler = reconcilers.get(box);
    if (reconciler === undefined) throw new Error(`no reconciler for ${box}`);
    const facts = await factsNow(box);
    const wanted = spec(box);
    const items = [
      ...renderWan(wanted, facts),
      ...renderPolicy(wanted, facts, box),
      ...renderEvpn(wanted, facts),
    ];
    return reconciler.converge(items, AbortSignal.timeout(120_000));
  };

  return {
    nodes,
    spec,
    converge,
    async convergeAll() {
      for (const box of BOXES) {
        await until(`${box} has what it wants`, async () => {
          const { converged, plan, failures } = await converge(box);
          if (failures.size > 0) throw new Error(`${box}: ${[...failures].join('; ')}`);
          return converged && plan.blocked.length === 0;
        });
      }
    },
    async pingFrom(box, to, count, packetBytes = 84) {
      const { stdout } = await host.run(
        'nsenter',
        // Without the headers of ICMP and IPv4.
        `--net=/run/netns/${lanOf(box)} chroot ${tree} ping -n -i 0.05 -W 1 -M do -c ${count} -s ${packetBytes - 28} ${to}`.split(
          ' ',
        ),
        { timeoutMs: 120_000 },
      );
      const answered = new Set([...stdout.matchAll(/icmp_seq=(\d+) ttl/g)].map(([, number]) => number));
      return count - answered.size;
    },
    async stop() {
      for (const node of Object.values(nodes)) await node.stop();
      for (const namespace of made) await host.run('ip', ['netns', 'delete', namespace]);
    },
  };
}

/** Template units as loops that do what the unit does. */
function servicesOf(node: BareNode): Services {
  const started = new Set<string>();
  const commandOf = (unit: string): readonly [string, string] => {
    const [, template, ifname] = /^(wireguard-go|dhcpcd6)@(.+)\.service$/.exec(unit) ?? [];
    if (ifname === undefined) throw new Error(`a bare node has no unit ${unit}`);
    if (template === 'wireguard-go')
      return [`wireguard-go -f ${ifname}`, `rm -f /run/wireguard/${ifname}.sock`];
    const at = '/usr/lib/branchbox';
    return [`dhcpcd -B -6 -f ${at}/dhcpcd6.conf -c ${at}/dhcpcd-hook ${ifname}`, ':'];
  };
  return {
    async start(units) {
      for (const unit of units) {
        if (started.has(unit)) continue;
        started.add(unit);
        const [command, before] = commandOf(unit);
        node.loop(unit, command, before);
        const ifname = /^wireguard-go@(.+)\.service$/.exec(unit)?.[1];
        if (ifname === undefined) continue;
        await until(`${unit} opens its socket`, async () =>
          (await node.files.list('/run/wireguard')).includes(`${ifname}.sock`),
        );
      }
    },
    stop: async () => {},
    restart: async () => {},
    list: async (...patterns) =>
      [...started]
        .filter((unit) => patterns.some((pattern) => unit.startsWith(pattern.replace('*', ''))))
        .map((unit) => ({ unit, active: true, mainPid: node.pidOf(unit), restarts: 0 })),
  };
}
