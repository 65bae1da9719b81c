/**
 * Owns what `ip -j -d address` says of links, and which of it is a link item of ours.
 * Does not change anything.
 */
import { z } from 'zod';
import { LINK_ALIAS_PREFIX, itemId } from '../model/ids.ts';
import { checkDump, parseDump, shareRead } from './dump.ts';
import { link } from './identity.ts';
import type { IpShow } from './ipShow.ts';
import type { LinkItem, LinkSpec } from './items.ts';
import { ifnameWord } from './word.ts';

/** Group of links that we made: set in the same call that makes them, so that a crash before the alias leaves no stray. */
export const LINK_GROUP = 98;
export const VXLAN_PORT = 4789;

/** Of what a kind or a port tells, only what is looked at: 2,000 links have 100,000 fields. */
const KindData = z.object({
  stp_state: z.unknown(),
  mcast_snooping: z.unknown(),
  forward_delay: z.unknown(),
  id: z.unknown(),
  local: z.unknown(),
  local6: z.unknown(),
  port: z.unknown(),
  learning: z.unknown(),
  type: z.unknown(),
});
const PortData = z.object({ learning: z.unknown(), neigh_suppress: z.unknown() });
const KernelLinks = z.array(
  z.object({
    ifname: z.string(),
    mtu: z.number(),
    flags: z.array(z.string()),
    address: z.string().optional(),
    master: z.string().optional(),
    ifalias: z.string().optional(),
    group: z.string().optional(),
    linkinfo: z
      .object({
        info_kind: z.string().optional(),
        info_data: KindData.partial().optional(),
        info_slave_data: PortData.partial().optional(),
      })
      .optional(),
    addr_info: z
      .array(
        z.object({
          local: z.string().optional(),
          prefixlen: z.number().optional(),
          protocol: z.string().optional(),
        }),
      )
      .optional(),
  }),
);
export type KernelLink = z.output<typeof KernelLinks>[number];

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
  const all = shareRead(async (signal) => checkDump(await ip.show(SHOW, signal), KernelLinks, `ip ${SHOW}`));
  return {
    all,
    some: async (names, signal) =>
      names.size > FEW_LINKS
        ? await all(signal)
        : checkDump(await ip.showLinks([...names].map(ifnameWord), signal), KernelLinks, `ip ${SHOW} dev`),
  };
}

/** Pure. */
export const parseLinks = (text: string): readonly KernelLink[] => parseDump(text, KernelLinks, `ip ${SHOW}`);

export const aliasOf = (ifname: string): string => `${LINK_ALIAS_PREFIX}${itemId('link', ifname)}`;

const MADE_BY_US = new Set(['bridge', 'vxlan', 'wireguard', 'tun']);
const kindOf = (found: KernelLink): string | undefined => found.linkinfo?.info_kind;

/** wireguard-go's device: TUN, where an app's or a machine's would be TAP. */
export const isTun = (found: KernelLink): boolean =>
  kindOf(found) === 'tun' && found.linkinfo?.info_data?.type === 'tun';

/** By its alias; or by its group, where its maker was killed before the alias. */
export function isOurs(found: KernelLink): boolean {
  if (found.ifalias !== undefined) return found.ifalias === aliasOf(found.ifname);
  return found.group === String(LINK_GROUP) && MADE_BY_US.has(kindOf(found) ?? '');
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
    .filter((found) => kindOf(found) === 'bridge' && isOurs(found))
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
      const needs = 'bridge' in spec && spec.bridge !== undefined ? [itemId('link', spec.bridge)] : [];
      return link(drift.length === 0 ? spec : { ...spec, drift }, needs);
    });
}

function specOf(found: KernelLink, addressSet: boolean): LinkSpec {
  const { ifname: name, mtu, master } = found;
  const data = found.linkinfo?.info_data ?? {};
  if (name === 'lo') return { type: 'loopback', name };
  switch (kindOf(found)) {
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
        vni: Number(data.id),
        localAddress: String(data.local ?? data.local6 ?? ''),
        mtu,
        bridge: master ?? '',
      };
    case 'wireguard':
      return { type: 'wireguard', name, mtu, implementation: 'kernel' };
    default:
      if (isTun(found)) return { type: 'wireguard', name, mtu, implementation: 'userspace' };
      return { type: 'port', name, mtu, ...(master === undefined ? {} : { bridge: master }) };
  }
}

/** Drift that only a new link mends. */
export const DRIFT_FOR_GOOD: ReadonlySet<string> = new Set(['vxlan learning on', 'vxlan port']);

function driftOf(found: KernelLink, spec: LinkSpec): readonly string[] {
  const data = found.linkinfo?.info_data ?? {};
  const port = found.linkinfo?.info_slave_data ?? {};
  const drift: string[] = [];
  if (!found.flags.includes('UP')) drift.push('down');
  if (found.ifalias === undefined) drift.push('no alias');
  if (spec.type === 'bridge') {
    if (data.stp_state !== 0) drift.push('stp on');
    if (data.mcast_snooping !== 0) drift.push('multicast snooping on');
    if (data.forward_delay !== 0) drift.push('forward delay');
  }
  if (spec.type === 'vxlan') {
    if (data.learning !== false) drift.push('vxlan learning on');
    if (data.port !== VXLAN_PORT) drift.push('vxlan port');
    if (spec.bridge !== '' && port.learning !== false) drift.push('learning on');
    if (spec.bridge !== '' && port.neigh_suppress !== true) drift.push('neighbour suppression off');
  }
  return drift;
}
