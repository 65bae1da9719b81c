/**
 * Owns the numbers that a fleet file does not name and that must never change under a running box: uplink slots,
 * spoke numbers and tunnel networks. Kept beside the fleet; a new gateway takes free numbers and renumbers nobody.
 * Does not own what is made of them (designer.ts).
 */
import { z } from 'zod';
import { ipv4ToNumber, numberToIpv4, splitCidr } from '../model/addresses.ts';
import { BranchboxError, type Problem } from '../model/errors.ts';
import type { Fleet, FleetGateway } from '../model/fleet.ts';

const NumberTable = z.record(z.string(), z.int().min(0));

export const Allocations = z.strictObject({
  /** `<gateway>/<uplink>` → 1..15; the kernel's marks and tables derive from it. */
  uplinkSlots: NumberTable,
  /** `<branch>` → its host number in every tunnel network; 1 is the hub's. */
  spokeNumbers: NumberTable,
  /** `<hub>/<hub uplink>/<spoke slot>` → the number of its tunnel network, one for each interface of a hub. */
  tunnelNetworks: NumberTable,
});
export type Allocations = z.output<typeof Allocations>;

export const NO_ALLOCATIONS: Allocations = { uplinkSlots: {}, spokeNumbers: {}, tunnelNetworks: {} };

const MAX_SLOT = 15;
const HUB_HOST_NUMBER = 1;
/** 64 tunnel networks in a range: of the default /16 each is a /22 for 1,021 branches. */
const TUNNEL_NETWORK_BITS = 6;

export const slotKey = (gatewayId: string, uplink: string): string => `${gatewayId}/${uplink}`;
export const networkKey = (hubId: string, hubUplink: string, spokeSlot: number): string =>
  `${hubId}/${hubUplink}/${spokeSlot}`;

/** Keeps every number that is still wanted, gives the lowest free one to what is new, and frees the rest. */
export function allocate(fleet: Fleet, previous: Allocations): Allocations {
  const problems: Problem[] = [];
  const uplinkSlots: Record<string, number> = {};
  fleet.gateways.forEach((gateway) => {
    const keys = gateway.uplinks.map((uplink) => slotKey(gateway.id, uplink.name));
    // Up to 15 uplinks by the schema, so a slot is always free.
    Object.assign(uplinkSlots, assign(keys, previous.uplinkSlots, 1, MAX_SLOT).numbers);
  });

  const branches = fleet.gateways.filter((gateway) => gateway.role === 'branch');
  const { hostCount, networkCount } = tunnelNetworkShape(fleet.fleet.tunnelRange);
  const spokes = assign(
    branches.map((branch) => branch.id),
    previous.spokeNumbers,
    HUB_HOST_NUMBER + 1,
    hostCount,
  );
  for (const id of spokes.unplaced) {
    problems.push({
      path: '$.fleet.tunnelRange',
      message: `${fleet.fleet.tunnelRange} has no address left for ${id}: it holds ${hostCount - 1} branches`,
    });
  }
  const spokeSlots = slotsInUse(branches, uplinkSlots);
  const networks = assign(
    fleet.gateways
      .filter((gateway) => gateway.role === 'hub')
      .flatMap((hub) =>
        hub.uplinks.flatMap((uplink) => spokeSlots.map((slot) => networkKey(hub.id, uplink.name, slot))),
      ),
    previous.tunnelNetworks,
    0,
    networkCount - 1,
  );
  for (const key of networks.unplaced) {
    problems.push({
      path: '$.fleet.tunnelRange',
      message: `${fleet.fleet.tunnelRange} has no network left for ${key}: it holds ${networkCount}`,
    });
  }
  if (problems.length > 0) {
    throw new BranchboxError('model/invalid', {
      message: `the fleet does not fit its tunnel range ${fleet.fleet.tunnelRange}`,
      mend: 'give the fleet a larger tunnelRange',
      problems,
    });
  }
  return { uplinkSlots, spokeNumbers: spokes.numbers, tunnelNetworks: networks.numbers };
}

/** Slots that any branch uses: a hub has one interface for each of them on each of its uplinks. */
export function slotsInUse(
  branches: readonly FleetGateway[],
  uplinkSlots: Allocations['uplinkSlots'],
): number[] {
  const slots = new Set<number>();
  for (const branch of branches) {
    for (const uplink of branch.uplinks) {
      const slot = numberOf(uplinkSlots, slotKey(branch.id, uplink.name));
      if (slot !== undefined) slots.add(slot);
    }
  }
  return [...slots].sort((a, b) => a - b);
}

/** An address of a tunnel network, with the network's length. `hostNumber` 1 is the hub. */
export function tunnelAddress(
  tunnelRange: string,
  networkNumber: number,
  hostNumber: number = HUB_HOST_NUMBER,
): { readonly address: string; readonly prefixLength: number } {
  const { prefixLength, networkSize } = tunnelNetworkShape(tunnelRange);
  const base = ipv4ToNumber(splitCidr(tunnelRange).address);
  return { address: numberToIpv4(base + networkNumber * networkSize + hostNumber), prefixLength };
}

function tunnelNetworkShape(tunnelRange: string) {
  const range = splitCidr(tunnelRange).prefixLength;
  // A /30 is the smallest network with two hosts.
  const prefixLength = Math.min(range + TUNNEL_NETWORK_BITS, 30);
  const networkSize = 2 ** (32 - prefixLength);
  return {
    prefixLength,
    networkSize,
    networkCount: Math.floor(2 ** (prefixLength - range)),
    /** Highest host number: the last address is the broadcast's. */
    hostCount: networkSize - 2,
  };
}

/** A gateway may be called `constructor`: what every object inherits is no number of it. */
export const numberOf = (table: Readonly<Record<string, number>>, key: string): number | undefined =>
  Object.hasOwn(table, key) ? table[key] : undefined;

function assign(
  keys: readonly string[],
  previous: Readonly<Record<string, number>>,
  lowest: number,
  highest: number,
): { numbers: Record<string, number>; unplaced: readonly string[] } {
  const numbers: Record<string, number> = {};
  const taken = new Set<number>();
  for (const key of keys) {
    const kept = numberOf(previous, key);
    if (kept === undefined || kept < lowest || kept > highest || taken.has(kept)) continue;
    numbers[key] = kept;
    taken.add(kept);
  }
  const unplaced: string[] = [];
  let candidate = lowest;
  for (const key of keys) {
    if (Object.hasOwn(numbers, key)) continue;
    while (taken.has(candidate)) candidate += 1;
    if (candidate > highest) {
      unplaced.push(key);
      continue;
    }
    numbers[key] = candidate;
    taken.add(candidate);
  }
  return { numbers, unplaced };
}
