/**
 * Owns whom a name is asked of over one uplink: that uplink's own DNS servers, from its own address.
 * Does not own what is asked (uplinkDial.ts, serviceDiscovery.ts).
 */
import { Resolver } from 'node:dns/promises';
import { isIP } from 'node:net';

export interface ResolvingUplink {
  readonly ifname: string;
  /** Without prefix length. */
  readonly address: string;
  readonly dns: readonly string[];
}

const DNS_TIMEOUT_MS = 1000;
const DNS_TRIES = 2;

/** undefined where the uplink has no server that can be asked from its address. */
export function openResolver(uplink: ResolvingUplink): Resolver | undefined {
  const family = isIP(uplink.address);
  // A server of the other family cannot be asked from this address.
  const servers = uplink.dns.filter((server) => isIP(server) === family);
  if (servers.length === 0) return undefined;
  const resolver = new Resolver({ timeout: DNS_TIMEOUT_MS, tries: DNS_TRIES });
  resolver.setServers(servers);
  if (family === 6) resolver.setLocalAddress('0.0.0.0', uplink.address);
  else resolver.setLocalAddress(uplink.address);
  return resolver;
}
