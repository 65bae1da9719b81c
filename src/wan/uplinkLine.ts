/**
 * Owns the interface that an uplink is on: its port, the VLAN on it, a modem's own. Does not own addresses (uplinks.ts). Pure.
 */
import type { Facts } from '../model/facts.ts';
import { linkItem, pppoeOf, vlanOf } from '../model/ids.ts';
import { carrierIfname, type Line, UPLINK_MTU_BYTES, uplinkMtu } from '../model/underlay.ts';
import { kernelGate, link, portGate } from '../net/itemIds.ts';
import type { NetItem } from '../net/items.ts';

/** The interface of an uplink; its port's label where that is missing, in items that its gate keeps blocked anyway. */
export const ifnameOfUplink = (facts: Pick<Facts, 'ports'>, line: Line): string =>
  line.addressing.kind === 'pppoe' ? pppoeOf(line.port) : carrierOf(facts, line);

export const carrierOf = (facts: Pick<Facts, 'ports'>, line: Pick<Line, 'port' | 'vlan'>): string =>
  carrierIfname(line, facts) ?? (line.vlan === undefined ? line.port : vlanOf(line.port, line.vlan));

/** The port's own link, and the VLAN on it. */
export function renderLine(line: Line, facts: Facts): NetItem[] {
  const { port, vlan } = line;
  const parent = carrierOf(facts, { port });
  if (line.addressing.kind === 'modem') return renderModem(line, parent, facts);
  const mtu = UPLINK_MTU_BYTES;
  return [
    link({ type: 'port', name: parent, mtu }, [portGate(port)]),
    ...(vlan === undefined
      ? []
      : [
          link({ type: 'vlan', name: carrierOf(facts, line), parent, vlan, mtu }, [
            linkItem(parent),
            kernelGate('vlan'),
          ]),
        ]),
  ];
}

/** Up once its bearer stands: of one that is up ModemManager cannot choose the form of frames (qmi_wwan raw_ip). */
function renderModem(line: Line, name: string, facts: Facts): NetItem[] {
  const lease = facts.leases.find(({ ifname }) => ifname === name);
  return lease === undefined
    ? []
    : [link({ type: 'port', name, mtu: lease.mtu ?? uplinkMtu(line) }, [portGate(line.port)])];
}
