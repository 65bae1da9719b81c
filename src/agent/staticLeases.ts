/**
 * Owns telling static uplinks as leases, in the place where the leases of both families are told (system/leases): so
 * whoever asks by which address the box gets out looks in one place, the identity process and the installer's page
 * included.
 * Does not own the address itself (net/address) nor what the DHCP client's hook wrote: each file says whose it is.
 */
import { splitCidr } from '../model/addresses.ts';
import type { Uplink } from '../model/desired.ts';
import type { Facts } from '../model/facts.ts';
import { type Line, uplinkIfname } from '../model/underlay.ts';
import { STATIC_REASON } from '../system/leases6.ts';
import type { Files } from '../system/ports.ts';

/** The hook's files have a reason of dhcpcd's own. */
const OURS = `reason=${STATIC_REASON}\n`;
const MAX_BYTES = 64 * 1024;

type Attachment = Line & Pick<Uplink, 'addressing' | 'addressing6'>;

/** File name → content, for each static uplink whose cable is in: bound to one without, a socket only times out. Pure. */
export function renderStaticLeases(
  uplinks: readonly Attachment[],
  facts: Pick<Facts, 'ports'>,
): ReadonlyMap<string, string> {
  const files = new Map<string, string>();
  for (const uplink of uplinks) {
    const { addressing, addressing6 } = uplink;
    const carrier = facts.ports.some((port) => port.label === uplink.port && port.carrier);
    const ifname = uplinkIfname(uplink, facts);
    if (ifname === undefined || !carrier) continue;
    const head = `${OURS}interface=${ifname}\n`;
    if (addressing.kind === 'static') {
      const { address, prefixLength } = splitCidr(addressing.address);
      files.set(
        `${ifname}.env`,
        `${head}new_ip_address=${address}\nnew_subnet_cidr=${prefixLength}\n` +
          `new_routers=${addressing.gateway}\nnew_domain_name_servers=${addressing.dns.join(' ')}\n`,
      );
    }
    if (addressing6?.kind === 'static') {
      files.set(
        `${ifname}.env6`,
        `${head}nd1_from=${addressing6.gateway}\nnd1_addr1=${addressing6.address}\n` +
          `nd1_rdnss1_servers=${addressing6.dns.join(' ')}\n`,
      );
    }
  }
  return files;
}

export const holdStaticLeases = (
  files: LeaseFiles,
  directory: string,
  wanted: ReadonlyMap<string, string>,
): Promise<void> => holdLeases(files, directory, OURS, wanted);

type LeaseFiles = Pick<Files, 'list' | 'readText' | 'writeDurable' | 'remove'>;

/**
 * Writes and removes what differs of files that begin with `ours`; another process's lease of the same interface gives
 * way to the wanted one.
 */
export async function holdLeases(
  files: LeaseFiles,
  directory: string,
  ours: string,
  wanted: ReadonlyMap<string, string>,
): Promise<void> {
  for (const name of await files.list(directory)) {
    if (!/\.env6?$/.test(name) || wanted.has(name)) continue;
    const text = await files.readText(`${directory}/${name}`, MAX_BYTES).catch(() => undefined);
    if (text?.startsWith(ours) === true) await files.remove(`${directory}/${name}`);
  }
  for (const [name, text] of wanted) {
    const there = await files.readText(`${directory}/${name}`, MAX_BYTES).catch(() => undefined);
    if (there !== text) await files.writeDurable(`${directory}/${name}`, text, 0o644);
  }
}
