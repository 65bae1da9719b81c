/**
 * Owns reading what router advertisements and DHCPv6 gave, as the client's hook left it: `<interface>.env6` beside the
 * leases of IPv4. As hostile: a field that does not fit is dropped, an interface without a global address too.
 * Does not own the hook (firmware/dhcpcd-hook). Only bootstrap uses IPv6 uplinks so far, so the model's facts know none.
 */
import { z } from 'zod';
import { InterfaceName } from '../model/ids.ts';
import {
  LEASES_DIRECTORY,
  MAX_BOOTSTRAP_SERVERS,
  MAX_DNS,
  MAX_URI_LENGTH,
  readHookFiles,
  valuesOf,
  words,
} from './leases.ts';
import type { Files } from './ports.ts';

const SUFFIX = '.env6';
const Ipv6 = z.ipv6();

export interface Lease6 {
  readonly ifname: string;
  /** Global or unique local. */
  readonly address: string;
  /** RFC 8106 or RFC 3646; none of one link alone, which would need a scope. */
  readonly dns: readonly string[];
  /** DHCPv6 option 136 (RFC 8572 8.2). */
  readonly bootstrapServers: readonly string[];
}

export async function readLeases6(
  files: Pick<Files, 'list' | 'readText'>,
  directory = LEASES_DIRECTORY,
): Promise<readonly Lease6[]> {
  return readHookFiles(files, directory, SUFFIX, parseLease6);
}

/** `nd<n>_addr<m>` of an advertisement, `new_dhcp6_ia_na<n>_ia_addr<m>` of DHCPv6, as dhcpcd names them. Pure. */
export function parseLease6(ifname: string, text: string): Lease6 | undefined {
  if (!InterfaceName.safeParse(ifname).success) return undefined;
  const addresses: string[] = [];
  const dns: string[] = [];
  const bootstrapServers: string[] = [];
  for (const [key, value] of valuesOf(text)) {
    const found = words(value);
    // What DHCPv6 assigned before what was made up from a prefix: it is the one its server knows.
    if (/^new_dhcp6_ia_na\d+_ia_addr\d+$/.test(key)) addresses.unshift(...found);
    else if (/^nd\d+_addr\d+$/.test(key)) addresses.push(...found);
    else if (key === 'new_dhcp6_name_servers' || /^nd\d+_rdnss\d+_servers$/.test(key)) dns.push(...found);
    else if (key === 'new_dhcp6_sztp_redirect') bootstrapServers.push(...found);
  }
  const address = addresses.map((word) => word.split('/', 1)[0] ?? '').find(isRoutable);
  if (address === undefined) return undefined;
  return {
    ifname,
    address,
    dns: [...new Set(dns)].filter(isRoutable).slice(0, MAX_DNS),
    bootstrapServers: bootstrapServers
      .filter((uri) => uri.length <= MAX_URI_LENGTH)
      .slice(0, MAX_BOOTSTRAP_SERVERS),
  };
}

/** Neither of one link (fe80::/10) nor of many (ff00::/8), this host nor none. */
const isRoutable = (word: string): boolean =>
  Ipv6.safeParse(word).success && !/^(?:fe[89ab]|ff)/i.test(word) && word !== '::1' && word !== '::';
