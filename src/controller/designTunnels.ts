/**
 * Owns paths and tunnels: which interfaces a branch and a hub have, their peers, addresses, ports and preferences.
 * Both ends are made here, since both must say the same: a path is where both have an address family in common.
 * Pure. Does not own the choice of that family (model/fleetUnderlay.ts) nor the numbers beneath (allocations.ts).
 */
import type { Tunnel, TunnelPeer } from '../model/desired.ts';
import { BranchboxError, type Problem } from '../model/errors.ts';
import type { Fleet, FleetGateway } from '../model/fleet.ts';
import { endpointAddress } from '../model/fleetUnderlay.ts';
import { type Allocations, networkKey, numberOf, slotKey, slotsInUse, tunnelAddress } from './allocations.ts';

export interface TunnelInputs {
  readonly fleet: Fleet;
  readonly allocations: Allocations;
  /** As the boxes reported them; a peer appears only once its key is known. */
  readonly publicKeys: ReadonlyMap<string, string>;
}

/** Many NATs forget a UDP flow after 30 s (RFC 4787 REQ-5 asks for 120). */
const SPOKE_KEEPALIVE_S = 25;
/** Room between two first ports: slots are 1..15. */
const PORTS_PER_UPLINK = 16;
const FIRST_LISTEN_PORT = 51_820;
const MAX_UPLINKS = 15;

type FleetUplink = FleetGateway['uplinks'][number];

/** A branch: one interface per path, the hub its only peer. None to an uplink that it cannot reach. */
export function branchTunnels(
  inputs: TunnelInputs,
  branch: FleetGateway,
  hubs: readonly FleetGateway[],
): Tunnel[] {
  return hubs.flatMap((hub) =>
    branch.uplinks.flatMap((own) =>
      hub.uplinks.flatMap((theirs): Tunnel[] => {
        const endpoint = endpointAddress(own, theirs);
        if (endpoint === undefined) return [];
        const slot = slotOf(inputs, branch, own);
        const { address, prefixLength } = spokeAddress(inputs, hub, theirs, branch, slot);
        const publicKey = inputs.publicKeys.get(hub.id);
        const peer: TunnelPeer[] =
          publicKey === undefined
            ? []
            : [
                {
                  ...pathOf(inputs.fleet, branch, own, hub, theirs),
                  gatewayId: hub.id,
                  publicKey,
                  endpoint: { address: endpoint, port: firstPort(inputs, hub, theirs) + slot },
                  tunnelAddress: hubAddress(inputs, hub, theirs, slot).address,
                  vtep: hub.vtep,
                  // Reflected routes carry the remote branch's VTEP, so the whole range goes through the hub.
                  allowed: [inputs.fleet.fleet.vtepRange],
                  keepaliveS: SPOKE_KEEPALIVE_S,
                },
              ];
        return [
          {
            id: `${own.name}-${hub.id}-${theirs.name}`,
            uplink: own.name,
            address: `${address}/${prefixLength}`,
            peers: peer,
          },
        ];
      }),
    ),
  );
}

/**
 * A hub: one interface for each of its uplinks and each slot of the spokes, each spoke one peer there. WireGuard listens
 * in both families at once, so spokes of either share it.
 */
export function hubTunnels(
  inputs: TunnelInputs,
  hub: FleetGateway,
  branches: readonly FleetGateway[],
): Tunnel[] {
  return hub.uplinks.flatMap((own) =>
    slotsInUse(branches, inputs.allocations.uplinkSlots).map((slot): Tunnel => {
      const { address, prefixLength } = hubAddress(inputs, hub, own, slot);
      const peers = branches.flatMap((branch): TunnelPeer[] => {
        const theirs = branch.uplinks.find((uplink) => slotOf(inputs, branch, uplink) === slot);
        const publicKey = inputs.publicKeys.get(branch.id);
        if (theirs === undefined || publicKey === undefined) return [];
        if (endpointAddress(theirs, own) === undefined) return [];
        return [
          {
            ...pathOf(inputs.fleet, branch, theirs, hub, own),
            gatewayId: branch.id,
            publicKey,
            tunnelAddress: spokeAddress(inputs, hub, own, branch, slot).address,
            vtep: branch.vtep,
            allowed: [],
            keepaliveS: 0,
          },
        ];
      });
      return {
        id: `${own.name}-slot${slot}`,
        uplink: own.name,
        listenPort: firstPort(inputs, hub, own) + slot,
        address: `${address}/${prefixLength}`,
        peers: sortBy(peers, (peer) => peer.path),
      };
    }),
  );
}

