/**
 * Owns reading what router advertisements and DHCPv6 gave, as the client's hook left it: `<interface>.env6` beside the
 * leases of IPv4. As hostile: a field that does not fit is dropped, an interface without a global address too.
 * Does not own the hook (firmware/dhcpcd-hook) nor what is done with a lease.
 */
import { Ipv6 } from '../model/addresses.ts';
import { tryDecode } from '../model/decode.ts';
import { Lease6 } from '../model/facts.ts';
import { InterfaceName } from '../model/ids.ts';
import { isLinkLocal, prefixHolds } from '../model/prefixes.ts';
import {
  cutUri,
  LEASES_DIRECTORY,
  MAX_BOOTSTRAP_SERVERS,
  MAX_DNS,
  readHookFiles,
  valuesOf,
  words,
} from './leases.ts';
import type { Files } from './ports.ts';

const SUFFIX = '.env6';
/** `reason` of a file that the agent wrote for a static uplink. The hook writes none into a file of IPv6. */
export const STATIC_REASON = 'BRANCHBOX_STATIC';

export async function readLeases6(
  files: Pick<Files, 'list' | 'readText'>,
  directory = LEASES_DIRECTORY,
): Promise<readonly Lease6[]> {
  return readHookFiles(files, directory, SUFFIX, parseLease6);
}

/**
 * `nd<n>_addr<m>` of an advertisement, `new_dhcp6_ia_na<n>_ia_addr<m>` of DHCPv6, as dhcpcd names them. Advertisements
 * alone name a router and what else is on the link. Pure.
 */
export function parseLease6(ifname: string, text: string): Lease6 | undefined {
  if (!InterfaceName.safeParse(ifname).success) return undefined;
  const values = valuesOf(text);
  const addresses: string[] = [];
  const dns: string[] = [];
  const bootstrapServers: string[] = [];
  for (const [key, value] of values) {
    const found = words(value);
    // What DHCPv6 assigned before what was made up from a prefix: it is the one its server knows.
    if (/^new_dhcp6_ia_na\d+_ia_addr\d+$/.test(key)) addresses.unshift(...found);
    else if (/^nd\d+_addr\d+$/.test(key)) addresses.push(...found);
    else if (key === 'new_dhcp6_name_servers' || /^nd\d+_rdnss\d+_servers$/.test(key)) dns.push(...found);
    else if (key === 'new_dhcp6_sztp_redirect') bootstrapServers.push(...found);
  }
  const found = addresses.find((word) => isRoutable(word.split('/', 1)[0] ?? ''));
  if (found === undefined) return undefined;
  const [address = '', told] = found.split('/');
  const gateway = routerOf(values);
  const decoded = tryDecode(Lease6, {
    ifname,
    address: `${address}/${told ?? onLinkLength(values, address)}`,
    ...(gateway === undefined ? {} : { gateway }),
    dns: [...new Set(dns.map((word) => unscoped(word, ifname)))].filter(isServer).slice(0, MAX_DNS),
    bootstrapServers: bootstrapServers.slice(0, MAX_BOOTSTRAP_SERVERS).map(cutUri),
  });
  return decoded.ok ? decoded.value : undefined;
}

/**
 * The first that wants to be a default router (RFC 4861 4.2: a lifetime of 0 says that it does not). Advertisements come
 * from an address of the link alone; a static gateway may have any.
 */
function routerOf(values: ReadonlyMap<string, string>): string | undefined {
  if (values.get('reason') === STATIC_REASON) return values.get('nd1_from');
  for (const [key, value] of values) {
    const number = /^nd(\d+)_from$/.exec(key)?.[1];
    if (number === undefined || !isLinkLocal(value)) continue;
    if (values.get(`nd${number}_lifetime`) !== '0') return value;
  }
  return undefined;
}

/** Of the advertised prefix that the address lies in, where it says that all of it is on the link (RFC 4861 4.6.2). */
function onLinkLength(values: ReadonlyMap<string, string>, address: string): string {
  for (const [key, prefix] of values) {
    const name = /^(nd\d+_prefix_information\d+)_prefix$/.exec(key)?.[1];
    if (name === undefined || values.get(`${name}_flags`)?.includes('L') !== true) continue;
    const length = values.get(`${name}_length`) ?? '';
    if (/^\d{1,3}$/.test(length) && prefixHolds(`${prefix}/${length}`, address)) return length;
  }
  return '128';
}

/** dhcpcd names the interface beside an address of the link (`fe80::1%wan1`), which is ours: advertisements are of one link. */
const unscoped = (word: string, ifname: string): string =>
  word.endsWith(`%${ifname}`) ? word.slice(0, -ifname.length - 1) : word;

/** Whom names can be asked of: RFC 8106 5.1 lets a router name itself as the link knows it. */
const isServer = (word: string): boolean =>
  isRoutable(word) || (Ipv6.safeParse(word).success && isLinkLocal(word));

/** Neither of one link (fe80::/10) nor of many (ff00::/8), this host nor none. */
const isRoutable = (word: string): boolean =>
  Ipv6.safeParse(word).success && !/^(?:fe[89ab]|ff)/i.test(word) && word !== '::1' && word !== '::';
