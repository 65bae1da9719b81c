/**
 * Owns what fleet and desired state both need to know of packets below the tunnels: their family, how much a tunnel adds,
 * the interface that it leaves by, and the address that an uplink has now in a family, by whichever means. Pure.
 */
import type { z } from 'zod';
import type {
  AutoAddressing6,
  DhcpAddressing,
  ModemAddressing,
  NoAddressing,
  PppoeAddressing,
  StaticAddressing,
  StaticAddressing6,
} from './addressing.ts';
import type { Facts } from './facts.ts';
import { pppoeOf, vlanOf } from './ids.ts';

export type Family = 4 | 6;
export const FAMILIES: readonly Family[] = [4, 6];

export const familyOf = (address: string): Family => (address.includes(':') ? 6 : 4);

/** Ethernet's, and what providers expect. */
export const UPLINK_MTU_BYTES = 1500;
/** RFC 2516 7: PPPoE and PPP take 8. More (RFC 4638) is not asked for. */
const PPPOE_MTU_BYTES = 1492;
/** What nearly every mobile network carries: GTP takes the rest of a provider's 1500. */
const MODEM_MTU_BYTES = 1420;
/** Outside a packet in a tunnel: WireGuard 32, UDP 8, IP 20 or 40. */
export const TUNNEL_OVERHEAD_BYTES: Readonly<Record<Family, number>> = { 4: 60, 6: 80 };

export interface Addressing {
  /** IPv4. */
  readonly addressing:
    | z.output<typeof DhcpAddressing>
    | z.output<typeof StaticAddressing>
    | z.output<typeof PppoeAddressing>
    | z.output<typeof ModemAddressing>
    | z.output<typeof NoAddressing>;
  /** IPv6; absent: none. */
  readonly addressing6?: z.output<typeof AutoAddressing6> | z.output<typeof StaticAddressing6> | undefined;
}

/** Whether an uplink is to have an address of that family. */
export function hasFamily({ addressing, addressing6 }: Addressing, family: Family): boolean {
  return family === 4 ? addressing.kind !== 'none' : addressing6 !== undefined;
}

/** The largest packet that an uplink carries whole. A VLAN's tag is outside of it (IEEE 802.3 3.2.7). */
export const uplinkMtu = ({ addressing }: Pick<Addressing, 'addressing'>): number =>
  addressing.kind === 'pppoe'
    ? PPPOE_MTU_BYTES
    : addressing.kind === 'modem'
      ? MODEM_MTU_BYTES
      : UPLINK_MTU_BYTES;

/** Where an uplink is plugged in, and how. */
export interface Line extends Pick<Addressing, 'addressing'> {
  /** The port's label. */
  readonly port: string;
  /** IEEE 802.1Q; absent: untagged. */
  readonly vlan?: number | undefined;
}

/** A port's interface; its label where no port is known by it: what stands on it then waits for an interface of that name. */
export const portIfname = (label: string, { ports }: Pick<Facts, 'ports'>): string =>
  ports.find((port) => port.label === label)?.ifname ?? label;

/** The interface that carries an uplink's frames: its port's, or a VLAN on that. undefined where the port is not there. */
export function carrierIfname(
  { port, vlan }: Pick<Line, 'port' | 'vlan'>,
  { ports }: Pick<Facts, 'ports'>,
): string | undefined {
  const ifname = ports.find(({ label }) => label === port)?.ifname;
  return ifname === undefined || vlan === undefined ? ifname : vlanOf(ifname, vlan);
}

/** The interface that has an uplink's address: the same, or a PPPoE session on it. */
export function uplinkIfname(line: Line, facts: Pick<Facts, 'ports'>): string | undefined {
  const carrier = carrierIfname(line, facts);
  return carrier === undefined || line.addressing.kind !== 'pppoe' ? carrier : pppoeOf(line.port);
}

/** How an uplink gets out. */
export interface Attachment {
  /** With prefix length. */
  readonly address: string;
  /** undefined where whoever gave the address named none. */
  readonly gateway?: string | undefined;
  readonly dns: readonly string[];
  /** Of a modem's bearer. */
  readonly mtu?: number | undefined;
}

/** undefined where it has none (yet): no lease, or no such family. */
export function attachmentOf(
  uplink: Addressing,
  family: Family,
  ifname: string | undefined,
  facts: Pick<Facts, 'leases' | 'leases6'>,
): Attachment | undefined {
  const addressing = family === 4 ? uplink.addressing : uplink.addressing6;
  switch (addressing?.kind) {
    case undefined:
    case 'none':
      return undefined;
    case 'static':
      return addressing;
    case 'dhcp':
    case 'pppoe':
    case 'modem':
      return facts.leases.find((lease) => lease.ifname === ifname);
    case 'auto':
      return facts.leases6.find((lease) => lease.ifname === ifname);
  }
}
