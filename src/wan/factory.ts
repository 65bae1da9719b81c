/**
 * Owns what a box holds before it has any desired state: every WAN port by DHCP, each with a table of its own, so
 * that bootstrap can try all of them. Slots follow the order of the ports in the hardware model.
 */
import type { Facts } from '../model/facts.ts';
import type { NetItem } from '../net/items.ts';
import { renderUplinks } from './uplinks.ts';

/** fwmarks and tables leave room for 15 slots. */
const MAX_UPLINKS = 15;

export function renderFactory(facts: Facts): NetItem[] {
  const ports = facts.ports.filter((port) => port.role === 'wan').slice(0, MAX_UPLINKS);
  return renderUplinks(
    ports.map((port, index) => ({
      port: port.label,
      slot: index + 1,
      addressing: { kind: 'dhcp' },
      metered: false,
    })),
    facts,
  );
}
