/**
 * Owns the arithmetic on prefixes of both families, and the one way an IPv6 address is written (RFC 5952): the kernel's,
 * so that what is wished for and what is observed are the same text. Pure.
 * Does not own the schemas, nor what the overlay needs, which is IPv4 alone (addresses.ts).
 */
import { IpAddress } from './addresses.ts';

/** Both families; an IPv4 address that came over an IPv6 socket is IPv4. */
export function prefixHolds(prefix: string, address: string): boolean {
  const [network = '', length = ''] = prefix.split('/');
  const left = addressBits(network);
  const right = addressBits(address);
  return left.length === right.length && left.slice(0, Number(length)) === right.slice(0, Number(length));
}

/** `::ffff:198.51.100.7` → `198.51.100.7`. */
export const plainAddress = (address: string): string =>
  /^::ffff:(\d{1,3}(?:\.\d{1,3}){3})$/i.exec(address)?.[1] ?? address;

/** `2001:DB8:0:0::7` → `2001:db8::7`; IPv4 as it is, and with it what is no address. */
export function canonicalAddress(address: string): string {
  const bits = addressBits(address);
  return bits.length === 128 ? ipv6Text(bits) : address;
}

/** The same of an address with prefix length. */
export function canonicalCidr(cidr: string): string {
  const [address = '', length = ''] = cidr.split('/');
  return `${canonicalAddress(address)}/${length}`;
}

/** `2001:db8::7/64` → `2001:db8::/64`. */
export function ipv6NetworkOf(cidr: string): string {
  const [address = '', length = ''] = cidr.split('/');
  return `${ipv6Text(addressBits(address).slice(0, Number(length)).padEnd(128, '0'))}/${Number(length)}`;
}

/** RFC 4291 2.5.6: counts on one link alone. */
export const isLinkLocal = (address: string): boolean => prefixHolds('fe80::/10', address);

/** 4 of IPv4, 16 of IPv6; none of what is no address. */
export const octetsOf = (address: string): readonly number[] =>
  (addressBits(address).match(/.{8}/g) ?? []).map((octet) => Number.parseInt(octet, 2));

/** The other way: 16 octets, IPv4 as RFC 4291 2.5.5.2 maps it. */
export function addressOfOctets(octets: readonly number[]): string {
  const text = octets.map((octet) => bits(octet, 8)).join('');
  const isMapped = /^0{80}1{16}/.test(text);
  return isMapped ? octets.slice(12).join('.') : ipv6Text(text);
}

/** RFC 5952 4: lower case, no leading zeros, the longest run of two or more zero groups left out, the first of equals. */
function ipv6Text(bits: string): string {
  const groups = (bits.match(/.{16}/g) ?? []).map((group) => Number.parseInt(group, 2).toString(16));
  let start = 0;
  let run = 0;
  for (let at = 0; at < groups.length; at += 1) {
    let length = 0;
    while (groups[at + length] === '0') length += 1;
    if (length > run) [start, run] = [at, length];
  }
  if (run < 2) return groups.join(':');
  return `${groups.slice(0, start).join(':')}::${groups.slice(start + run).join(':')}`;
}

function addressBits(text: string): string {
  const plain = plainAddress(text);
  if (!IpAddress.safeParse(plain).success) return '';
  if (!plain.includes(':'))
    return plain
      .split('.')
      .map((octet) => bits(Number(octet), 8))
      .join('');
  const [head = '', tail] = plain.split('::');
  const groups = (part: string): string[] => (part === '' ? [] : part.split(':').flatMap(groupBits));
  const before = groups(head).join('');
  const after = groups(tail ?? '').join('');
  return before + '0'.repeat(Math.max(0, 128 - before.length - after.length)) + after;
}

/** A group of IPv6, or the IPv4 address that its last 32 bits may be written as. */
const groupBits = (group: string): string[] =>
  group.includes('.')
    ? group.split('.').map((octet) => bits(Number(octet), 8))
    : [bits(Number.parseInt(group, 16), 16)];
const bits = (value: number, width: number): string => value.toString(2).padStart(width, '0');
