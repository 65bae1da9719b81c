/**
 * Owns which DNS servers the box's other programs ask (chrony for its time servers, the container engine for
 * registries): /etc/resolv.conf of the image is a link to this file.
 * Does not own how the agent and the identity process ask: each over the uplink that it uses (system/uplinkResolver).
 */
import type { Facts } from '../model/facts.ts';
import { isLinkLocal } from '../model/prefixes.ts';
import type { Files } from '../system/ports.ts';

/** resolv.conf(5): no more are read. */
const MAX_SERVERS = 3;
const MAX_BYTES = 4 * 1024;

/** The first of each uplink before the second of any: one provider's two servers go dark together. Pure. */
export function renderResolvConf({ leases, leases6 }: Pick<Facts, 'leases' | 'leases6'>): string {
  // resolv.conf(5) and Go's reader take a zone: of the link alone, an address is of one interface.
  const lists = [...leases, ...leases6].map(({ dns, ifname }) =>
    dns.map((server) => (isLinkLocal(server) ? `${server}%${ifname}` : server)),
  );
  const longest = Math.max(0, ...lists.map((dns) => dns.length));
  const byRank = Array.from({ length: longest }, (_, rank) => lists.flatMap((dns) => dns[rank] ?? []));
  const servers = [...new Set(byRank.flat())].slice(0, MAX_SERVERS);
  return servers.map((server) => `nameserver ${server}\n`).join('');
}

/** Readable for everybody. What no uplink names stays until one does: a box that lost its lines asks nobody anyway. */
export async function holdResolvConf(
  files: Pick<Files, 'readText' | 'writeDurable'>,
  path: string,
  wanted: string,
): Promise<void> {
  if (wanted === '') return;
  const present = await files.readText(path, MAX_BYTES).catch(() => undefined);
  if (present !== wanted) await files.writeDurable(path, wanted, 0o644);
}
