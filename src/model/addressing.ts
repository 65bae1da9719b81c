/**
 * Owns how an uplink gets its addresses, as fleet, desired state and bootstrap medium say it alike: IPv4 and IPv6 each by
 * itself. Does not own which of the kinds each of them takes.
 */
import { z } from 'zod';
import {
  IpAddress,
  Ipv4,
  Ipv4Interface,
  Ipv4Network,
  Ipv6,
  Ipv6Interface,
  isHostOf,
  isReachable,
  isReachableNetwork,
  networkOf,
  splitCidr,
} from './addresses.ts';
import type { Report } from './crossCheck.ts';
import { isLinkLocal, prefixHolds } from './prefixes.ts';

export const DhcpAddressing = z.strictObject({ kind: z.literal('dhcp') });
/** By PPPoE (RFC 2516). User and password are the bootstrap medium's, and stay on the box. */
export const PppoeAddressing = z.strictObject({ kind: z.literal('pppoe') });
/** What a modem and its SIM are told: no control characters; 100 octets are an APN's most (TS 23.003 9.1). */
const ModemWord = z
  .string()
  .min(1)
  .max(100)
  .regex(/^[\x20-\x7e]+$/, 'printable ASCII characters');
export const ModemLine = z.strictObject({
  /** Absent: what the SIM's provider gives who names none. */
  apn: z
    .string()
    .regex(
      /^[A-Za-z0-9]([A-Za-z0-9.-]{0,98}[A-Za-z0-9])?$/,
      'an APN: letters, digits, inner dots and hyphens',
    )
    .optional(),
  user: ModemWord.optional(),
  password: ModemWord.optional(),
  /** Of the SIM (TS 31.101 9.5.1). One that a SIM refused is never tried again by itself. */
  pin: z
    .string()
    .regex(/^\d{4,8}$/, 'four to eight digits')
    .optional(),
});
export type ModemLine = z.output<typeof ModemLine>;
/** By a modem's bearer. What is absent, the bootstrap medium of the box may have said. */
export const ModemAddressing = z.strictObject({ kind: z.literal('modem'), ...ModemLine.shape });

/** No address of this family: there is another one. */
export const NoAddressing = z.strictObject({ kind: z.literal('none') });

export const StaticAddress = z.strictObject({
  address: Ipv4Interface,
  gateway: Ipv4,
  dns: z.array(IpAddress).max(4).default([]),
});
type StaticAddress = z.output<typeof StaticAddress>;
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

/**
 * What the schema of one address alone does not see. Pure. The kernel takes no route by a gateway that is not on the
 * link, so one elsewhere is a line that never comes up.
 */
export function checkStatic4(
  { address: cidr, gateway }: Pick<StaticAddress, 'address' | 'gateway'>,
  path: readonly (string | number)[],
  report: Report,
): void {
  // That it is of the wrong family, or none, is said there.
  if (!Ipv4Interface.safeParse(cidr).success || !Ipv4.safeParse(gateway).success) return;
  const { address } = splitCidr(cidr);
  const network = networkOf(cidr);
  if (!isReachable(address)) report([...path, 'address'], 'is no address that others can send to');
  else if (!isHostOf(network, address))
    report([...path, 'address'], `is the network or broadcast address of ${network}`);
  if (gateway === address) report([...path, 'gateway'], "is the uplink's own address");
  else if (!isHostOf(network, gateway))
    report([...path, 'gateway'], `is no host of ${network}, the uplink's network`);
}

/** A network that stations have addresses in. */
export function checkNetwork(cidr: string, path: readonly (string | number)[], report: Report): void {
  // That it is no network is said there.
  if (Ipv4Network.safeParse(cidr).success && !isReachableNetwork(cidr))
    report([...path], 'has addresses that nobody can send to: loopback, multicast or reserved ones');
}

/** As checkStatic4. */
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
