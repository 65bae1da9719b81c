/**
 * Owns which uplinks the box's own connections may take, best first: living ones before dark ones, unmetered before
 * metered, then the order of the desired state. An uplink that has both families is tried by IPv4, and by IPv6 once
 * each other uplink was tried. Pure.
 */
import { splitCidr } from '../model/addresses.ts';
import type { DesiredSpec } from '../model/desired.ts';
import type { Facts } from '../model/facts.ts';
import type { GatewayStatus } from '../model/status.ts';
import { attachmentOf, FAMILIES, type Addressing } from '../model/underlay.ts';
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
        Number(b.alive) - Number(a.alive) ||
        Number(a.metered) - Number(b.metered) ||
        a.turn - b.turn ||
        a.order - b.order,
    )
    .map(({ ifname, address, dns, alive }) => ({ ifname, address, dns, alive }));
}

type Candidate = Omit<RankedUplink, 'alive'> & {
  readonly metered: boolean;
  /** How many families of the same uplink go before. */
  readonly turn: number;
};

/** Of a box without a desired state. */
const EVERY_WAY: Addressing = { addressing: { kind: 'dhcp' }, addressing6: { kind: 'auto' } };

function candidates(spec: DesiredSpec | undefined, facts: Facts): readonly Candidate[] {
  const of = (label: string, addressing: Addressing, metered: boolean): readonly Candidate[] => {
    const port = facts.ports.find((one) => one.label === label);
    const ifname = port?.ifname ?? label;
    return FAMILIES.flatMap((family) => {
      const found = attachmentOf(addressing, family, ifname, facts);
      const isStatic = (family === 4 ? addressing.addressing : addressing.addressing6)?.kind === 'static';
      // Bound to an address that is not there yet, a connection fails at once.
      if (found === undefined || (isStatic && port?.carrier !== true)) return [];
      return [{ ifname, address: splitCidr(found.address).address, dns: found.dns, metered }];
    }).map((candidate, turn) => ({ ...candidate, turn }));
  };
  if (spec === undefined) {
    const ports = facts.ports.filter((port) => port.role === 'wan');
    return ports.flatMap(({ label }) => of(label, EVERY_WAY, false));
  }
  return spec.uplinks.flatMap((uplink) => of(uplink.port, uplink, uplink.metered));
}
