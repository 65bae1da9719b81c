/**
 * Owns which uplinks the box's own connections may take, best first: living ones before dark ones, unmetered before
 * metered, then the order of the desired state. Pure.
 */
import { splitCidr } from '../model/addresses.ts';
import type { DesiredSpec } from '../model/desired.ts';
import type { Facts } from '../model/facts.ts';
import type { GatewayStatus } from '../model/status.ts';
import type { RankedUplink } from './controllerLink.ts';

export function rankUplinks(
  spec: DesiredSpec | undefined,
  facts: Facts,
  uplinks: GatewayStatus['uplinks'],
): readonly RankedUplink[] {
  const states = new Map(uplinks.map(({ ifname, state }) => [ifname, state]));
  const ranked = candidates(spec, facts).map((candidate, order) => ({
    ...candidate,
    alive: states.get(candidate.ifname) !== 'down',
    order,
  }));
  return ranked
    .toSorted(
      (a, b) =>
        Number(b.alive) - Number(a.alive) || Number(a.metered) - Number(b.metered) || a.order - b.order,
    )
    .map(({ ifname, address, dns, alive }) => ({ ifname, address, dns, alive }));
}

type Candidate = Omit<RankedUplink, 'alive'> & { readonly metered: boolean };

function candidates(spec: DesiredSpec | undefined, facts: Facts): readonly Candidate[] {
  const leased = (ifname: string, metered: boolean): readonly Candidate[] => {
    const lease = facts.leases.find((one) => one.ifname === ifname);
    if (lease === undefined) return [];
    return [{ ifname, address: splitCidr(lease.address).address, dns: lease.dns, metered }];
  };
  const ifnameOf = (label: string): string =>
    facts.ports.find((port) => port.label === label)?.ifname ?? label;
  if (spec === undefined) {
    const ports = facts.ports.filter((port) => port.role === 'wan');
    return ports.flatMap((port) => leased(ifnameOf(port.label), false));
  }
  return spec.uplinks.flatMap(({ port, addressing, metered }) => {
    const ifname = ifnameOf(port);
    if (addressing.kind === 'dhcp') return leased(ifname, metered);
    // Bound to an address that is not there yet, a connection fails at once.
    if (facts.ports.find((one) => one.label === port)?.carrier !== true) return [];
    return [{ ifname, address: splitCidr(addressing.address).address, dns: addressing.dns, metered }];
  });
}
