/**
 * Owns which bootstrap servers there are to ask, over which uplink, in which order. Pure.
 * Does not own asking. All that is found is untrusted: it names where to ask, never what to believe.
 */
import { bracketed } from '../model/addresses.ts';
import type { Problem } from '../model/errors.ts';
import type { Uplink } from './uplink.ts';

/** RFC 8572 8.3 sets no cap; a lease that names more servers than this is not meant well. */
export const MAX_SERVERS_PER_SOURCE = 16;
/** RFC 8572 4.2. */
export const SZTP_SERVICE = '_sztp._tcp';
const MAX_URI_LENGTH = 1024;

export interface Server {
  readonly host: string;
  readonly port: number;
}

export interface Candidate {
  readonly server: Server;
  readonly uplink: Uplink;
  readonly source: 'medium' | 'dns-sd' | 'dhcp' | 'built-in';
}

export interface Discovery {
  readonly candidates: readonly Candidate[];
  /** What was named and not taken; shown to a person, never fatal. */
  readonly problems: readonly Problem[];
}

/** `parseServer` reads it back behind `https://`. */
export const serverName = (server: Server): string => `${bracketed(server.host)}:${server.port}`;
/** A port with both families is two uplinks. */
export const uplinkName = ({ ifname, address }: Pick<Uplink, 'ifname' | 'address'>): string =>
  address.includes(':') ? `${ifname} (IPv6)` : ifname;
export const candidateName = (candidate: Candidate): string =>
  `${serverName(candidate.server)} over ${uplinkName(candidate.uplink)}`;

/** The server of a bootstrap URI (RFC 8572 8.3: `https://<ip-address-or-hostname>[:<port>]`), or why not. */
export function parseServer(uri: string): Server | string {
  if (uri.length > MAX_URI_LENGTH) return `is longer than ${MAX_URI_LENGTH} characters`;
  if (!URL.canParse(uri)) return 'is not a URI';
  const url = new URL(uri);
  if (url.protocol !== 'https:') return 'is not https';
  if (url.username !== '' || url.password !== '') return 'carries credentials';
  if (url.hostname === '') return 'names no host';
  if (url.port === '0') return 'has port 0, which nobody listens on';
  // Neither TLS nor a certificate has the dot that may end a name.
  return { host: url.hostname.replace(/^\[|\]$|\.$/g, ''), port: url.port === '' ? 443 : Number(url.port) };
}

/** What DNS-SD listed over each uplink, as `host:port`. */
export type ListedServers = ReadonlyMap<Uplink, readonly string[]>;

/**
 * What a medium named, over each uplink; what DNS-SD listed and what DHCP said, in their order, over the uplink that said
 * it; then the built-in list over each.
 */
export function discover(
  uplinks: readonly Uplink[],
  builtIn: readonly string[],
  medium: readonly string[] = [],
  listed: ListedServers = new Map(),
): Discovery {
  const candidates: Candidate[] = [];
  const problems: Problem[] = [];
  const seen = new Set<string>();

  function add(
    uplink: Uplink,
    uris: readonly string[],
    source: Candidate['source'],
    at: string,
    named = uris.length,
  ): void {
    if (named > MAX_SERVERS_PER_SOURCE) {
      const message = `names ${named} bootstrap servers: the first ${MAX_SERVERS_PER_SOURCE} are asked, name no more than these`;
      problems.push({ path: at, message });
    }
    for (const [index, uri] of uris.slice(0, MAX_SERVERS_PER_SOURCE).entries()) {
      const server = parseServer(uri);
      if (typeof server === 'string') {
        problems.push({ path: `${at}[${index}]`, message: server });
        continue;
      }
      const candidate: Candidate = { server, uplink, source };
      if (seen.has(candidateName(candidate))) continue;
      seen.add(candidateName(candidate));
      candidates.push(candidate);
    }
  }
  for (const uplink of uplinks) add(uplink, medium, 'medium', 'medium');
  for (const uplink of uplinks) {
    const uris = (listed.get(uplink) ?? []).map((server) => `https://${server}`);
    add(uplink, uris, 'dns-sd', `dns-sd:${uplink.ifname}`);
  }
  for (const uplink of uplinks)
    add(uplink, uplink.bootstrapServers, 'dhcp', `dhcp:${uplink.ifname}`, uplink.namedServers);
  for (const uplink of uplinks) add(uplink, builtIn, 'built-in', 'built-in');
  return { candidates, problems };
}

/** The same, beginning elsewhere each round: one dead server or uplink never holds up the rest for long. */
export function rotate<T>(items: readonly T[], by: number): readonly T[] {
  if (items.length === 0) return items;
  const start = by % items.length;
  return [...items.slice(start), ...items.slice(0, start)];
}
