/**
 * Owns how an uplink gets its addresses, as fleet, desired state and bootstrap medium say it alike: IPv4 and IPv6 each by
 * itself. Does not own which of the kinds each of them takes.
 */
import { z } from 'zod';
import { IpAddress, Ipv4, Ipv4Interface, Ipv6, Ipv6Interface, isReachable, splitCidr } from './addresses.ts';
import type { Report } from './crossCheck.ts';
import { isLinkLocal, prefixHolds } from './prefixes.ts';

export const DhcpAddressing = z.strictObject({ kind: z.literal('dhcp') });
/** By PPPoE (RFC 2516). User and password are the bootstrap medium's, and stay on the box. */
export const PppoeAddressing = z.strictObject({ kind: z.literal('pppoe') });
/** No address of this family: there is another one. */
export const NoAddressing = z.strictObject({ kind: z.literal('none') });

export const StaticAddress = z.strictObject({
  address: Ipv4Interface,
  gateway: Ipv4,
  dns: z.array(IpAddress).max(4).default([]),
});
export const StaticAddressing = z.strictObject({ kind: z.literal('static'), ...StaticAddress.shape });

/** Router advertisements, and DHCPv6 where they say so (RFC 4861 4.2, 4862, 8415). */
export const AutoAddressing6 = z.strictObject({ kind: z.literal('auto') });
export const StaticAddress6 = z.strictObject({
  address: Ipv6Interface,
  /** Of the same network, or the router's address on the link (`fe80::1`). */
  gateway: Ipv6,
  dns: z.array(IpAddress).max(4).default([]),
});
type StaticAddress6 = z.output<typeof StaticAddress6>;
export const StaticAddressing6 = z.strictObject({ kind: z.literal('static'), ...StaticAddress6.shape });

/** What the schema of one address alone does not see. Pure. */
export function checkStatic6(
  { address: cidr, gateway }: Pick<StaticAddress6, 'address' | 'gateway'>,
  path: readonly (string | number)[],
  report: Report,
): void {
  const { address } = splitCidr(cidr);
  // That it is of the wrong family is said there.
  if (!cidr.includes(':') || !gateway.includes(':')) return;
  if (!isReachable(address) || isLinkLocal(address))
    report([...path, 'address'], 'is no address that others can send to');
  if (!isLinkLocal(gateway) && !prefixHolds(cidr, gateway))
    report([...path, 'gateway'], `is neither in the network of ${cidr} nor of the link (fe80::/10)`);
  else if (prefixHolds(`${address}/128`, gateway))
    report([...path, 'gateway'], "is the uplink's own address");
}
