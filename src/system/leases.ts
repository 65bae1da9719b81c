/**
 * Owns reading what the DHCP client's hook left: one file `KEY=VALUE` an interface. Hostile input, since whoever
 * answers on the wire chose the values: a field that does not fit is dropped, a lease without an address too.
 * Does not own the hook (firmware/dhcpcd-hook) nor what is done with a lease.
 */
import { DnsName, ipv4ToNumber, IpAddress, Ipv4 } from '../model/addresses.ts';
import { tryDecode } from '../model/decode.ts';
import { Lease } from '../model/facts.ts';
import { InterfaceName } from '../model/ids.ts';
import type { Files } from './ports.ts';

export const LEASES_DIRECTORY = '/run/branchbox/leases';
const SUFFIX = '.env';
/** Of what the agent tells of a modem's bearer (agent/modemLeases). */
export const MODEM_REASON = 'BRANCHBOX_MODEM';
/** A DHCP packet's options are well below this. */
const LEASE_MAX_BYTES = 64 * 1024;
export const MAX_DNS = 8;
export const MAX_BOOTSTRAP_SERVERS = 16;
/** Twice what bootstrap takes (bootstrap/discover.ts). */
const MAX_URI_LENGTH = 2048;

/** All leases held now, by interface name. */
export async function readLeases(
  files: Pick<Files, 'list' | 'readText'>,
  directory = LEASES_DIRECTORY,
): Promise<readonly Lease[]> {
  return readHookFiles(files, directory, SUFFIX, parseLease);
}

/** What `parse` makes of each file of the hook whose name is an interface's and `suffix`. */
export async function readHookFiles<T>(
  files: Pick<Files, 'list' | 'readText'>,
  directory: string,
  suffix: string,
  parse: (ifname: string, text: string) => T | undefined,
): Promise<readonly T[]> {
  const leases: T[] = [];
  for (const name of await files.list(directory)) {
    if (!name.endsWith(suffix)) continue;
    // Removed between list and read, or too large: no lease.
    const text = await files.readText(`${directory}/${name}`, LEASE_MAX_BYTES).catch(() => undefined);
    const lease = text === undefined ? undefined : parse(name.slice(0, -suffix.length), text);
    if (lease !== undefined) leases.push(lease);
  }
  return leases;
}

/** Calls back after any change of a lease until the signal aborts. */
export function watchLeases(
  files: Pick<Files, 'watch'>,
  onChange: () => void,
  signal: AbortSignal,
  directory = LEASES_DIRECTORY,
): void {
  files.watch(directory, onChange, signal);
}

/** One file of the hook, or undefined where it is no lease. Pure. */
export function parseLease(ifname: string, text: string): Lease | undefined {
  if (!InterfaceName.safeParse(ifname).success) return undefined;
  const values = valuesOf(text);
  const named = values.get('interface');
  if (named !== undefined && named !== ifname) return undefined;
  const gateway = words(values.get('new_routers')).find((word) => Ipv4.safeParse(word).success);
  const mtu = values.get('reason') === MODEM_REASON ? Number(values.get('new_interface_mtu')) : undefined;
  const decoded = tryDecode(Lease, {
    ifname,
    address: `${values.get('new_ip_address') ?? ''}/${prefixLengthOf(values)}`,
    ...(gateway === undefined ? {} : { gateway }),
    dns: words(values.get('new_domain_name_servers'))
      .filter((word) => IpAddress.safeParse(word).success)
      .slice(0, MAX_DNS),
    bootstrapServers: words(values.get('new_sztp_redirect')).slice(0, MAX_BOOTSTRAP_SERVERS).map(cutUri),
    ...(mtu !== undefined && mtu >= 1280 && mtu <= 1500 && { mtu }),
  });
  return decoded.ok ? decoded.value : undefined;
}

type Family = 4 | 6;
/** An option as the hook names it, of each family. */
type HookOption = Readonly<Record<Family, string>>;
const SUFFIX_OF: Readonly<Record<Family, string>> = { 4: SUFFIX, 6: '.env6' };

/** 15; of DHCPv6 24. */
const DOMAIN: HookOption = { 4: 'new_domain_name', 6: 'new_dhcp6_domain_search' };
/** 114; of DHCPv6 103 (RFC 8910). */
const PORTAL: HookOption = { 4: 'new_captive_portal_uri', 6: 'new_dhcp6_captive_portal_uri' };
/** 143 and 136 (RFC 8572 section 8). */
const SERVERS: HookOption = { 4: 'new_sztp_redirect', 6: 'new_dhcp6_sztp_redirect' };

