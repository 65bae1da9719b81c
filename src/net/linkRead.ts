/**
 * Owns what `ip -j -d address` says of links, and which of it is a link item of ours.
 * Does not change anything.
 */
import { LINK_ALIAS_PREFIX, itemId, VXLAN_PORT } from '../model/ids.ts';
import { parseJson, shareRead } from './dump.ts';
import { link } from './itemIds.ts';
import type { IpShow } from './ipShow.ts';
import type { LinkItem, LinkSpec } from './items.ts';
import { type KernelLink, kernelLinks } from './kernelLink.ts';
import { ifnameWord } from './word.ts';

/** Group of links that we made: set in the same call that makes them, so that a crash before the alias leaves no stray. */
export const LINK_GROUP = 98;

/** Links with their addresses: one dump for both, since the links are most of it either way. */
const SHOW = 'address show';

export interface LinkReader {
  /** All links of the box. */
  readonly all: (signal: AbortSignal) => Promise<readonly KernelLink[]>;
  /** Those of these names, and maybe others: a few cost what a few do, not what all links of the box do. */
  readonly some: (names: ReadonlySet<string>, signal: AbortSignal) => Promise<readonly KernelLink[]>;
}

/** From here on a dump of all is cheaper than a question for each. */
const FEW_LINKS = 64;

export function createLinkReader(ip: IpShow): LinkReader {
  const all = shareRead(async (signal) => kernelLinks(await ip.show(SHOW, signal), `ip ${SHOW}`));
  return {
    all,
    some: async (names, signal) =>
      names.size > FEW_LINKS
        ? await all(signal)
        : kernelLinks(await ip.showLinks([...names].map(ifnameWord), signal), `ip ${SHOW} dev`),
  };
}

/** Pure. */
export const parseLinks = (text: string): readonly KernelLink[] =>
  kernelLinks(parseJson(text, `ip ${SHOW}`), `ip ${SHOW}`);

export const aliasOf = (ifname: string): string => `${LINK_ALIAS_PREFIX}${itemId('link', ifname)}`;

const MADE_BY_US = new Set(['bridge', 'vxlan', 'wireguard', 'tun', 'vlan']);

/** wireguard-go's device: TUN, where an app's or a machine's would be TAP. */
export const isTun = (found: KernelLink): boolean => found.kind === 'tun' && found.data['type'] === 'tun';

/** By its alias; or by its group, where its maker was killed before the alias. */
export function isOurs(found: KernelLink): boolean {
  if (found.ifalias !== undefined) return found.ifalias === aliasOf(found.ifname);
  return found.group === String(LINK_GROUP) && MADE_BY_US.has(found.kind ?? '');
}

/**
 * Bridges whose address is nobody's port's: either somebody set it, or there is no port to take it from.
 * Only the kernel's `addr_assign_type` tells, and that only by sysfs.
 */
export function bridgesOfUnclearAddress(links: readonly KernelLink[]): readonly string[] {
  const portAddresses = new Map<string, Set<string | undefined>>();
  for (const { master, address } of links) {
    if (master === undefined) continue;
    const known = portAddresses.get(master) ?? new Set();
    portAddresses.set(master, known.add(address));
  }
  return links
    .filter((found) => found.kind === 'bridge' && isOurs(found))
    .filter((found) => portAddresses.get(found.ifname)?.has(found.address) !== true)
    .map((found) => found.ifname);
}

/** Our links as items. `addressSet` holds the bridges whose address somebody set. Pure. */
export function observedLinks(
  links: readonly KernelLink[],
  addressSet: ReadonlySet<string>,
  adopted: ReadonlySet<string> = new Set(),
): readonly LinkItem[] {
  return links
    .filter((found) => isOurs(found) || (adopted.has(found.ifname) && isTun(found)))
    .map((found) => {
      const spec = specOf(found, addressSet.has(found.ifname));
      const drift = driftOf(found, spec);
      const needs = standsOn(spec).map((name) => itemId('link', name));
      return link(drift.length === 0 ? spec : { ...spec, drift }, needs);
    });
}

/** The links that this one is joined to. */
function standsOn(spec: LinkSpec): readonly string[] {
  if (spec.type === 'vlan') return [spec.parent];
  return 'bridge' in spec && spec.bridge !== undefined ? [spec.bridge] : [];
}

function specOf(found: KernelLink, addressSet: boolean): LinkSpec {
  const { ifname: name, mtu, master, data } = found;
  if (name === 'lo') return { type: 'loopback', name };
  switch (found.kind) {
    case 'bridge':
      return {
        type: 'bridge',
        name,
        mtu,
        ...(addressSet && found.address !== undefined ? { macAddress: found.address } : {}),
      };
    case 'vxlan':
      return {
        type: 'vxlan',
        name,
        vni: Number(data['id']),
        localAddress: String(data['local'] ?? data['local6'] ?? ''),
        mtu,
        bridge: master ?? '',
      };
    case 'vlan':
      return { type: 'vlan', name, parent: found.parent ?? '', vlan: Number(data['id']), mtu };
    case 'wireguard':
      return { type: 'wireguard', name, mtu, implementation: 'kernel' };
    default:
      if (isTun(found)) return { type: 'wireguard', name, mtu, implementation: 'userspace' };
      return { type: 'port', name, mtu, ...(master === undefined ? {} : { bridge: master }) };
  }
}

/** 0x8100, as `ip -N` and `ip` print it. */
const DOT1Q: ReadonlySet<unknown> = new Set(['[33024]', '802.1Q']);

/** Drift that only making the link anew corrects. */
export const DRIFT_FOR_GOOD: ReadonlySet<string> = new Set([
  'vxlan learning on',
  'vxlan port',
  'vlan protocol',
]);

function driftOf(found: KernelLink, spec: LinkSpec): readonly string[] {
  const { data, port } = found;
  const drift: string[] = [];
  if (!found.flags.includes('UP')) drift.push('down');
  if (found.ifalias === undefined) drift.push('no alias');
  if (spec.type === 'bridge') {
    if (data['stp_state'] !== 0) drift.push('stp on');
    if (data['mcast_snooping'] !== 0) drift.push('multicast snooping on');
    if (data['forward_delay'] !== 0) drift.push('forward delay');
  }
  if (spec.type === 'vlan' && !DOT1Q.has(data['protocol'])) drift.push('vlan protocol');
  if (spec.type === 'vxlan') {
    if (data['learning'] !== false) drift.push('vxlan learning on');
    if (data['port'] !== VXLAN_PORT) drift.push('vxlan port');
    if (spec.bridge !== '' && port['learning'] !== false) drift.push('learning on');
    if (spec.bridge !== '' && port['neigh_suppress'] !== false) drift.push('neighbour suppression on');
  }
  return drift;
}
