/**
 * Owns finding a service by DNS-SD (RFC 6763) over one uplink, unicast: instances of the domain (PTR), where each is (SRV);
 * where none is found, the service's own SRV (RFC 2782). Does not own what is done with what is found: whoever
 * answers for the network's DNS chose it. Multicast DNS is not asked, nor TXT.
 */
import type { SrvRecord } from 'node:dns';
import type { Resolver } from 'node:dns/promises';
import { askServers, type ResolvingUplink } from './uplinkResolver.ts';

/** Who lists more is not meant well; each is a question. */
const MAX_INSTANCES = 8;

/** `host:port` in the order of RFC 2782 but for chance: by priority, then by weight. Nobody and no answer are the same. */
export async function findService(
  service: string,
  domain: string,
  uplink: ResolvingUplink,
): Promise<readonly string[]> {
  const name = `${service}.${domain}`;
  const found = await askServers(uplink, async (resolver) => {
    const instances = await resolver.resolvePtr(name).catch((): string[] => []);
    // Node's resolver (c-ares) asks for no name with a space in it (EBADNAME): such an instance is as if it were not there.
    const located = await servicesOf(resolver, instances.slice(0, MAX_INSTANCES));
    return located.length > 0 ? located : servicesOf(resolver, [name]);
  });
  return (
    (found ?? [])
      // A target of the root: decidedly not there.
      .filter((record) => record.name !== '' && record.name !== '.')
      .toSorted((left, right) => left.priority - right.priority || right.weight - left.weight)
      .map((record) => `${record.name}:${record.port}`)
  );
}

async function servicesOf(resolver: Resolver, names: readonly string[]): Promise<SrvRecord[]> {
  const records = names.map((name) => resolver.resolveSrv(name).catch((): SrvRecord[] => []));
  return (await Promise.all(records)).flat();
}
