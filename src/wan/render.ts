/**
 * Owns the underlay of a desired state: uplinks, tunnels, the VTEP's address and the rules that never let overlay
 * addresses out in clear. Pure.
 * What forwarding needs of sysctl does not depend on the desired state: firmware/sysctl has it.
 */
import type { DesiredSpec } from '../model/desired.ts';
import type { Facts } from '../model/facts.ts';
import { RULE_PREFERENCE, linkItem } from '../model/ids.ts';
import { address, link, rule } from '../net/itemIds.ts';
import type { NetItem } from '../net/items.ts';
import { orderPaths } from './distances.ts';
import { renderBfdProfiles, renderTunnel } from './tunnels.ts';
import { renderUplinks } from './uplinks.ts';

const MAIN_TABLE = 254;

/** Overlay networks live in main alone; where main has no route there is none at all. */
function confine(network: string, lookup: number, unreachable: number): NetItem[] {
  return [
    rule({ preference: lookup, to: network, action: { kind: 'lookup', table: MAIN_TABLE } }),
    rule({ preference: unreachable, to: network, action: { kind: 'unreachable' } }),
  ];
}

export function renderWan(
  spec: DesiredSpec,
  facts: Facts,
  { clockIsBehind = false }: { readonly clockIsBehind?: boolean } = {},
): NetItem[] {
  const { vtepRange, tunnelRange } = spec.fleet;
  const distanceOf = orderPaths(spec.tunnels);
  return [
    link({ type: 'loopback', name: 'lo' }),
    address({ link: 'lo', address: `${spec.vtep}/32` }, [linkItem('lo')]),
    ...confine(vtepRange, RULE_PREFERENCE.vtepLookup, RULE_PREFERENCE.vtepUnreachable),
    ...confine(tunnelRange, RULE_PREFERENCE.tunnelLookup, RULE_PREFERENCE.tunnelUnreachable),
    ...renderUplinks(spec.uplinks, facts),
    ...renderBfdProfiles(spec.tunnels),
    ...spec.tunnels.flatMap((tunnel) => renderTunnel(tunnel, spec, facts, { distanceOf, clockIsBehind })),
  ];
}
