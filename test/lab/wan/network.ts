/**
 * Owns the whole network of the underlay and overlay tests: two providers that route to each other, three bare
 * gateways on both, tenants' hosts behind the branches; and cutting it. Desired items reach a gateway by the real
 * drivers and reconciler; there is no agent.
 */
import { renderEvpn } from '../../../src/evpn/render.ts';
import { createNetDrivers } from '../../../src/net/drivers.ts';
import { presentGates } from '../../../src/net/gates.ts';
import type { NetItem } from '../../../src/net/items.ts';
import { type Report, createReconciler } from '../../../src/reconcile/reconciler.ts';
import { createClock } from '../../../src/system/linux/clock.ts';
import { createRunner } from '../../../src/system/linux/runner.ts';
import type { Services, System } from '../../../src/system/ports.ts';
import { renderWan } from '../../../src/wan/render.ts';
import { type BareNode, startBareNode } from './bareNode.ts';
import { type FleetOptions, GATEWAYS, type Gateway, HOST, PROVIDER, factsOf, specOf } from './fleet.ts';
import { silentLog as log } from '../../fakes/silentLog.ts';

export const TENANTS = ['red', 'blue'] as const;
export type Branch = Exclude<Gateway, 'hub'>;
export type Tenant = (typeof TENANTS)[number];
const BRANCHES = ['branch1', 'branch2'] as const;

export interface PingResult {
  readonly sent: number;
  readonly lost: number;
  /** Most pings in a row without an answer. */
  readonly longestRun: number;
}

export interface Network {
  readonly nodes: Record<Gateway, BareNode>;
  items(gateway: Gateway, options?: FleetOptions): NetItem[];
  converge(gateway: Gateway, options?: FleetOptions): Promise<Report<NetItem>>;
  /** All three, from nothing; throws where something is left to do. */
  convergeAll(): Promise<void>;
  /** Drops both directions at the provider; the carrier stays up. */
  cut(gateway: Gateway, provider: 0 | 1): Promise<void>;
  heal(gateway: Gateway, provider: 0 | 1): Promise<void>;
  /** Pings every 10 ms; resolves when the first was answered, so that what is done then happens while they run. */
  pinging(
    branch: Branch,
    tenant: Tenant,
    target: string,
    count: number,
  ): Promise<{ readonly ended: Promise<PingResult> }>;
  pingFrom(
    branch: Branch,
    tenant: Tenant,
    target: string,
    count: number,
    intervalS?: number,
  ): Promise<PingResult>;
  /** Empties a host's ARP table, so that what it reaches is what is there now. */
  forgetNeighbours(branch: Branch, tenant: Tenant): Promise<void>;
  /** Has a host take a MAC address for a neighbour's. */
  mislead(branch: Branch, tenant: Tenant, neighbour: string, macAddress: string): Promise<void>;
  /** Of a host's ARP table: the line of that neighbour. */
  neighbourOf(branch: Branch, tenant: Tenant, neighbour: string): Promise<string>;
  /** A host tells everybody its MAC address, unasked (gratuitous ARP). */
  announce(branch: Branch, tenant: Tenant, own: string): Promise<void>;
  stop(): Promise<void>;
}

