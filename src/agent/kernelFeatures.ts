/**
 * Owns finding out what this kernel can do, by trying it in a network namespace that is removed right after; nothing of
 * the box changes.
 * Does not own what follows from a missing feature. A refusal by the kernel is an answer. A probe that could not ask is
 * none, and throws: what is found stands for the whole boot, and a machine that was busy for ten seconds must not go
 * without a firewall until the next.
 */
import { access } from 'node:fs/promises';
import { BranchboxError } from '../model/errors.ts';
import type { KernelFeature } from '../model/facts.ts';
import type { CommandResult, Runner } from '../system/ports.ts';

export type KernelFeatures = Readonly<Record<KernelFeature, boolean>>;

/** One line of `ip -batch` each; a line may stand on an earlier one. */
const LINKS: readonly (readonly [KernelFeature | undefined, string])[] = [
  ['wireguard', 'link add bbp0 type wireguard'],
  ['vxlan', 'link add bbp1 type vxlan id 1 dstport 4789 local 127.0.0.1'],
  ['vxlan-vnifilter', 'link add bbp2 type vxlan external vnifilter dstport 4790 local 127.0.0.1'],
  ['bridge', 'link add bbp3 type bridge'],
  ['bridge-vlan-filtering', 'link add bbp4 type bridge vlan_filtering 1'],
  [undefined, 'link add bbp5 type veth peer name bbp6'],
  ['vlan', 'link add bbp7 link bbp5 type vlan id 5'],
  ['vrf', 'link add bbp8 type vrf table 5'],
  ['dummy', 'link add bbp9 type dummy'],
  ['hsr', 'link add bbp10 type hsr slave1 bbp5 slave2 bbp6 proto 1'],
];
const QDISCS: readonly (readonly [KernelFeature, string])[] = [
  ['netem', 'qdisc replace dev lo root netem delay 1ms'],
  ['fq-codel', 'qdisc replace dev lo root fq_codel'],
  ['cake', 'qdisc replace dev lo root cake bandwidth 1gbit'],
];
/** nft has no way on after a refusal, so each is a transaction of its own. */
const TABLES: readonly (readonly [KernelFeature, string])[] = [
  ['nft-inet', 'add table inet p; add chain inet p c { type filter hook input priority 0; }'],
  ['nft-bridge', 'add table bridge p; add chain bridge p c { type filter hook forward priority 0; }'],
  [
    'nft-netdev',
    'add table netdev p; add chain netdev p c { type filter hook ingress device lo priority 0; }',
  ],
  [
    'nft-bridge-conntrack',
    'add table bridge p; add chain bridge p c { type filter hook forward priority 0; }; add rule bridge p c ct state new accept',
  ],
  ['flowtable', 'add table inet p; add flowtable inet p f { hook ingress priority 0; devices = { lo }; }'],
];

/** Each is milliseconds; but namespaces are made under one lock of the kernel, and a first use may load a module. */
const PROBE_TIMEOUT_MS = 60_000;

/** Throws where a probe could not be made or did not end: the features are then unknown. */
export async function probeKernel(runner: Runner, signal: AbortSignal): Promise<KernelFeatures> {
  const [links, qdiscs, tables, tun, ppp] = await Promise.all([
    probeBatch(
      runner,
      'ip',
      LINKS.map(([, line]) => line),
      signal,
    ),
    probeBatch(
      runner,
      'tc',
      QDISCS.map(([, line]) => line),
      signal,
    ),
    probeTables(runner, signal),
    exists('/dev/net/tun'),
    exists('/dev/ppp'),
  ]);
  const has = (
    feature: KernelFeature,
    rows: readonly (readonly [unknown, string])[],
    failed: Failed,
  ): boolean => failed !== 'all' && !failed.has(rows.findIndex(([name]) => name === feature) + 1);
  const link = (feature: KernelFeature): boolean => has(feature, LINKS, links);
  const qdisc = (feature: KernelFeature): boolean => has(feature, QDISCS, qdiscs);
  return {
    wireguard: link('wireguard'),
    tun,
    vxlan: link('vxlan'),
    'vxlan-vnifilter': link('vxlan-vnifilter'),
    bridge: link('bridge'),
    'bridge-vlan-filtering': link('bridge-vlan-filtering'),
    vlan: link('vlan'),
    vrf: link('vrf'),
    dummy: link('dummy'),
    'nft-inet': tables.has('nft-inet'),
    'nft-bridge': tables.has('nft-bridge'),
    'nft-netdev': tables.has('nft-netdev'),
    'nft-bridge-conntrack': tables.has('nft-bridge-conntrack'),
    flowtable: tables.has('flowtable'),
    netem: qdisc('netem'),
    'fq-codel': qdisc('fq-codel'),
    cake: qdisc('cake'),
    hsr: link('hsr'),
    ppp,
  };
}

/** Numbers of the lines that were refused; all where the tool itself cannot be run. */
type Failed = ReadonlySet<number> | 'all';

async function probeBatch(
  runner: Runner,
  tool: string,
  lines: readonly string[],
  signal: AbortSignal,
): Promise<Failed> {
  // -force goes on after a refusal and names its line (lib/utils.c do_batch: `Command failed -:N`).
  const result = await probe(runner, [tool, '-force', '-batch', '-'], `${lines.join('\n')}\n`, signal);
  if (result === undefined) return 'all';
  return new Set([...result.stderr.matchAll(/^Command failed -:(\d+)/gm)].map((match) => Number(match[1])));
}

async function probeTables(runner: Runner, signal: AbortSignal): Promise<ReadonlySet<KernelFeature>> {
  const found = new Set<KernelFeature>();
  await Promise.all(
    TABLES.map(async ([feature, text]) => {
      const result = await probe(runner, ['nft', '-f', '-'], `${text}\n`, signal);
      if (result?.exitCode === 0) found.add(feature);
    }),
  );
  return found;
}

/** What a tool says in a network namespace of its own; undefined where this box does not have the tool. */
async function probe(
  runner: Runner,
  words: readonly string[],
  stdin: string,
  signal: AbortSignal,
): Promise<CommandResult | undefined> {
  const result = await runner.run('unshare', ['--net', ...words], {
    stdin,
    signal,
    timeoutMs: PROBE_TIMEOUT_MS,
  });
  // `unshare: failed to execute nft: No such file or directory` (util-linux, lib/exec_shell.c errexec).
  if (result.stderr.startsWith('unshare: failed to execute ')) return undefined;
  if (!result.stderr.startsWith('unshare:')) return result;
  throw new BranchboxError('system/command-failed', {
    message: `what this kernel can do could not be tried: ${result.stderr.trim()}`,
  });
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}
