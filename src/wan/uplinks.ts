/**
 * Owns the items of all uplinks: of each its addresses and its own routing table, in each family by itself, beside its interface
 * (uplinkLine.ts) and what keeps its packets on it (uplinkPins.ts). The same with and without a desired state, so that taking
 * one on moves nothing. Does not own tunnels (tunnels.ts). Pure.
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
  pppoeUnitOf,
  uplinkTable,
} from '../model/ids.ts';
import { canonicalAddress, canonicalCidr, ipv6NetworkOf } from '../model/prefixes.ts';
import {
  type Addressing,
  type Attachment,
  attachmentOf,
  FAMILIES,
  type Family,
  hasFamily,
  type Line,
} from '../model/underlay.ts';
import {
  address,
  kernelGate,
  lease6Gate,
  leaseGate,
  modemGate,
  portGate,
  pppoeGate,
  route,
  rule,
  service,
} from '../net/itemIds.ts';
import type { AddressItem, NetItem, ServiceItem } from '../net/items.ts';
import { carrierOf, ifnameOfUplink, renderLine } from './uplinkLine.ts';
import { familiesOf, ofFamily, renderPins } from './uplinkPins.ts';

/** One default route a table of an uplink: the number only has to be there, and not 0, which tools do not print. */
const UPLINK_METRIC = 10;
const EVERYWHERE: Readonly<Record<Family, string>> = { 4: '0.0.0.0/0', 6: '::/0' };
const CLIENT: Readonly<Record<Family, (ifname: string) => string>> = {
  4: (ifname) => `dhcpcd@${ifname}.service`,
  6: (ifname) => `dhcpcd6@${ifname}.service`,
};
const LEASE_GATE: Readonly<Record<Family, (ifname: string) => ItemId>> = { 4: leaseGate, 6: lease6Gate };

export interface UplinkAttachment extends Line, Addressing, Pick<Uplink, 'slot' | 'metered'> {
  /** IPv6 is taken where it is offered, and nobody waits for it. */
  readonly mayLackIpv6?: boolean;
}

/** The route by which whatever is pinned to an uplink leaves. */
export const uplinkRoute = (slot: number, family: Family): ItemId =>
  itemId('route', uplinkTable(slot), EVERYWHERE[family], UPLINK_METRIC);

/** As the kernel writes it, so that it is found again; undefined without a way out. */
function attachedBy(uplink: UplinkAttachment, family: Family, ifname: string, facts: Facts) {
  const found: Attachment | undefined = attachmentOf(uplink, family, ifname, facts);
  if (found?.gateway === undefined) return undefined;
  return { address: canonicalCidr(found.address), gateway: canonicalAddress(found.gateway) };
}

/** The provider's own network; undefined where the address stands alone on its link. */
function onLink(cidr: string, family: Family): string | undefined {
  if (family === 4) return networkOf(cidr);
  return splitCidr(cidr).prefixLength === 128 ? undefined : ipv6NetworkOf(cidr);
}

/** What brings an address about; what its routes stand on, and what tells that it is there where facts do not yet. */
function renderSource(
  uplink: UplinkAttachment,
  family: Family,
  ifname: string,
  facts: Facts,
): { readonly item?: AddressItem | ServiceItem; readonly on: ItemId; readonly gate: ItemId } {
  const own = family === 4 ? uplink.addressing : uplink.addressing6;
  if (own?.kind === 'pppoe') {
    // pppd makes the link and puts the address on: the session stands for both.
    const needs = [linkItem(carrierOf(facts, uplink)), kernelGate('ppp')];
    const session = service({ unit: pppoeUnitOf(ifname) }, needs);
    return { item: session, on: session.id, gate: pppoeGate(ifname) };
  }
  const on = linkItem(ifname);
  if (own?.kind === 'modem') {
    // agent/modems dials, and tells what the network gave as a lease.
    const lease = attachmentOf(uplink, family, ifname, facts);
    const gate = modemGate(ifname);
    return lease === undefined
      ? { on: portGate(uplink.port), gate }
      : { item: address({ link: ifname, address: lease.address }, [on]), on, gate };
  }
  const item =
    own?.kind === 'static'
      ? address({ link: ifname, address: canonicalCidr(own.address) }, [on])
      : service({ unit: CLIENT[family](ifname) }, [on]);
  return { item, on, gate: LEASE_GATE[family](ifname) };
}

