/**
 * Owns the identifiers that more than one domain must agree on: names of things in the model, item ids,
 * interface names derived from them, and the numbers (marks, tables, preferences) the kernel is given.
 * Does not own what hangs on them.
 */
import { z } from 'zod';

/** Lower-case words; what people write in a fleet file and see in every table. */
const name = (max: number) =>
  z
    .string()
    .min(1)
    .max(max)
    .regex(/^[a-z0-9]([a-z0-9-]*[a-z0-9])?$/, 'lower-case letters, digits and inner hyphens');

export const GatewayId = name(63);
/** Of a box, as its factory gave it: fits a certificate, a path and a file name. */
export const Serial = z
  .string()
  .regex(
    /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/,
    'a serial of at most 64 letters, digits, dots, dashes and underscores',
  );
export const SiteName = name(63);
export const UplinkName = name(15);
export const TenantName = name(32);
export const SegmentId = name(63);
export const AppName = name(63);
/** Of an app's. */
export const VolumeName = name(32);
/** A port's label as printed on the box or named by its hardware model: `lan1`, `wan1`. */
export const PortLabel = z.string().regex(/^[a-z][a-z0-9-]{0,14}$/, 'a port label such as lan1');
/** IEEE 802.1Q: 0 and 4095 are no VLANs. */
export const VlanId = z.int().min(1).max(4094);
/** Linux interface names: at most 15 bytes (IFNAMSIZ - 1), none of `/`, white space, or dots alone. */
export const InterfaceName = z
  .string()
  .regex(/^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,14}$/, 'an interface name of at most 15 characters');
/** `<gateway>.<uplink>~<gateway>.<uplink>`, initiator first: the same at both ends. */
export const PathId = z.string().regex(/^[a-z0-9.~-]{1,160}$/);
/** A tunnel (one WireGuard interface) of one gateway: spoke `<uplink>-<hub>-<hub uplink>`, hub `<uplink>-slot<i>`. */
export const TunnelId = name(100);

export type ItemId = string & { readonly __brand: 'ItemId' };

/** `kind:name`, for instance `link:br-10010`. */
export function itemId(kind: string, ...parts: readonly (string | number)[]): ItemId {
  return `${kind}:${parts.join('/')}` as ItemId;
}

/** FNV-1a, 32 bit: short interface names need a digest that is stable everywhere, not a secure one. */
function shortHash(text: string): string {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i += 1) {
    hash ^= text.charCodeAt(i);
    hash = Math.imul(hash, 0x01000193) >>> 0;
  }
  return hash.toString(36).padStart(7, '0');
}

const MAX_IFNAME = 15;

/** `prefix` + the name itself where it fits in 15 characters, else its digest. */
function interfaceNameOf(prefix: string, id: string): string {
  return prefix.length + id.length <= MAX_IFNAME ? prefix + id : prefix + shortHash(id);
}

export const bridgeOf = (segment: { readonly vni: number }): string => `br-${segment.vni}`;
export const vxlanOf = (segment: { readonly vni: number }): string => `vx-${segment.vni}`;
export const wireguardOf = (tunnelId: string): string => interfaceNameOf('wg-', tunnelId);
/** A VLAN on a port: `wan1.7`, as everybody writes it. */
export const vlanOf = (ifname: string, vlan: number): string => {
  const usual = `${ifname}.${vlan}`;
  return usual.length <= MAX_IFNAME ? usual : interfaceNameOf('vlan-', usual);
};
/** A PPPoE session on a port: the kernel's own names follow the order of dialling. */
export const pppoeOf = (port: string): string => interfaceNameOf('ppp-', port);
export const pppoeUnitOf = (ifname: string): string => `pppoe@${ifname}.service`;
/** Host end of an app's veth. */
export const appLinkOf = (app: { readonly name: string }): string => interfaceNameOf('app-', app.name);

export const bridgeItem = (segment: { readonly vni: number }): ItemId => itemId('link', bridgeOf(segment));
export const linkItem = (ifname: string): ItemId => itemId('link', ifname);

/** IANA's, of VXLAN (RFC 7348 section 5). */
export const VXLAN_PORT = 4789;

/** Our mark on kernel objects: routes, rules and addresses carry it as their protocol (rtnetlink(7), free above 4 and below 186). */
export const KERNEL_PROTOCOL = 98;
/** Link aliases of ours are `branchbox:<item id>`. */
export const LINK_ALIAS_PREFIX = 'branchbox:';
export const NFT_TABLE = 'branchbox';

/** An uplink's slot (1..15) in numbers the kernel is given. */
export const uplinkMark = (slot: number): number => 0x100 + slot;
export const uplinkTable = (slot: number): number => 100 + slot;

/**
 * Preferences of our `ip rule`s, in the order the kernel reads them.
 * The VTEP range comes first, so that no later rule can send overlay traffic out in clear.
 */
export const RULE_PREFERENCE = {
  vtepLookup: 1000,
  vtepUnreachable: 1001,
  /** Tunnel addresses likewise: a tunnel that is gone must not be replaced by a provider's network. */
  tunnelLookup: 1010,
  tunnelUnreachable: 1011,
  /** + slot: packets of a tunnel, marked by WireGuard, leave by their uplink … */
  uplinkMark: 1100,
  /** + slot: … or not at all. */
  uplinkMarkUnreachable: 1200,
  /** + slot: sockets bound to an uplink's address. */
  uplinkSource: 1300,
  /**
   * The box's own unbound sockets (image pulls): the best living uplink. After the kernel's own main (32766) and
   * default (32767), so that what is connected to the box is never sent to a provider.
   */
  managementDefault: 32_800,
} as const;
/** Table of the box's own default route. The main table never holds one: a lost overlay route must not leak. */
export const MANAGEMENT_TABLE = 99;

/** A stable, locally administered MAC (first octet 0x02) from a name, for apps and gateways without one of their own. */
export function macOf(seed: string): string {
  const digits = (shortHash(seed) + shortHash(`${seed}#`)).split('').map((c) => c.charCodeAt(0));
  const octets = [0x02];
  for (let i = 0; i < 5; i += 1) {
    const a = digits[i] ?? 0;
    const b = digits[i + 7] ?? 0;
    octets.push((Math.imul(a, 31) ^ Math.imul(b, 17) ^ (i * 7)) & 0xff);
  }
  return octets.map((o) => o.toString(16).padStart(2, '0')).join(':');
}

/** MAC address of an app whose desired state names none: the same after every restart, different at every gateway. */
export const appMacOf = (
  gatewayId: string,
  app: { readonly name: string; readonly attachment: { readonly macAddress?: string | undefined } },
): string => app.attachment.macAddress ?? macOf(`${gatewayId}/${app.name}`);

/**
 * nft set (family bridge) of the sources an app's link may speak as: link, MAC address, IPv4 address.
 * Policy fills it, and an attachment is not wired before its element is there.
 */
export const APP_SOURCES_SET = 'app_sources';
export const appSourceKey = (link: string, macAddress: string, address: string): string =>
  `${link} . ${macAddress} . ${address}`;