/**
 * What both ends of a path agree on. The branch's order of uplinks decides first, the hub's next, and both ends
 * hold the same number, so that both send by the same path.
 */
function pathOf(
  fleet: Fleet,
  branch: FleetGateway,
  own: FleetUplink,
  hub: FleetGateway,
  theirs: FleetUplink,
) {
  return {
    path: `${branch.id}.${own.name}~${hub.id}.${theirs.name}`,
    // A fixed factor: a hub that gains an uplink leaves the numbers of the others as they are.
    preference: branch.uplinks.indexOf(own) * MAX_UPLINKS + hub.uplinks.indexOf(theirs) + 1,
    liveness: fleet.fleet.liveness,
  };
}

/** WireGuard binds its port on every address of the box, so two interfaces never share one. */
export function listenPortProblems(inputs: TunnelInputs): Problem[] {
  return inputs.fleet.gateways.flatMap((gateway, i) =>
    gateway.role !== 'hub'
      ? []
      : gateway.uplinks.flatMap((uplink, j) => {
          const first = firstPort(inputs, gateway, uplink);
          const clash = gateway.uplinks
            .slice(0, j)
            .find((earlier) => Math.abs(firstPort(inputs, gateway, earlier) - first) < PORTS_PER_UPLINK);
          if (clash === undefined) return [];
          return [
            {
              path: `$.gateways[${i}].uplinks[${j}].listenPort`,
              message: `ports ${first} to ${first + MAX_UPLINKS} overlap those of uplink ${clash.name}`,
            },
          ];
        }),
  );
}

function firstPort(inputs: TunnelInputs, hub: FleetGateway, uplink: FleetUplink): number {
  return uplink.listenPort ?? FIRST_LISTEN_PORT + PORTS_PER_UPLINK * (slotOf(inputs, hub, uplink) - 1);
}

function hubAddress(inputs: TunnelInputs, hub: FleetGateway, uplink: FleetUplink, slot: number) {
  return tunnelAddress(inputs.fleet.fleet.tunnelRange, networkOf(inputs, hub, uplink, slot));
}

function spokeAddress(
  inputs: TunnelInputs,
  hub: FleetGateway,
  hubUplink: FleetUplink,
  branch: FleetGateway,
  slot: number,
) {
  const number = allocated(inputs.allocations.spokeNumbers, branch.id);
  return tunnelAddress(inputs.fleet.fleet.tunnelRange, networkOf(inputs, hub, hubUplink, slot), number);
}

function networkOf(inputs: TunnelInputs, hub: FleetGateway, uplink: FleetUplink, slot: number): number {
  return allocated(inputs.allocations.tunnelNetworks, networkKey(hub.id, uplink.name, slot));
}

export function slotOf(inputs: TunnelInputs, gateway: FleetGateway, uplink: FleetUplink): number {
  return allocated(inputs.allocations.uplinkSlots, slotKey(gateway.id, uplink.name));
}

function allocated(table: Readonly<Record<string, number>>, key: string): number {
  const number = numberOf(table, key);
  if (number === undefined)
    throw new BranchboxError('internal', { message: `no number is allocated to ${key}` });
  return number;
}

/** By code unit, so that the order is the same under every locale. */
export function sortBy<T>(items: readonly T[], key: (item: T) => string): T[] {
  return [...items].sort((a, b) => (key(a) < key(b) ? -1 : key(a) > key(b) ? 1 : 0));
}
