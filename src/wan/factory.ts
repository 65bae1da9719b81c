/**
 * Owns what a box holds before it has any desired state: every WAN port by DHCP, each with a table of its own, so
 * that bootstrap can try all of them. Slots follow the order of the ports in the hardware model.
 * A bootstrap medium may have said more of one port (model/medium): then that.
 */
import type { Uplink } from '../model/desired.ts';
import type { Facts } from '../model/facts.ts';
import type { BootstrapNetwork } from '../model/medium.ts';
import { linkItem } from '../model/ids.ts';
import { lineGate, service } from '../net/identity.ts';
import type { NetItem } from '../net/items.ts';
import { ifnameOfPort, renderUplinks, type UplinkAttachment } from './uplinks.ts';

/** fwmarks and tables leave room for 15 slots. */
const MAX_UPLINKS = 15;

export function renderFactory(facts: Facts, network?: BootstrapNetwork): NetItem[] {
  const uplinks = planFactoryUplinks(facts, network);
  return [...renderUplinks(uplinks, facts), ...uplinks.map((uplink) => ipv6Client(uplink, facts))];
}

/** Where there is no IPv4 a box must enrol all the same. A desired state has no IPv6 uplinks yet, and ends it. */
function ipv6Client({ port, waitsFor = [] }: UplinkAttachment, facts: Facts): NetItem {
  const ifname = ifnameOfPort(facts, port);
  return service({ unit: `dhcpcd6@${ifname}.service` }, [linkItem(ifname), ...waitsFor]);
}

/** Pure. */
export function planFactoryUplinks(
  facts: Pick<Facts, 'ports'>,
  network: BootstrapNetwork | undefined,
): readonly UplinkAttachment[] {
  const ports = facts.ports.filter((port) => port.role === 'wan').slice(0, MAX_UPLINKS);
  const named = network?.port ?? ports[0]?.label;
  return ports.map(({ label }, index) => ({
    port: label,
    slot: index + 1,
    metered: false,
    ...(network === undefined || label !== named ? DHCP : attachmentOf(network)),
  }));
}

const DHCP: Pick<Uplink, 'addressing'> = { addressing: { kind: 'dhcp' } };

function attachmentOf({
  addressing,
  vlan,
}: BootstrapNetwork): Pick<UplinkAttachment, 'addressing' | 'waitsFor'> {
  // Nothing brings these up yet: DHCP on the bare port would be another line than the one that was ordered.
  if (vlan !== undefined) return { ...DHCP, waitsFor: [lineGate('vlan')] };
  if (addressing.kind === 'pppoe') return { ...DHCP, waitsFor: [lineGate('pppoe')] };
  return { addressing };
}