/** Polls until it holds. The deadline is only for a broken test to end. */
export async function until(what: string, holds: () => Promise<boolean>): Promise<void> {
  const deadline = performance.now() + 90_000;
  while (!(await holds())) {
    if (performance.now() > deadline) throw new Error(`never came about: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

export async function startNetwork(tree: string): Promise<Network> {
  const host = createRunner();
  const name = (part: string): string => `bbt-wan-${process.pid}-${part}`;
  const shell = (script: string) => host.runChecked('sh', ['-ec', script], { timeoutMs: 60_000 });
  const made: string[] = [];
  const addNamespace = async (part: string): Promise<string> => {
    const namespace = name(part);
    await host.runChecked('ip', ['netns', 'add', namespace]);
    made.push(namespace);
    await host.runChecked('ip', ['-n', namespace, 'link', 'set', 'lo', 'up']);
    return namespace;
  };

  const providers = await addNamespace('providers');
  // By /proc: a fresh machine need not have sysctl. /proc/sys/net is that of the process that opens it.
  const settings = `cd /proc/sys/net
    echo 1 >ipv4/ip_forward
    [ ! -e bridge ] || echo 0 >bridge/bridge-nf-call-iptables`;
  await host.runChecked('nsenter', [`--net=/run/netns/${providers}`, 'sh', '-ec', settings]);
  for (const [i, network] of PROVIDER.entries()) {
    await shell(`ip -n ${providers} link add br${i} type bridge
      ip -n ${providers} address add ${network}.1/24 dev br${i}
      ip -n ${providers} link set br${i} up`);
  }
  const nodes: Record<Gateway, BareNode> = {
    hub: await startBareNode('hub', tree),
    branch1: await startBareNode('branch1', tree),
    branch2: await startBareNode('branch2', tree),
  };
  const keys: Record<Gateway, string> = { hub: '', branch1: '', branch2: '' };
  for (const gateway of GATEWAYS) {
    const node = nodes[gateway];
    for (const i of PROVIDER.keys()) {
      await shell(`ip link add p${i}-${gateway} netns ${providers} type veth peer name wan${i + 1} netns ${node.netns}
        ip -n ${providers} link set p${i}-${gateway} master br${i} up`);
    }
    const key = (await node.run('wg', 'genkey')).trim();
    await node.files.writeDurable('/var/lib/branchbox/agent/wireguard.key', `${key}\n`);
    keys[gateway] = (await node.runner.runChecked('wg', ['pubkey'], { stdin: key })).trim();
  }
  for (const branch of BRANCHES) {
    for (const [i, tenant] of TENANTS.entries()) {
      const namespace = await addNamespace(`${branch}-${tenant}`);
      await shell(`ip link add lan netns ${namespace} type veth peer name lan${i + 1} netns ${nodes[branch].netns}
        ip -n ${namespace} address add 10.10.0.${HOST[branch]}/24 dev lan
        ip -n ${namespace} link set lan mtu 1390 up`);
    }
  }
  await Promise.all(GATEWAYS.map((gateway) => nodes[gateway].startFrr()));

  const clock = createClock();
  const reconcilers = new Map(
    GATEWAYS.map((gateway) => {
      const { runner, files } = nodes[gateway];
      const system: System = { runner, files, clock, log, services: servicesOf(nodes[gateway]) };
      const drivers = createNetDrivers(system, { gates: () => presentGates(factsOf(keys[gateway])) });
      return [gateway, createReconciler<NetItem>({ drivers, clock, log })];
    }),
  );
  const items = (gateway: Gateway, options?: FleetOptions): NetItem[] => {
    const spec = specOf(gateway, keys, options);
    const facts = factsOf(keys[gateway]);
    return [...renderWan(spec, facts), ...renderEvpn(spec, facts)];
  };

  const converge: Network['converge'] = async (gateway, options) => {
    const reconciler = reconcilers.get(gateway);
    if (reconciler === undefined) throw new Error(`no reconciler for ${gateway}`);
    return reconciler.converge(items(gateway, options), AbortSignal.timeout(120_000));
  };

  const pingWords = (
    branch: Branch,
    tenant: Tenant,
    target: string,
    count: number,
    intervalS: number,
  ): string[] => [
    `--net=/run/netns/${name(`${branch}-${tenant}`)}`,
    'chroot',
    tree,
    'ping',
    '-n',
    '-i',
    String(intervalS),
    '-W',
    '1',
    '-c',
    String(count),
    target,
  ];

  return {
    nodes,
    items,
    converge,
    async convergeAll() {
      for (const gateway of GATEWAYS) {
        const report = await converge(gateway);
        const failures = [...report.failures].map(([id, error]) => `${id}: ${error.message}`);
        if (!report.converged) throw new Error(`${gateway} did not converge: ${failures.join('; ')}`);
      }
    },
    cut: async (gateway, i) =>
      void (await host.runChecked('ip', ['-n', providers, 'link', 'set', `p${i}-${gateway}`, 'nomaster'])),
    heal: async (gateway, i) =>
      void (await host.runChecked('ip', [
        '-n',
        providers,
        'link',
        'set',
        `p${i}-${gateway}`,
        'master',
        `br${i}`,
      ])),
    async pinging(branch, tenant, target, count) {
      const answered = Promise.withResolvers<void>();
      const lines: string[] = [];
      const onLine = (line: string): void => {
        lines.push(line);
        if (line.includes('icmp_seq=')) answered.resolve();
      };
      const words = pingWords(branch, tenant, target, count, 0.01);
      const ended = host.follow('nsenter', words, onLine, AbortSignal.timeout(120_000));
      // A ping that ends unanswered is a result too.
      await Promise.race([answered.promise, ended]);
      return { ended: ended.then(() => judge(lines.join('\n'), count)) };
    },
    async pingFrom(branch, tenant, target, count, intervalS = 0.01) {
      const words = pingWords(branch, tenant, target, count, intervalS);
      const { stdout } = await host.run('nsenter', words, { timeoutMs: 120_000 });
      return judge(stdout, count);
    },
    forgetNeighbours: async (branch, tenant) =>
      void (await host.run('ip', ['-n', name(`${branch}-${tenant}`), 'neighbour', 'flush', 'dev', 'lan'])),
    async mislead(branch, tenant, neighbour, macAddress) {
      const entry = ['neighbour', 'replace', neighbour, 'lladdr', macAddress, 'dev', 'lan', 'nud', 'stale'];
      await host.runChecked('ip', ['-n', name(`${branch}-${tenant}`), ...entry]);
    },
    neighbourOf: (branch, tenant, neighbour) =>
      host.runChecked('ip', ['-n', name(`${branch}-${tenant}`), 'neighbour', 'show', neighbour]),
    async announce(branch, tenant, own) {
      const namespace = `--net=/run/netns/${name(`${branch}-${tenant}`)}`;
      await host.run('nsenter', [namespace, 'chroot', tree, 'arping', '-U', '-c', '1', '-I', 'lan', own]);
    },
    async stop() {
      for (const gateway of GATEWAYS) await nodes[gateway].stop();
      for (const namespace of made) await host.run('ip', ['netns', 'delete', namespace]);
    },
  };
}

function judge(output: string, sent: number): PingResult {
  const answered = new Set([...output.matchAll(/icmp_seq=(\d+) ttl/g)].map((match) => Number(match[1])));
  let longestRun = 0;
  let run = 0;
  for (let sequence = 1; sequence <= sent; sequence += 1) {
    run = answered.has(sequence) ? 0 : run + 1;
    longestRun = Math.max(longestRun, run);
  }
  return { sent, lost: sent - answered.size, longestRun };
}

/** Template units as loops that do what the unit does. */
function servicesOf(node: BareNode): Services {
  const started = new Set<string>();
  return {
    async start(units) {
      for (const unit of units) {
        const ifname = /^wireguard-go@(.+)\.service$/.exec(unit)?.[1];
        if (ifname === undefined) throw new Error(`a bare node has no unit ${unit}`);
        if (started.has(unit)) continue;
        started.add(unit);
        const socket = `/run/wireguard/${ifname}.sock`;
        node.loop(unit, `wireguard-go -f ${ifname}`, `rm -f ${socket}`);
        await until(`${unit} opens ${socket}`, async () =>
          (await node.files.list('/run/wireguard')).includes(`${ifname}.sock`),
        );
      }
    },
    stop: async () => {},
    restart: async () => {},
    list: async (pattern) =>
      [...started]
        .filter((unit) => unit.startsWith(pattern.replace('*', '')))
        .map((unit) => ({ unit, active: true, mainPid: node.pidOf(unit), restarts: 0 })),
  };
}
