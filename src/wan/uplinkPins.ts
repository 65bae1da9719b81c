/**
 * Owns the rules that keep an uplink's packets on it, in each family, also in one that it lacks. Does not own its routes (uplinks.ts)
 * nor what is marked (tunnels.ts). Pure.
 */
import type { Uplink } from '../model/desired.ts';
import { RULE_PREFERENCE, uplinkMark, uplinkTable } from '../model/ids.ts';
import { type Addressing, FAMILIES, type Family, hasFamily } from '../model/underlay.ts';
import { rule } from '../net/itemIds.ts';
import type { RuleItem } from '../net/items.ts';

/** A rule of a family; IPv4's says nothing of it. */
export const ofFamily = (family: Family): { readonly family?: 6 } => (family === 6 ? { family } : {});

/** IPv6's kernel lists stay empty on a box that has none. */
export const familiesOf = (uplinks: readonly Addressing[]): readonly Family[] =>
  FAMILIES.filter((family) => family === 4 || uplinks.some((uplink) => hasFamily(uplink, family)));

/**
 * What keeps an uplink's packets on it. In a family that it lacks they end: WireGuard answers where a peer called from,
 * so the mark of one uplink may get onto a packet of either family.
 */
export function renderPins(
  uplink: Pick<Uplink, 'slot' | 'addressing' | 'addressing6'>,
  uplinks: readonly Addressing[],
): RuleItem[] {
  const mark = uplinkMark(uplink.slot);
  return familiesOf(uplinks).flatMap((family) => [
    ...(hasFamily(uplink, family)
      ? [
          rule({
            preference: RULE_PREFERENCE.uplinkMark + uplink.slot,
            ...ofFamily(family),
            mark,
            action: { kind: 'lookup', table: uplinkTable(uplink.slot) },
          }),
        ]
      : []),
    rule({
      preference: RULE_PREFERENCE.uplinkMarkUnreachable + uplink.slot,
      ...ofFamily(family),
      mark,
      action: { kind: 'unreachable' },
    }),
  ]);
}
