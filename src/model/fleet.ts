/**
 * Owns the fleet as people describe it: one TOML file or the REST API, over this one model.
 * Does not own which of its parts may stand together (fleetCheck), nor what it becomes for one gateway (controller/designer).
 */
import { z } from 'zod';
import { Ipv4, Ipv4Network, Ipv6, Port } from './addresses.ts';
import { ModemLine, StaticAddress, StaticAddress6 } from './addressing.ts';
import {
  AppCommand,
  AppEnvironment,
  AppMac,
  AppVolumes,
  ImageReference,
  LEAST_APP_MEMORY_MIB,
  Sha256,
} from './app.ts';
import { DEFAULT_TENANT_MTU, Liveness, Segment } from './desired.ts';
import { FirmwareVersion, UpdateWindow, WantedFirmware } from './firmware.ts';
import {
  AppName,
  GatewayId,
  PortLabel,
  SegmentId,
  Serial,
  SiteName,
  TenantName,
  UplinkName,
  VlanId,
} from './ids.ts';
import { AssignmentRule } from './assignment.ts';
import { crossChecked } from './crossCheck.ts';
import { checkFleet } from './fleetCheck.ts';
import { SshAccess } from './ssh.ts';
import { UplinkExpectation } from './uplinkReport.ts';

/** What a gateway, or the whole fleet, is to run; a gateway's own words win, one by one. */
export const FleetFirmware = z.strictObject({
  /** Of an uploaded version (`POST /api/v1/firmware`). */
  version: FirmwareVersion.optional(),
  rateLimitKbps: WantedFirmware.shape.rateLimitKbps,
  window: UpdateWindow.optional(),
  allowDowngrade: z.boolean().optional(),
});
export type FleetFirmware = z.output<typeof FleetFirmware>;

export const FleetSettings = z.strictObject({
  name: GatewayId,
  asn: z.int().min(1).max(4_294_967_294).default(64_512),
  tenantMtu: z.int().min(576).max(9000).default(DEFAULT_TENANT_MTU),
  vtepRange: Ipv4Network.default('10.255.0.0/16'),
  tunnelRange: Ipv4Network.default('10.254.0.0/16'),
  /** 50 ms × 3: with 10 ms × 3 paths flap under load, unless cores are reserved for BFD. */
  liveness: Liveness.default({ intervalMs: 50, multiplier: 3 }),
  /** Absent: every gateway stays as it is. */
  firmware: FleetFirmware.optional(),
});

export const Tenant = z.strictObject({ name: TenantName });

export const FleetSegment = z.strictObject({
  id: SegmentId,
  tenant: TenantName,
  vni: Segment.shape.vni,
  subnet: Ipv4Network.optional(),
});

export const FleetUplink = z.strictObject({
  name: UplinkName,
  port: PortLabel,
  /** The uplink is on this VLAN of the port. */
  vlan: VlanId.optional(),
  colour: z.string().min(1).max(32).optional(),
  /** Absent: as static says, else DHCP. pppoe: as whom, the bootstrap medium of the box said. */
  ipv4: z.enum(['dhcp', 'pppoe', 'none']).optional(),
  /** An IPv4 address of its own. */
  static: StaticAddress.optional(),
  /** The port is a modem (`lte1` of the hardware model, or `modem1`); all of its words may be left out. IPv4 alone, yet. */
  modem: ModemLine.optional(),
  /** auto: router advertisements, and DHCPv6 where they say so. Absent: as static6 says, else none. */
  ipv6: z.enum(['auto', 'none']).optional(),
  /** An IPv6 address of its own. */
  static6: StaticAddress6.optional(),
  metered: z.boolean().default(false),
  /** What an uplink test judges it by. */
  expect: UplinkExpectation.optional(),
  /** On a hub: the addresses others reach this uplink at, at least one. A path takes IPv4 where both its ends have it. */
  publicAddress: z.ipv4({ error: 'is no IPv4 address: one of IPv6 is told as publicAddress6' }).optional(),
  publicAddress6: Ipv6.optional(),
  /** On a hub: slot i of the spokes is listened for at this + i. Absent: 51 820 + 16 × (own slot - 1), so that no two uplinks share a port. */
  listenPort: Port.max(65_520).optional(),
});

export const FleetApp = z.strictObject({
  name: AppName,
  tenant: TenantName,
  segment: SegmentId,
  address: Ipv4,
  macAddress: AppMac.optional(),
  image: ImageReference,
  /** SHA-256 of an uploaded bundle (`POST /api/v1/bundles`); absent: pulled from the image's registry. */
  bundle: Sha256.optional(),
  command: AppCommand.optional(),
  environment: AppEnvironment.default({}),
  volumes: AppVolumes.optional(),
  memoryMiB: z.int().min(LEAST_APP_MEMORY_MIB).max(1_048_576),
  cpus: z.number().min(0.01).max(256),
});

export const FleetGateway = z.strictObject({
  id: GatewayId,
  /** Of the box's IDevID; absent while no box is assigned. */
  serial: Serial.optional(),
  role: z.enum(['hub', 'branch']),
  site: SiteName,
  vtep: Ipv4,
  uplinks: z.array(FleetUplink).min(1).max(15),
  ports: z
    .array(z.strictObject({ port: PortLabel, segment: SegmentId }))
    .max(64)
    .default([]),
  apps: z.array(FleetApp).max(256).default([]),
  firmware: FleetFirmware.optional(),
  /** Absent: nobody. */
  ssh: SshAccess.optional(),
});
export type FleetGateway = z.output<typeof FleetGateway>;

const FleetForm = z.strictObject({
  fleet: FleetSettings,
  tenants: z.array(Tenant).default([]),
  segments: z.array(FleetSegment).default([]),
  gateways: z.array(FleetGateway).default([]),
  /** Boxes that nobody named: the first rule that fits counts. */
  rules: z.array(AssignmentRule).max(1000).default([]),
});
export type Fleet = z.output<typeof FleetForm>;
export const Fleet = crossChecked(FleetForm, checkFleet);

/** What one gateway is to run; undefined: whatever it runs. */
export function firmwareOf(
  fleet: Pick<Fleet, 'fleet'>,
  gateway: Pick<FleetGateway, 'firmware'>,
): (FleetFirmware & { readonly version: string }) | undefined {
  const merged = { ...fleet.fleet.firmware, ...gateway.firmware };
  return merged.version === undefined ? undefined : { ...merged, version: merged.version };
}
