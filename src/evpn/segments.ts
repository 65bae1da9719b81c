/**
 * Owns the links of one segment: its bridge, its VXLAN device, and the ports joined to it.
 */
import type { DesiredSpec, Segment } from '../model/desired.ts';
import type { Facts } from '../model/facts.ts';
import { bridgeItem, bridgeOf, itemId, vxlanOf } from '../model/ids.ts';
import { portIfname } from '../model/underlay.ts';
import { kernelGate, link, portGate } from '../net/itemIds.ts';
import type { NetItem } from '../net/items.ts';

/**
 * A bridge and a VXLAN device for each segment: what every kernel can. Where bridges filter VLANs, one bridge and
 * one device for all (vnifilter) cost a hundredth at 1,000 segments; that variant belongs beside this function,
 * chosen by the features `bridge-vlan-filtering` and `vxlan-vnifilter`.
 */
function bridgeAndDeviceEach(segment: Segment, spec: DesiredSpec): NetItem[] {
  const mtu = spec.fleet.tenantMtu;
  return [
    link({ type: 'bridge', name: bridgeOf(segment), mtu }, [kernelGate('bridge')]),
    link(
      {
        type: 'vxlan',
        name: vxlanOf(segment),
        vni: segment.vni,
        localAddress: spec.vtep,
        mtu,
        bridge: bridgeOf(segment),
      },
      [kernelGate('vxlan'), bridgeItem(segment), itemId('address', 'lo', `${spec.vtep}/32`)],
    ),
  ];
}

export function renderSegment(segment: Segment, spec: DesiredSpec, facts: Facts): NetItem[] {
  const ports = spec.ports.filter((attachment) => attachment.segment === segment.id);
  return [
    ...bridgeAndDeviceEach(segment, spec),
    ...ports.map(({ port }) => {
      return link(
        { type: 'port', name: portIfname(port, facts), mtu: spec.fleet.tenantMtu, bridge: bridgeOf(segment) },
        [portGate(port), bridgeItem(segment)],
      );
    }),
  ];
}
