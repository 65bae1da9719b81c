/**
 * Owns finding out what this kernel can do, by trying it in a network namespace that is gone right after.
 * Nothing of the box changes. Does not own what follows from a missing feature.
 */
import { access } from 'node:fs/promises';
import type { KernelFeature } from '../model/facts.ts';
import type { Runner } from '../system/ports.ts';

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
  try {
    // -force goes on after a refusal and names its line (lib/utils.c do_batch: `Command failed -:N`).
    const result = await runner.run('unshare', ['--net', tool, '-force', '-batch', '-'], {
      stdin: `${lines.join('\n')}\n`,
      signal,
    });
    if (result.stderr.startsWith('unshare:')) return 'all';
    return new Set([...result.stderr.matchAll(/^Command failed -:(\d+)/gm)].map((match) => Number(match[1])));
  } catch {
    return 'all';
  }
}

async function probeTables(runner: Runner, signal: AbortSignal): Promise<ReadonlySet<KernelFeature>> {
  const found = new Set<KernelFeature>();
  await Promise.all(
    TABLES.map(async ([feature, text]) => {
      const args = ['--net', 'nft', '-f', '-'];
      const result = await runner.run('unshare', args, { stdin: `${text}\n`, signal }).catch(() => undefined);
      if (result?.exitCode === 0) found.add(feature);
    }),
  );
  return found;
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}
