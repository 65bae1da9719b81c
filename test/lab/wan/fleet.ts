/**
 * Owns the fleet that the namespace tests of underlay and overlay run on: a hub and two branches with two uplinks
 * each, so four paths a branch; red and blue with one subnet; and the providers between them.
 */
import { DesiredSpec } from '../../../src/model/desired.ts';
import { Facts, KERNEL_FEATURES } from '../../../src/model/facts.ts';

export const GATEWAYS = ['hub', 'branch1', 'branch2'] as const;
export type Gateway = (typeof GATEWAYS)[number];
export const HOST: Record<Gateway, number> = { hub: 1, branch1: 11, branch2: 12 };
export const PROVIDER = ['198.51.100', '203.0.113'] as const;
export const vtepOf = (gateway: Gateway): string => `10.255.0.${HOST[gateway]}`;
/** Last octet of a gateway's address at both providers. */
const uplinkHost = (gateway: Gateway): number => (gateway === 'hub' ? 20 : 100 + HOST[gateway]);
const RED = { id: 'red', tenant: 'red', vni: 10_010, subnet: '10.10.0.0/24' };
const BLUE = { id: 'blue', tenant: 'blue', vni: 10_020, subnet: '10.10.0.0/24' };
const SLOTS = [1, 2] as const;
const NAMES = ['internet', 'lte'] as const;

export interface FleetOptions {
  readonly intervalMs?: number;
  /** VNIs the hub permits a branch. */
  readonly permitted?: Partial<Record<Gateway, readonly number[]>>;
  /** A branch that is not there (yet): the hub is told of it as a client. */
  readonly joining?: { readonly gatewayId: string; readonly vtep: string };
  readonly segments?: Partial<Record<Gateway, readonly ('red' | 'blue')[]>>;
}

const PRESENT: readonly string[] = ['tun', 'vxlan', 'bridge', 'nft-inet', 'nft-bridge', 'nft-netdev'];

export function factsOf(publicKey: string): Facts {
  return Facts.parse({
    serial: 'test',
    model: 'test',
    version: '0',
    bootId: 'test',
    kernel: {
      release: 'test',
      features: Object.fromEntries(KERNEL_FEATURES.map((name) => [name, PRESENT.includes(name)])),
    },
    ports: ['wan1', 'wan2', 'lan1', 'lan2'].map((label) => ({
      label,
      role: label.startsWith('wan') ? 'wan' : 'lan',
      ifname: label,
      carrier: true,
    })),
    leases: [],
    wireguardPublicKey: publicKey,
  });
}

/** Preference of the path from a spoke's slot to a hub's slot: own first uplink first, straight before across. */
const preferenceOf = (slot: number, hubSlot: number): number => slot * 10 + (slot === hubSlot ? 0 : 1);

export function specOf(
  gateway: Gateway,
  keys: Record<Gateway, string>,
  options: FleetOptions = {},
): DesiredSpec {
  const liveness = { intervalMs: options.intervalMs ?? 50, multiplier: 3 };
  const uplinks = SLOTS.map((slot) => ({
    name: NAMES[slot - 1],
    slot,
    port: `wan${slot}`,
    colour: NAMES[slot - 1],
    addressing: {
      kind: 'static',
      address: `${PROVIDER[slot - 1]}.${uplinkHost(gateway)}/24`,
      gateway: `${PROVIDER[slot - 1]}.1`,
    },
  }));
  /** One network for each (hub slot, spoke slot), the same at both ends. */
  const tunnelNet = (hubSlot: number, slot: number): string => `10.254.${hubSlot * 16 + slot}`;
  const listenPortOf = (hubSlot: number, slot: number): number => 51_820 + hubSlot * 16 + slot;
  const pathOf = (branch: Gateway, slot: number, hubSlot: number): string =>
    `${branch}.${NAMES[slot - 1]}~hub.${NAMES[hubSlot - 1]}`;
  const pairs = SLOTS.flatMap((slot) => SLOTS.map((hubSlot) => ({ slot, hubSlot })));
  const branches = GATEWAYS.filter((name) => name !== 'hub');
  const tunnels =
    gateway === 'hub'
      ? pairs.map(({ slot, hubSlot }) => ({
          id: `${NAMES[hubSlot - 1]}-slot${slot}`,
          uplink: NAMES[hubSlot - 1],
          // Every interface listens on all addresses: no two may share a port.
          listenPort: listenPortOf(hubSlot, slot),
          address: `${tunnelNet(hubSlot, slot)}.1/24`,
          peers: branches.map((branch) => ({
            path: pathOf(branch, slot, hubSlot),
            gatewayId: branch,
            publicKey: keys[branch],
            tunnelAddress: `${tunnelNet(hubSlot, slot)}.${HOST[branch]}`,
            vtep: vtepOf(branch),
            allowed: [],
            keepaliveS: 0,
            preference: preferenceOf(slot, hubSlot),
            liveness,
          })),
        }))
      : pairs.map(({ slot, hubSlot }) => ({
          id: `${NAMES[slot - 1]}-hub-${NAMES[hubSlot - 1]}`,
          uplink: NAMES[slot - 1],
          address: `${tunnelNet(hubSlot, slot)}.${HOST[gateway]}/24`,
          peers: [
            {
              path: pathOf(gateway, slot, hubSlot),
              gatewayId: 'hub',
              publicKey: keys.hub,
              endpoint: { address: `${PROVIDER[hubSlot - 1]}.20`, port: listenPortOf(hubSlot, slot) },
              tunnelAddress: `${tunnelNet(hubSlot, slot)}.1`,
              vtep: vtepOf('hub'),
              allowed: ['10.255.0.0/16'],
              keepaliveS: 25,
              preference: preferenceOf(slot, hubSlot),
              liveness,
            },
          ],
        }));
  const segments = [RED, BLUE].filter(({ id }) =>
    (options.segments?.[gateway] ?? (gateway === 'hub' ? [] : ['red', 'blue'])).some((name) => name === id),
  );
  return DesiredSpec.parse({
    role: gateway === 'hub' ? 'hub' : 'branch',
    site: gateway,
    fleet: { asn: 64_512, tenantMtu: 1390, vtepRange: '10.255.0.0/16', tunnelRange: '10.254.0.0/16' },
    vtep: vtepOf(gateway),
    controller: {
      mqtt: { host: 'controller.branchbox.example', port: 8883 },
      device: { host: 'controller.branchbox.example', port: 8446 },
    },
    uplinks,
    tunnels,
    overlay: {
      reflectors: gateway === 'hub' ? [] : [{ gatewayId: 'hub', vtep: vtepOf('hub') }],
      clients:
        gateway === 'hub'
          ? [
              ...branches.map((branch) => ({
                gatewayId: branch,
                vtep: vtepOf(branch),
                vnis: options.permitted?.[branch] ?? [RED.vni, BLUE.vni],
              })),
              ...(options.joining === undefined ? [] : [{ ...options.joining, vnis: [RED.vni] }]),
            ]
          : [],
    },
    segments,
    ports: segments.map(({ id }) => ({ port: id === 'red' ? 'lan1' : 'lan2', segment: id })),
    apps: [],
  });
}
