/**
 * Owns the fleet at a glance: what each gateway should be, what it says it is, and what is between the two. Pure.
 * Does not own a gateway's health: that is its own word (telemetry/health).
 */
import { z } from 'zod';
import { compareVersions } from '../model/desired.ts';
import type { Fleet } from '../model/fleet.ts';
import { GatewayStatus } from '../model/status.ts';
import { InventoryEntry, type DesiredRecord, type StatusRecord } from './store/store.ts';

const VersionRef = z.strictObject({ epoch: z.int(), generation: z.int(), digest: z.string() });

export const GatewayOverview = z.strictObject({
  id: z.string(),
  site: z.string(),
  role: z.enum(['hub', 'branch']),
  serial: z.string().optional(),
  inventory: InventoryEntry.shape.state.optional(),
  desired: VersionRef.optional(),
  committed: GatewayStatus.shape.committed,
  /**
   * in-sync: the box committed what it should be. pending: not yet. refused: it said no, or went back by itself.
   * ahead: it holds a later state than this controller knows of, so this controller was restored from an old copy.
   */
  sync: z.enum(['in-sync', 'pending', 'refused', 'ahead', 'unknown']),
  sentence: z.string(),
  health: GatewayStatus.shape.health.optional(),
  firmware: GatewayStatus.shape.firmware,
  statusReceivedAtMs: z.number().optional(),
});
export type GatewayOverview = z.output<typeof GatewayOverview>;

export const FleetOverview = z.strictObject({
  revision: z.int(),
  epoch: z.int(),
  gateways: z.array(GatewayOverview),
});
export type FleetOverview = z.output<typeof FleetOverview>;

export function overviewOf(known: {
  readonly fleet: Fleet;
  readonly desired: readonly DesiredRecord[];
  readonly status: readonly StatusRecord[];
  readonly inventory: readonly InventoryEntry[];
}): GatewayOverview[] {
  const desired = new Map(known.desired.filter((d) => d.jws !== '').map((d) => [d.gatewayId, d]));
  const status = new Map(known.status.map((record) => [record.gatewayId, record]));
  const inventory = new Map(known.inventory.map((entry) => [entry.serial, entry]));
  return known.fleet.gateways.map((gateway) => {
    const wanted = desired.get(gateway.id);
    const record = status.get(gateway.id);
    const entry = gateway.serial === undefined ? undefined : inventory.get(gateway.serial);
    return {
      id: gateway.id,
      site: gateway.site,
      role: gateway.role,
      ...(gateway.serial === undefined ? {} : { serial: gateway.serial }),
      ...(entry === undefined ? {} : { inventory: entry.state }),
      ...(wanted === undefined
        ? {}
        : { desired: { epoch: wanted.epoch, generation: wanted.generation, digest: wanted.digest } }),
      ...(record?.status.committed === undefined ? {} : { committed: record.status.committed }),
      ...judge(wanted, record?.status, entry),
      ...(record === undefined
        ? {}
        : { health: record.status.health, statusReceivedAtMs: record.receivedAtMs }),
      ...(record?.status.firmware === undefined ? {} : { firmware: record.status.firmware }),
    };
  });
}

function judge(
  wanted: DesiredRecord | undefined,
  status: GatewayStatus | undefined,
  entry: InventoryEntry | undefined,
): Pick<GatewayOverview, 'sync' | 'sentence'> {
  if (status === undefined) return { sync: 'unknown', sentence: waitsFor(entry) };
  if (wanted === undefined) return { sync: 'unknown', sentence: 'no desired state was published yet' };
  const { committed, refused } = status;
  if (committed !== undefined && compareVersions(committed, wanted) === 0) {
    return { sync: 'in-sync', sentence: `runs generation ${wanted.generation}` };
  }
  if (refused?.digest === wanted.digest) {
    return { sync: 'refused', sentence: `did not take generation ${wanted.generation}: ${refused.reason}` };
  }
  if (committed !== undefined && compareVersions(committed, wanted) > 0) {
    return {
      sync: 'ahead',
      sentence:
        `runs generation ${committed.generation} of epoch ${committed.epoch}, which this controller does not know; ` +
        'if it was restored from a copy, start it once with --raise-epoch',
    };
  }
  return { sync: 'pending', sentence: `generation ${wanted.generation} is on its way` };
}

function waitsFor(entry: InventoryEntry | undefined): string {
  if (entry === undefined) return 'its serial is not in the inventory';
  if (entry.state === 'revoked') return 'its box is revoked';
  if (entry.state === 'expected') {
    const progress = entry.progress === undefined ? '' : `; it last reported ${entry.progress.type}`;
    return `its box has not enrolled yet${progress}`;
  }
  return 'its box enrolled and has not reported yet';
}
