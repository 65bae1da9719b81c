/**
 * Owns the `ip -batch` lines that make, change and remove links. Pure.
 */
import { VXLAN_PORT } from '../model/ids.ts';
import type { LinkSpec } from './items.ts';
import { aliasOf, LINK_GROUP } from './linkRead.ts';
import { addressWord, ifnameWord, macWord, numberWord } from './word.ts';

const MAX_MTU = 65_535;
const MAX_VNI = 16_777_215;
const MAX_VLAN = 4094;
/** What a port goes back to when we let go of it: Ethernet's own. */
const ETHERNET_MTU = 1500;
/** No STP or snooping in a segment: it is loop-free by VXLAN's split horizon, and carries its tenants' multicast unseen. */
const BRIDGE = 'type bridge stp_state 0 forward_delay 0 mcast_snooping 0';
/**
 * EVPN fills the forwarding table; data-plane learning would fight it. It answers for no neighbour, since a bridge without
 * an address has no neighbours to know; suppression would only keep from other sites what a station announces of itself
 * (gratuitous ARP, RFC 5227's probes, unsolicited NA), which a standby that takes an address over lives by.
 */
const VXLAN_PORT_FLAGS = 'type bridge_slave learning off neigh_suppress off';
/**
 * The box says nothing of its own into a tenant's segment or a tunnel, not even IPv6 router solicitations. On a line
 * before `up`: of one line the kernel takes the flags first, and the link-local address would be there already.
 */
const SILENT = 'addrgenmode none';
/**
 * Below this a device has no IPv6 at all (RFC 8200, 5; the kernel's IPV6_MIN_MTU): there is nothing to silence, and the
 * word is refused with EAFNOSUPPORT.
 */
export const LEAST_IPV6_MTU = 1280;

const silentAt = (spec: { readonly mtu: number }): string => (spec.mtu < LEAST_IPV6_MTU ? '' : ` ${SILENT}`);
/** IPv6 comes to the device with its MTU: while it is down, or it would speak before it is told not to. */
const silencing = (spec: { readonly name: string; readonly mtu: number }, fromMtu: number): string[] => {
  if (fromMtu >= LEAST_IPV6_MTU || spec.mtu < LEAST_IPV6_MTU) return [];
  const set = `link set dev ${ifnameWord(spec.name)}`;
  return [`${set} down`, `${set} ${mtu(spec.mtu)}`, `${set} ${SILENT}`];
};

const mtu = (value: number): string => `mtu ${numberWord(value, MAX_MTU)}`;

/** The line that makes the link; undefined where it is there already (a port) or a service makes it. */
export function renderAdd(spec: LinkSpec): string | undefined {
  const start = `link add name ${ifnameWord(spec.name)} group ${LINK_GROUP}`;
  switch (spec.type) {
    case 'bridge': {
      const mac = spec.macAddress === undefined ? '' : ` address ${macWord(spec.macAddress)}`;
      return `${start} ${mtu(spec.mtu)}${mac} ${BRIDGE}`;
    }
    case 'vxlan':
      return (
        `${start} ${mtu(spec.mtu)} master ${ifnameWord(spec.bridge)} type vxlan id ${numberWord(spec.vni, MAX_VNI)} ` +
        `local ${addressWord(spec.localAddress)} dstport ${VXLAN_PORT} nolearning`
      );
    case 'wireguard':
      return spec.implementation === 'kernel' ? `${start} ${mtu(spec.mtu)} type wireguard` : undefined;
    case 'vlan':
      return (
        `${start} link ${ifnameWord(spec.parent)} ${mtu(spec.mtu)} type vlan protocol 802.1Q ` +
        `id ${numberWord(spec.vlan, MAX_VLAN)}`
      );
    case 'port':
    case 'loopback':
      return undefined;
  }
}

/** What is left to do after renderAdd; marks the link as ours. */
export function renderFinish(spec: LinkSpec): readonly string[] {
  const set = `link set dev ${ifnameWord(spec.name)}`;
  const start = `${set} alias ${aliasOf(spec.name)}`;
  switch (spec.type) {
    case 'bridge':
      return [`${start}${silentAt(spec)}`, `${set} up`];
    case 'vxlan':
      return [`${start}${silentAt(spec)}`, `${set} up ${VXLAN_PORT_FLAGS}`];
    case 'wireguard':
      return spec.implementation === 'kernel'
        ? [`${start}${silentAt(spec)}`, `${set} up`]
        : [`${start} group ${LINK_GROUP} ${mtu(spec.mtu)}${silentAt(spec)}`, `${set} up`];
    case 'vlan':
      return [`${start} ${mtu(spec.mtu)} up`];
    case 'port':
      return [`${start} ${mtu(spec.mtu)} ${masterWords(spec.bridge)} up`];
    case 'loopback':
      return [`${start} up`];
  }
}

/** Everything that can be set again, whether it differs or not. `fromMtu`: of the link as it is. */
export function renderModify(spec: LinkSpec, fromMtu: number): readonly string[] {
  const name = ifnameWord(spec.name);
  switch (spec.type) {
    case 'bridge': {
      const mac = spec.macAddress === undefined ? '' : ` address ${macWord(spec.macAddress)}`;
      return [
        ...silencing(spec, fromMtu),
        `link set dev ${name} alias ${aliasOf(name)} ${mtu(spec.mtu)}${mac}${silentAt(spec)} up ${BRIDGE}`,
      ];
    }
    case 'vxlan':
      // Apart: the kernel takes port flags before a master of the same line.
      return [
        ...silencing(spec, fromMtu),
        `link set dev ${name} alias ${aliasOf(name)} ${mtu(spec.mtu)} master ${ifnameWord(spec.bridge)}${silentAt(spec)} up`,
        `link set dev ${name} ${VXLAN_PORT_FLAGS}`,
      ];
    case 'wireguard':
      return [
        ...silencing(spec, fromMtu),
        `link set dev ${name} alias ${aliasOf(name)} group ${LINK_GROUP} ${mtu(spec.mtu)}${silentAt(spec)} up`,
      ];
    case 'vlan':
    case 'port':
    case 'loopback':
      return renderFinish(spec);
  }
}

/** A port is only let go of; it stays up or down as it is. */
export function renderDelete(spec: LinkSpec): readonly string[] {
  const name = ifnameWord(spec.name);
  switch (spec.type) {
    case 'port':
      return [`link set dev ${name} nomaster mtu ${ETHERNET_MTU} alias ""`];
    case 'loopback':
      return [`link set dev ${name} alias ""`];
    case 'wireguard':
      return spec.implementation === 'kernel' ? [`link delete dev ${name}`] : [];
    case 'bridge':
    case 'vxlan':
    case 'vlan':
      return [`link delete dev ${name}`];
  }
}

const masterWords = (bridge: string | undefined): string =>
  bridge === undefined ? 'nomaster' : `master ${ifnameWord(bridge)}`;
