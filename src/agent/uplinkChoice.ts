/**
 * Owns which uplinks the box's own connections may take, best first: living ones before dark ones, unmetered before
 * metered, then the order of the desired state. An uplink that has both families is tried by IPv4, and by IPv6 once
 * each other uplink was tried. Pure.
 */
import { splitCidr } from '../model/addresses.ts';
import type { DesiredSpec } from '../model/desired.ts';
import type { Facts } from '../model/facts.ts';
import type { BootstrapNetwork } from '../model/medium.ts';
import type { GatewayStatus } from '../model/status.ts';
import {
  type Addressing,
  attachmentOf,
  carrierIfname,
  FAMILIES,
  type Line,
  portIfname,
  uplinkIfname,
} from '../model/underlay.ts';
import type { UplinkAddress } from '../system/uplinkDial.ts';
import { planFactoryUplinks } from '../wan/factory.ts';

export interface RankedUplink extends UplinkAddress {
  /** false: known to be dark. Tried last, and given up where another is alive. */
  readonly alive: boolean;
}

export function rankUplinks(
  spec: DesiredSpec | undefined,
  facts: Facts,
  uplinks: GatewayStatus['uplinks'],
  network?: BootstrapNetwork,
): readonly RankedUplink[] {
  const states = new Map(uplinks.map(({ ifname, state }) => [ifname, state]));
  const ranked = candidates(spec?.uplinks ?? planFactoryUplinks(facts, network), facts).map(
    (candidate, order) => ({
      ...candidate,
      alive: states.get(candidate.ifname) !== 'down',
      order,
    }),
  );
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

/** The links that such a connection goes by, there or not: of each uplink its port, a VLAN and a session on that. */
export function linksOfUplinks(
  spec: DesiredSpec | undefined,
  facts: Facts,
  network?: BootstrapNetwork,
): ReadonlySet<string> {
  const uplinks = spec?.uplinks ?? planFactoryUplinks(facts, network);
  return new Set(
    uplinks.flatMap((uplink) =>
      [portIfname(uplink.port, facts), carrierIfname(uplink, facts), uplinkIfname(uplink, facts)].filter(
        (ifname) => ifname !== undefined,
      ),
    ),
  );
}

type Candidate = Omit<RankedUplink, 'alive'> & {
  readonly metered: boolean;
  /** How many families of the same uplink go before. */
  readonly turn: number;
};

function candidates(
  uplinks: readonly (Line & Addressing & { readonly metered: boolean })[],
  facts: Facts,
): readonly Candidate[] {
  return uplinks.flatMap((uplink) => {
    const { port, metered, addressing, addressing6 } = uplink;
    const ifname = uplinkIfname(uplink, facts) ?? port;
    const carrier = facts.ports.some(({ label, carrier }) => label === port && carrier);
    return FAMILIES.flatMap((family) => {
      const found = attachmentOf(uplink, family, ifname, facts);
      const isStatic = (family === 4 ? addressing : addressing6)?.kind === 'static';
      // Bound to an address that is not there yet, a connection fails at once.
      if (found === undefined || (isStatic && !carrier)) return [];
      return [{ ifname, address: splitCidr(found.address).address, dns: found.dns, metered }];
    }).map((candidate, turn) => ({ ...candidate, turn }));
  });
}
