/**
 * Owns the items of one uplink: its port, its address, its own routing table and the rules that keep what belongs
 * to it on it. The same with and without a desired state, so that taking one on moves nothing.
 * Does not own tunnels (tunnels.ts).
 */
import { networkOf, splitCidr } from '../model/addresses.ts';
import type { Uplink } from '../model/desired.ts';
import type { Facts } from '../model/facts.ts';
import {
  type ItemId,
  MANAGEMENT_TABLE,
  RULE_PREFERENCE,
  itemId,
  linkItem,
  uplinkMark,
  uplinkTable,
} from '../model/ids.ts';
import { address, leaseGate, link, portGate, route, rule, service } from '../net/identity.ts';
import type { NetItem } from '../net/items.ts';

/** Ethernet's, and what providers expect. */
const UPLINK_MTU = 1500;
/** One default route a table of an uplink: the number only has to be there, and not 0, which tools do not print. */
const UPLINK_METRIC = 10;

export interface UplinkAttachment extends Pick<Uplink, 'slot' | 'addressing' | 'metered'> {
  readonly port: string;
  /** What must be there before an address is asked for, beside the port. */
  readonly waitsFor?: readonly ItemId[];
}

/** The route by which whatever is pinned to an uplink leaves. */
export const uplinkRoute = (slot: number): ItemId =>
  itemId('route', uplinkTable(slot), '0.0.0.0/0', UPLINK_METRIC);

/** The interface of a port; its label where the port is missing, in items that its gate keeps blocked anyway. */
export function ifnameOfPort(facts: Facts, label: string): string {
  return facts.ports.find((port) => port.label === label)?.ifname ?? label;
}

/** Address and gateway an uplink has now, by whichever means. */
function attachmentOf(uplink: UplinkAttachment, ifname: string, facts: Facts) {
  if (uplink.addressing.kind === 'static') return uplink.addressing;
  const lease = facts.leases.find((candidate) => candidate.ifname === ifname);
  return lease?.gateway === undefined ? undefined : { address: lease.address, gateway: lease.gateway };
}

/** `rank` 0 is the uplink that the box's own unbound sockets try first. */
export function renderUplink(uplink: UplinkAttachment, rank: number, facts: Facts): NetItem[] {
  const ifname = ifnameOfPort(facts, uplink.port);
  const port = link({ type: 'port', name: ifname, mtu: UPLINK_MTU }, [portGate(uplink.port)]);
  const table = uplinkTable(uplink.slot);
  const mark = uplinkMark(uplink.slot);
  const items: NetItem[] = [
    port,
    rule({
      preference: RULE_PREFERENCE.uplinkMark + uplink.slot,
      mark,
      action: { kind: 'lookup', table },
    }),
    rule({
      preference: RULE_PREFERENCE.uplinkMarkUnreachable + uplink.slot,
      mark,
      action: { kind: 'unreachable' },
    }),
  ];
  const attachment = attachmentOf(uplink, ifname, facts);
  const onPort = [linkItem(ifname)];
  /** What brings the address about. */
  const bringsAddress =
    uplink.addressing.kind === 'static'
      ? address({ link: ifname, address: uplink.addressing.address }, onPort)
      : service({ unit: `dhcpcd@${ifname}.service` }, [...onPort, ...(uplink.waitsFor ?? [])]);
  items.push(bringsAddress);
  // Its routes wait for our own item, or for a lease. A lease that these facts have is waited for no longer; one that
  // they lack stays missing although it came meanwhile: a route without its gateway must never be made.
  const waitsFor =
    bringsAddress.kind === 'address'
      ? [bringsAddress.id]
      : attachment === undefined
        ? [leaseGate(ifname)]
        : [];
  const needs = [...onPort, ...waitsFor];
  // The source makes the kernel drop the route together with the address: a lease that ends takes its routes along.
  const source = attachment === undefined ? {} : { source: splitCidr(attachment.address).address };
  const gateway = attachment === undefined ? {} : { via: attachment.gateway };
  const defaultRoute = {
    destination: '0.0.0.0/0',
    type: 'unicast',
    dev: ifname,
    ...gateway,
    ...source,
  } as const;
  items.push(
    route({ ...defaultRoute, table, metric: UPLINK_METRIC }, needs),
    route({ ...defaultRoute, table: MANAGEMENT_TABLE, metric: UPLINK_METRIC * (rank + 1) }, needs),
  );
  if (attachment !== undefined) {
    items.push(
      // Neighbours on the provider's own network are reached directly, not by a turn through its router.
      route(
        {
          table,
          destination: networkOf(attachment.address),
          type: 'unicast',
          dev: ifname,
          metric: UPLINK_METRIC,
          ...source,
        },
        needs,
      ),
      rule(
        {
          preference: RULE_PREFERENCE.uplinkSource + uplink.slot,
          from: splitCidr(attachment.address).address,
          action: { kind: 'lookup', table },
        },
        needs,
      ),
    );
  }
  return items;
}

/** All uplinks, and the rule for the box's own unbound sockets. Unmetered ones go first, else in the order given. */
export function renderUplinks(uplinks: readonly UplinkAttachment[], facts: Facts): NetItem[] {
  const ranked = [...uplinks].sort((a, b) => Number(a.metered) - Number(b.metered));
  return [
    ...ranked.flatMap((uplink, rank) => renderUplink(uplink, rank, facts)),
    rule({
      preference: RULE_PREFERENCE.managementDefault,
      action: { kind: 'lookup', table: MANAGEMENT_TABLE },
    }),
  ];
}
