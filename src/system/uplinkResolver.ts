/**
 * Owns which DNS servers are asked for a name over one uplink: that uplink's own, from its own address.
 * Does not own what is asked (uplinkDial.ts, serviceDiscovery.ts).
 */
import { Resolver } from 'node:dns/promises';
import { isIP } from 'node:net';
import { isLinkLocal } from '../model/prefixes.ts';
import { type DnsRelay, openDnsRelay } from './dnsRelay.ts';

export interface ResolvingUplink {
  readonly ifname: string;
  /** Without prefix length. */
  readonly address: string;
  readonly dns: readonly string[];
}

export interface ResolverLimits {
  /** Of one try of one server. */
  readonly timeoutMs: number;
  readonly tries: number;
}

/** Of a resolver, what asks for addresses. */
export type AddressResolver = Pick<Resolver, 'resolve4' | 'resolve6'>;
export type AskForAddresses = <T>(
  uplink: ResolvingUplink,
  ask: (resolver: AddressResolver) => Promise<T>,
) => Promise<T | undefined>;

const LIMITS: ResolverLimits = { timeoutMs: 1000, tries: 2 };

/** Resolves to what `ask` resolves to, or to undefined where the uplink has no server that can be asked from its address. */
export async function askServers<T>(
  uplink: ResolvingUplink,
  ask: (resolver: Resolver) => Promise<T>,
): Promise<T | undefined> {
  // A server of the other family cannot be asked from this address.
  const servers = uplink.dns.filter((server) => isIP(server) === isIP(uplink.address));
  return servers.length === 0 ? undefined : askThese(servers, uplink, ask, LIMITS);
}

/** The same of servers of the uplink's family, one at least, in their order. The resolver is good until `ask` has ended. */
export async function askThese<T>(
  servers: readonly string[],
  { ifname, address }: Pick<ResolvingUplink, 'ifname' | 'address'>,
  ask: (resolver: Resolver) => Promise<T>,
  { timeoutMs, tries }: ResolverLimits,
): Promise<T> {
  const resolver = new Resolver({ timeout: timeoutMs, tries });
  const relays: DnsRelay[] = [];
  const reachable = async (server: string): Promise<string> => {
    if (!isLinkLocal(server)) return server;
    const relay = await openDnsRelay(`${server}%${ifname}`);
    relays.push(relay);
    return relay.server;
  };
  try {
    const asked: string[] = [];
    for (const server of servers) asked.push(await reachable(server));
    resolver.setServers(asked);
    if (isIP(address) === 6) resolver.setLocalAddress('0.0.0.0', address);
    else resolver.setLocalAddress(address);
    return await ask(resolver);
  } finally {
    for (const relay of relays) relay.close();
  }
}
