/**
 * Owns the schemas of addresses and the little arithmetic the model needs on IPv4 prefixes.
 * Own arithmetic, since the common libraries read `010.0.0.1` as 8.0.0.1; zod's ipv4 refuses leading zeros.
 */
import { z } from 'zod';

export const Ipv4 = z.ipv4();
export const Ipv6 = z.ipv6();
export const IpAddress = z.union([z.ipv4(), z.ipv6()]);
/** Address with prefix length: `10.0.0.1/24`; host bits allowed. */
export const Ipv4Interface = z.cidrv4();
export const Ipv6Interface = z.cidrv6();
/** A network: host bits must be zero. */
export const Ipv4Network = z.cidrv4().refine((cidr) => networkOf(cidr) === cidr, 'host bits must be zero');
export const MacAddress = z.string().regex(/^[0-9a-f]{2}(:[0-9a-f]{2}){5}$/, 'a MAC address in lower case');
export const Port = z.int().min(1).max(65_535);
/** Curve25519 public key, base64 (wg(8)). */
export const WireGuardPublicKey = z
  .string()
  .regex(/^[A-Za-z0-9+/]{42}[AEIMQUYcgkosw048]=$/, 'a WireGuard public key');
export const DnsName = z
  .string()
  .max(253)
  .regex(/^[a-zA-Z0-9]([a-zA-Z0-9-]{0,62})(\.[a-zA-Z0-9]([a-zA-Z0-9-]{0,62}))*$/, 'a DNS name');

export function ipv4ToNumber(address: string): number {
  return address.split('.').reduce((sum, octet) => sum * 256 + Number(octet), 0);
}

export function numberToIpv4(value: number): string {
  return [24, 16, 8, 0].map((shift) => Math.floor(value / 2 ** shift) % 256).join('.');
}

export function splitCidr(cidr: string): { readonly address: string; readonly prefixLength: number } {
  const [address = '', length = '32'] = cidr.split('/');
  return { address, prefixLength: Number(length) };
}

/** The network of an interface address: `10.0.0.7/24` → `10.0.0.0/24`. */
export function networkOf(cidr: string): string {
  const { address, prefixLength } = splitCidr(cidr);
  const size = 2 ** (32 - prefixLength);
  return `${numberToIpv4(Math.floor(ipv4ToNumber(address) / size) * size)}/${prefixLength}`;
}

export function contains(network: string, address: string): boolean {
  const { prefixLength } = splitCidr(network);
  return networkOf(`${address}/${prefixLength}`) === networkOf(network);
}

export function overlaps(a: string, b: string): boolean {
  return contains(a, splitCidr(b).address) || contains(b, splitCidr(a).address);
}

/** Whether a host of that network may have it: not the network's own address nor its broadcast (RFC 3021: a /31 has neither). */
export function isHostOf(network: string, address: string): boolean {
  if (!contains(network, address)) return false;
  const { address: base, prefixLength } = splitCidr(networkOf(network));
  if (prefixLength >= 31) return true;
  const host = ipv4ToNumber(address) - ipv4ToNumber(base);
  return host !== 0 && host !== 2 ** (32 - prefixLength) - 1;
}

/** Whether packets can be sent there from elsewhere: neither unspecified, loopback, multicast nor reserved (RFC 1122 3.2.1.3, RFC 4291 2.5 and 2.7). */
export function isReachable(address: string): boolean {
  if (address.includes(':')) return !/^[0:]*1?$/.test(address) && !/^ff/i.test(address);
  const first = Math.floor(ipv4ToNumber(address) / 2 ** 24);
  return first !== 0 && first !== 127 && first < 224;
}

/** Whether packets can be sent to all of a network of IPv4 (isReachable). */
export function isReachableNetwork(cidr: string): boolean {
  const { address, prefixLength } = splitCidr(networkOf(cidr));
  const last = ipv4ToNumber(address) + 2 ** (32 - prefixLength) - 1;
  // What cannot be reached is at both ends of the numbers, and one block between: that of loopback.
  return isReachable(address) && isReachable(numberToIpv4(last)) && !contains(cidr, '127.0.0.1');
}

/** A host as URIs and Host headers have it (RFC 3986 3.2.2). */
export const bracketed = (host: string): string => (host.includes(':') ? `[${host}]` : host);

/** Whether one station has it: the group bit is clear (IEEE 802, 8.2), and it is not all zero. */
export function isStationMac(macAddress: string): boolean {
  return Number.parseInt(macAddress.slice(0, 2), 16) % 2 === 0 && macAddress !== '00:00:00:00:00:00';
}
