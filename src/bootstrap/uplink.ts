/**
 * Owns what bootstrap needs of an uplink, and waking when one comes or goes.
 * Does not own bringing uplinks up (wan, dhcpcd) nor reading leases (system/leases).
 */
import type { Lease, Lease6 } from '../model/facts.ts';
import { splitCidr } from '../model/addresses.ts';
import { readLeases6 } from '../system/leases6.ts';
import { readLeaseDomains, readLeasePortals, readLeases, readNamedServers } from '../system/leases.ts';
import type { Files } from '../system/ports.ts';

export interface Uplink {
  readonly ifname: string;
  /** Ours, IPv4 or IPv6; sockets are bound to it. A port that has both is two uplinks. */
  readonly address: string;
  readonly dns: readonly string[];
  /** From DHCP option 143, DHCPv6 option 136; untrusted. */
  readonly bootstrapServers: readonly string[];
  /** How many servers DHCP named, where that is more than a lease keeps. */
  readonly namedServers?: number;
  /** As DHCP named it: where DNS-SD may list bootstrap servers; untrusted. */
  readonly domain?: string;
  /** Where a captive portal's API is, as DHCP named it (RFC 8910); untrusted. */
  readonly portalApi?: string;
}

type ByInterface = ReadonlyMap<string, string>;

export function uplinkOf(
  lease: Lease | Lease6,
  domains: ByInterface = new Map(),
  portals: ByInterface = new Map(),
  named: ReadonlyMap<string, number> = new Map(),
): Uplink {
  const namedServers = named.get(lease.ifname) ?? 0;
  const domain = domains.get(lease.ifname);
  const portalApi = portals.get(lease.ifname);
  return {
    ifname: lease.ifname,
    address: splitCidr(lease.address).address,
    dns: lease.dns,
    bootstrapServers: lease.bootstrapServers,
    ...(namedServers > lease.bootstrapServers.length && { namedServers }),
    ...(domain !== undefined && { domain }),
    ...(portalApi !== undefined && { portalApi }),
  };
}

/** Ways out of the box, read anew at each call. */
export interface Uplinks {
  all(): Promise<readonly Uplink[]>;
}

export function createUplinks(files: Files, leaseDirectory?: string): Uplinks {
  return {
    async all() {
      const domains4 = await readLeaseDomains(files, 4, leaseDirectory);
      const domains6 = await readLeaseDomains(files, 6, leaseDirectory);
      const portals4 = await readLeasePortals(files, 4, leaseDirectory);
      const portals6 = await readLeasePortals(files, 6, leaseDirectory);
      const named4 = await readNamedServers(files, 4, leaseDirectory);
      const named6 = await readNamedServers(files, 6, leaseDirectory);
      return [
        ...(await readLeases(files, leaseDirectory)).map((lease) =>
          uplinkOf(lease, domains4, portals4, named4),
        ),
        // After those of IPv4: where both are, what most networks look after comes first.
        ...(await readLeases6(files, leaseDirectory)).map((lease) =>
          uplinkOf(lease, domains6, portals6, named6),
        ),
      ];
    },
  };
}
