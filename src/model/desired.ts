/**
 * Owns the desired state of one gateway: what the controller signs and the box holds to.
 * Does not own which of its parts may stand together (desiredCheck), how it is signed (pki/jws), tried (reconcile/trial) or rendered into items (wan, evpn, containers).
 */
import { z } from 'zod';
import {
  DnsName,
  Ipv4,
  Ipv4Interface,
  Ipv4Network,
  IpAddress,
  Port,
  WireGuardPublicKey,
} from './addresses.ts';
import {
  AutoAddressing6,
  DhcpAddressing,
  ModemAddressing,
  NoAddressing,
  PppoeAddressing,
  StaticAddressing,
  StaticAddressing6,
} from './addressing.ts';
import { App } from './app.ts';
import {
  GatewayId,
  PathId,
  PortLabel,
  SegmentId,
  SiteName,
  TenantName,
  TunnelId,
  UplinkName,
  VlanId,
} from './ids.ts';
import { crossChecked } from './crossCheck.ts';
import { checkDesired } from './desiredCheck.ts';
import { WantedFirmware } from './firmware.ts';
import { SshAccess } from './ssh.ts';
import { UplinkExpectation } from './uplinkReport.ts';

export const DESIRED_SCHEMA = 1;
/** Cap on the signed message: 1,000 segments with their apps stay well below it. */
export const DESIRED_MAX_BYTES = 4 * 1024 * 1024;

/** Conservative: tenant frames fit a 1280-byte underlay: 1280 - 80 (WireGuard over IPv6) - 50 (VXLAN). */
export const DEFAULT_TENANT_MTU = 1150;
/** VXLAN over IPv4: 14 inner Ethernet + 8 VXLAN + 8 UDP + 20 IPv4 (RFC 7348). */
export const VXLAN_OVERHEAD_BYTES = 50;

export const Uplink = z.strictObject({
  name: UplinkName,
  /** Number the kernel's marks and tables derive from; unique on the box, stable for the uplink's life. */
  slot: z.int().min(1).max(15),
  port: PortLabel,
  vlan: VlanId.optional(),
  /** A label for policy, never a key. */
  colour: z.string().min(1).max(32),
  /** IPv4. */
  addressing: z.discriminatedUnion('kind', [
    DhcpAddressing,
    StaticAddressing,
    PppoeAddressing,
    ModemAddressing,
    NoAddressing,
  ]),
  /** IPv6; absent: none. */
  addressing6: z.discriminatedUnion('kind', [AutoAddressing6, StaticAddressing6]).optional(),
  metered: z.boolean().default(false),
  /** What an uplink test judges it by. */
  expect: UplinkExpectation.optional(),
});
export type Uplink = z.output<typeof Uplink>;

/** BFD (RFC 5880) timers of a path. */
export const Liveness = z.strictObject({
  intervalMs: z.int().min(10).max(60_000),
  multiplier: z.int().min(2).max(50),
});

export const TunnelPeer = z.strictObject({
  path: PathId,
  gatewayId: GatewayId,
  publicKey: WireGuardPublicKey,
  /** Where to send first, and by which family; absent at the end that only answers. */
  endpoint: z.strictObject({ address: IpAddress, port: Port }).optional(),
  tunnelAddress: Ipv4,
  vtep: Ipv4,
  /** What the peer may send and be sent, beside its tunnel address and VTEP: a spoke names the fleet's VTEP range here. */
  allowed: z.array(Ipv4Network).max(16),
  keepaliveS: z.int().min(0).max(600),
  /** Lower is better; becomes FRR's route distance. Unique among the paths to one VTEP. */
  preference: z.int().min(1).max(250),
  liveness: Liveness,
});
export type TunnelPeer = z.output<typeof TunnelPeer>;

/** One WireGuard interface, pinned to one uplink. */
export const Tunnel = z.strictObject({
  id: TunnelId,
  uplink: UplinkName,
  listenPort: Port.optional(),
  /** Own address in the tunnel's network. */
  address: Ipv4Interface,
  peers: z.array(TunnelPeer).max(4096),
});
export type Tunnel = z.output<typeof Tunnel>;

export const Segment = z.strictObject({
  id: SegmentId,
  tenant: TenantName,
  /** L2 VNI (RFC 7348), unique in the fleet. */
  vni: z.int().min(1).max(16_777_215),
  subnet: Ipv4Network.optional(),
});
export type Segment = z.output<typeof Segment>;

export const PortAttachment = z.strictObject({
  port: PortLabel,
  segment: SegmentId,
});
export type PortAttachment = z.output<typeof PortAttachment>;

const DesiredForm = z.strictObject({
  role: z.enum(['hub', 'branch']),
  site: SiteName,
  fleet: z.strictObject({
    asn: z.int().min(1).max(4_294_967_294),
    tenantMtu: z.int().min(576).max(9000).default(DEFAULT_TENANT_MTU),
    vtepRange: Ipv4Network,
    tunnelRange: Ipv4Network,
  }),
  vtep: Ipv4,
  controller: z.strictObject({
    /** Host names the box resolves over each uplink. */
    mqtt: z.strictObject({ host: DnsName, port: Port }),
    device: z.strictObject({ host: DnsName, port: Port }),
  }),
  uplinks: z.array(Uplink).min(1).max(15),
  tunnels: z.array(Tunnel).max(240),
  overlay: z.strictObject({
    /** Whom this box peers with; on a hub the other hubs. */
    reflectors: z.array(z.strictObject({ gatewayId: GatewayId, vtep: Ipv4 })).max(8),
    /** On a hub: each branch, and the only VNIs it may speak of. */
    clients: z
      .array(z.strictObject({ gatewayId: GatewayId, vtep: Ipv4, vnis: z.array(Segment.shape.vni).max(4096) }))
      .max(4096),
  }),
  segments: z.array(Segment).max(4096),
  ports: z.array(PortAttachment).max(64),
  apps: z.array(App).max(256),
  /** Absent: whatever runs. */
  firmware: WantedFirmware.optional(),
  /** Absent: nobody. */
  ssh: SshAccess.optional(),
});
export type DesiredSpec = z.output<typeof DesiredForm>;
export const DesiredSpec = crossChecked(DesiredForm, checkDesired);

/** The payload of the signed message (JWS, exact bytes). Order is (epoch, generation). */
export const DesiredState = z.strictObject({
  schema: z.literal(DESIRED_SCHEMA),
  gatewayId: GatewayId,
  epoch: z.int().min(1),
  generation: z.int().min(1),
  /** Milliseconds since 1970; not applied before. */
  notBefore: z.int().min(0),
  spec: DesiredSpec,
});
export type DesiredState = z.output<typeof DesiredState>;

/** A version of the desired state, without its content. */
export interface Version {
  readonly epoch: number;
  readonly generation: number;
}

/** Negative where a is older than b, 0 where equal. */
export function compareVersions(a: Version, b: Version): number {
  return a.epoch - b.epoch || a.generation - b.generation;
}