function renderFamily(
  uplink: UplinkAttachment,
  family: Family,
  rank: number,
  ifname: string,
  facts: Facts,
): NetItem[] {
  const table = uplinkTable(uplink.slot);
  const attachment = attachedBy(uplink, family, ifname, facts);
  const { item: bringsAddress, on, gate } = renderSource(uplink, family, ifname, facts);
  const brings = bringsAddress === undefined ? [] : [bringsAddress];
  if (attachment === undefined && family === 6 && uplink.mayLackIpv6 === true) return brings;
  // Its routes wait for our own item, or for a lease. A lease that these facts have is waited for no longer; one that
  // they lack stays missing although it came meanwhile: a route without its gateway must never be made.
  const waitsFor =
    bringsAddress?.kind === 'address' ? [bringsAddress.id] : attachment === undefined ? [gate] : [];
  const needs = [on, ...waitsFor];
  // The source makes the kernel drop the route together with the address: a lease that ends takes its routes along.
  // IPv6's routes stay and forget it, in a table that only this uplink's packets look up.
  const source = attachment === undefined ? {} : { source: splitCidr(attachment.address).address };
  // A session has one station at its other end, whose address need not be one that can be routed to.
  const isSession = uplink.addressing.kind === 'pppoe' || uplink.addressing.kind === 'modem';
  const gateway = attachment === undefined || isSession ? {} : { via: attachment.gateway };
  const defaultRoute = {
    destination: EVERYWHERE[family],
    type: 'unicast',
    dev: ifname,
    ...gateway,
    ...source,
  } as const;
  const items: NetItem[] = [
    ...brings,
    route({ ...defaultRoute, table, metric: UPLINK_METRIC }, needs),
    route({ ...defaultRoute, table: MANAGEMENT_TABLE, metric: UPLINK_METRIC * (rank + 1) }, needs),
  ];
  if (attachment === undefined) return items;
  const destination = isSession ? undefined : onLink(attachment.address, family);
  if (destination !== undefined) {
    // Neighbours on the provider's own network are reached directly, not by a turn through its router.
    items.push(
      route({ table, destination, type: 'unicast', dev: ifname, metric: UPLINK_METRIC, ...source }, needs),
    );
  }
  items.push(
    rule(
      {
        preference: RULE_PREFERENCE.uplinkSource + uplink.slot,
        from: splitCidr(attachment.address).address,
        action: { kind: 'lookup', table },
      },
      needs,
    ),
  );
  return items;
}

/** `rank` 0 is the uplink that the box's own unbound sockets try first. */
function renderUplink(
  uplink: UplinkAttachment,
  rank: number,
  uplinks: readonly UplinkAttachment[],
  facts: Facts,
): NetItem[] {
  const ifname = ifnameOfUplink(facts, uplink);
  return [
    ...renderLine(uplink, facts),
    ...renderPins(uplink, uplinks),
    ...FAMILIES.filter((family) => hasFamily(uplink, family)).flatMap((family) =>
      renderFamily(uplink, family, rank, ifname, facts),
    ),
  ];
}

/** All uplinks, and the rules for the box's own unbound sockets. Unmetered ones go first, else in the order given. */
export function renderUplinks(uplinks: readonly UplinkAttachment[], facts: Facts): NetItem[] {
  const ranked = [...uplinks].sort((a, b) => Number(a.metered) - Number(b.metered));
  return [
    ...ranked.flatMap((uplink, rank) => renderUplink(uplink, rank, uplinks, facts)),
    ...familiesOf(uplinks).map((family) =>
      rule({
        preference: RULE_PREFERENCE.managementDefault,
        ...ofFamily(family),
        action: { kind: 'lookup', table: MANAGEMENT_TABLE },
      }),
    ),
  ];
}