/**
 * What `parse` makes of one option, by interface. Beside the lease and not in it: facts go to controllers, and to those of
 * an earlier version too, which take no field that they do not know.
 */
async function readOption<T>(
  files: Pick<Files, 'list' | 'readText'>,
  directory: string,
  suffix: string,
  option: string,
  parse: (value: string) => T | undefined,
): Promise<ReadonlyMap<string, T>> {
  const found = await readHookFiles(files, directory, suffix, (ifname, text) => {
    const value = parse(valuesOf(text).get(option) ?? '');
    return value === undefined ? undefined : ([ifname, value] as const);
  });
  return new Map(found);
}

/** The domain that a network says it is, by interface. */
export const readLeaseDomains = (
  files: Pick<Files, 'list' | 'readText'>,
  family: Family,
  directory = LEASES_DIRECTORY,
): Promise<ReadonlyMap<string, string>> =>
  readOption(
    files,
    directory,
    SUFFIX_OF[family],
    DOMAIN[family],
    (value) => DnsName.safeParse(words(value)[0]).data,
  );

/** Where a network says that a captive portal's API is, by interface, as it says it. */
export const readLeasePortals = (
  files: Pick<Files, 'list' | 'readText'>,
  family: Family,
  directory = LEASES_DIRECTORY,
): Promise<ReadonlyMap<string, string>> =>
  readOption(files, directory, SUFFIX_OF[family], PORTAL[family], (value) =>
    value !== '' && value.length <= MAX_URI_LENGTH ? value : undefined,
  );

/** How many bootstrap servers each network names, by interface: a lease has no more than the first of them. */
export const readNamedServers = (
  files: Pick<Files, 'list' | 'readText'>,
  family: Family,
  directory = LEASES_DIRECTORY,
): Promise<ReadonlyMap<string, number>> =>
  readOption(files, directory, SUFFIX_OF[family], SERVERS[family], (value) => words(value).length);

/** The DHCP server (option 54) whose lease each interface has. */
export const readLeaseServers = (
  files: Pick<Files, 'list' | 'readText'>,
  directory = LEASES_DIRECTORY,
): Promise<ReadonlyMap<string, string>> =>
  readOption(files, directory, SUFFIX, 'new_dhcp_server_identifier', (value) => Ipv4.safeParse(value).data);

/** Where the identity process names the server of a lease that leads nowhere, a file an interface (firmware/other-dhcp). */
export const LEADS_NOWHERE_DIRECTORY = '/run/branchbox/leads-nowhere';

/** By name, in the file's order, without quotes. Pure. */
export function valuesOf(text: string): ReadonlyMap<string, string> {
  const values = new Map<string, string>();
  for (const line of text.split('\n')) {
    const match = /^([a-z0-9_]+)=(.*)$/.exec(line);
    if (match?.[1] !== undefined && match[2] !== undefined) values.set(match[1], unquote(match[2]));
  }
  return values;
}

/** dhcpcd gives both; the mask is the option on the wire (RFC 2132 3.3), the CIDR its own reading of it. */
function prefixLengthOf(values: ReadonlyMap<string, string>): string {
  const cidr = values.get('new_subnet_cidr');
  if (cidr !== undefined && /^\d{1,2}$/.test(cidr)) return cidr;
  const mask = values.get('new_subnet_mask');
  if (mask === undefined || !Ipv4.safeParse(mask).success) return '32';
  const inverse = 0xffff_ffff - ipv4ToNumber(mask);
  // A mask with holes has an inverse that is no power of two less one.
  return Number.isInteger(Math.log2(inverse + 1)) ? String(32 - Math.log2(inverse + 1)) : '32';
}

/** What is too long for any server is kept as far as it is told: bootstrap says why it asks nobody by it. */
export const cutUri = (uri: string): string => uri.slice(0, MAX_URI_LENGTH);

export const words = (text: string | undefined): readonly string[] =>
  (text ?? '').split(/[\s,]+/).filter(Boolean);

function unquote(value: string): string {
  const match = /^'(.*)'$/.exec(value) ?? /^"(.*)"$/.exec(value);
  return match?.[1] ?? value;
}
