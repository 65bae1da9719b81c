/**
 * Owns what a box is and has: hardware, kernel, leases. Facts are observed, never wished for.
 * Does not own how they are gathered (agent/facts).
 */
import { z } from 'zod';
import {
  IpAddress,
  Ipv4,
  Ipv4Interface,
  Ipv6,
  Ipv6Interface,
  MacAddress,
  WireGuardPublicKey,
} from './addresses.ts';
import { Place } from './hardware.ts';
import { InterfaceName, PortLabel } from './ids.ts';

/** What a kernel can do, as far as an item or a choice in a renderer depends on it. */
export const KERNEL_FEATURES = [
  'wireguard',
  'tun',
  'vxlan',
  'vxlan-vnifilter',
  'bridge',
  'bridge-vlan-filtering',
  'vlan',
  'vrf',
  'dummy',
  'nft-inet',
  'nft-bridge',
  'nft-netdev',
  'nft-bridge-conntrack',
  'flowtable',
  'netem',
  'fq-codel',
  'cake',
  'hsr',
  'ppp',
] as const;
export type KernelFeature = (typeof KERNEL_FEATURES)[number];

export const PortFact = z.strictObject({
  label: PortLabel,
  role: z.enum(['wan', 'lan']),
  /** The name the kernel gave it today; undefined where the port is not there. */
  ifname: InterfaceName.optional(),
  /**
   * In the machine, as a hardware model would name it, but for the number; undefined where it has none (veth). A field by
   * itself, since a controller of before refuses what does not have the form of a place that it knows, and passes over a field.
   */
  place: Place.optional(),
  /** What a model writes behind `#`, where that tells the port from others of its place. */
  placeNumber: z.int().min(0).optional(),
  macAddress: MacAddress.optional(),
  carrier: z.boolean(),
  /** It is a modem: somebody has to dial before it carries anything. */
  modem: z.literal(true).optional(),
});
export type PortFact = z.output<typeof PortFact>;

/** What DHCP gave on one interface. Hostile input: from whoever answers on the wire. */
export const Lease = z.strictObject({
  ifname: InterfaceName,
  address: Ipv4Interface,
  gateway: Ipv4.optional(),
  dns: z.array(IpAddress).max(8),
  /** Option 143 (RFC 8572 section 8.1). */
  bootstrapServers: z.array(z.string().max(2048)).max(16),
  /** Of a modem's bearer. */
  mtu: z.int().min(1280).max(1500).optional(),
});
export type Lease = z.output<typeof Lease>;

/** What router advertisements and DHCPv6 gave on one interface. As hostile. */
export const Lease6 = z.strictObject({
  ifname: InterfaceName,
  /** Global or unique local. Length 128 where nobody says what else is on the link. */
  address: Ipv6Interface,
  /** The router's address on the link. */
  gateway: Ipv6.optional(),
  /** RFC 8106 or RFC 3646; none of one link alone, which would need a scope. */
  dns: z.array(Ipv6).max(8),
  /** DHCPv6 option 136 (RFC 8572 section 8.2). */
  bootstrapServers: z.array(z.string().max(2048)).max(16),
});
export type Lease6 = z.output<typeof Lease6>;

/** What the machine says of itself; for people and inventories, nothing depends on it. */
export const HardwareFact = z.strictObject({
  manufacturer: z.string().max(128),
  product: z.string().max(128),
  biosVendor: z.string().max(128),
  biosVersion: z.string().max(128),
  board: z.string().max(128),
  processor: z.string().max(128),
  cores: z.int().min(0),
});
export type HardwareFact = z.output<typeof HardwareFact>;

/** Of the SSH server that a desired state can open. */
export const SshFact = z.strictObject({
  /** Of its host key (ed25519), as ssh(1) shows it; undefined until it was opened once and the box made one. */
  hostKey: z
    .string()
    .regex(/^SHA256:[A-Za-z0-9+/]{43}$/)
    .optional(),
});
export type SshFact = z.output<typeof SshFact>;

export const Facts = z.strictObject({
  serial: z.string().min(1).max(64),
  model: z.string().min(1).max(64),
  version: z.string(),
  bootId: z.string(),
  kernel: z.strictObject({
    release: z.string(),
    features: z.record(z.enum(KERNEL_FEATURES), z.boolean()),
  }),
  ports: z.array(PortFact),
  leases: z.array(Lease),
  leases6: z.array(Lease6).default([]),
  /** Made on the box; its private half never leaves it. */
  wireguardPublicKey: WireGuardPublicKey,
  /** undefined where no container engine answers. */
  engine: z.strictObject({ name: z.enum(['docker', 'podman']), version: z.string() }).optional(),
  /** undefined where no SSH server is installed. */
  ssh: SshFact.optional(),
  /** undefined until it was read, a moment after the agent's first start in a boot. */
  hardware: HardwareFact.optional(),
});
export type Facts = z.output<typeof Facts>;
