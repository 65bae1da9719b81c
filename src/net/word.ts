/**
 * Owns the check that a value can stand as one word of a batch line or an nft command.
 * `ip -batch` ends at the first line whose arguments it cannot parse, and takes everything after it down with it:
 * so nothing that is not plainly well-formed reaches it, and the bad item alone fails.
 */
import { IpAddress, MacAddress } from '../model/addresses.ts';
import { BranchboxError } from '../model/errors.ts';
import { InterfaceName } from '../model/ids.ts';

function unfit(what: string, value: string): BranchboxError {
  return new BranchboxError('model/invalid', { message: `${what} cannot be ${JSON.stringify(value)}` });
}

/** `lo` and every other interface name. */
export function ifnameWord(value: string): string {
  if (!InterfaceName.safeParse(value).success) throw unfit('an interface name', value);
  return value;
}

export function addressWord(value: string): string {
  if (!IpAddress.safeParse(value).success) throw unfit('an IP address', value);
  return value;
}

/** `10.0.0.0/8`, or an address alone. */
export function prefixWord(value: string): string {
  const [address = '', length, ...rest] = value.split('/');
  const max = address.includes(':') ? 128 : 32;
  const fits = length === undefined || (/^\d{1,3}$/.test(length) && Number(length) <= max);
  if (rest.length > 0 || !fits || !IpAddress.safeParse(address).success) throw unfit('a prefix', value);
  return value;
}

export function macWord(value: string): string {
  if (!MacAddress.safeParse(value).success) throw unfit('a MAC address', value);
  return value;
}

export function numberWord(value: number, max: number): string {
  if (!Number.isSafeInteger(value) || value < 0 || value > max) throw unfit('a number', String(value));
  return String(value);
}

/** nft's own identifiers: chains and sets. */
export function nftNameWord(value: string): string {
  if (!/^[a-zA-Z_][a-zA-Z0-9_.-]{0,126}$/.test(value)) throw unfit('an nft name', value);
  return value;
}

/** Text of one line: a rule, a key. Several lines could smuggle in another command. */
export function nftLineText(value: string): string {
  // eslint-disable-next-line no-control-regex
  if (value.length > 4096 || /[\u0000-\u001f;]/.test(value)) throw unfit('nft text', value.slice(0, 100));
  return value;
}

export const isIpv6 = (text: string): boolean => text.includes(':');
export const MAX_U32 = 4_294_967_295;
