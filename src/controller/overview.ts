/**
 * Owns the fleet at a glance: what each gateway should be, what it says it is, and how the two differ. Pure.
 * Does not own a gateway's health: that is its own word (telemetry/health).
 */
import { z } from 'zod';
import { compareVersions } from '../model/desired.ts';
import { BOOTSTRAP_SENTENCES, renderState } from '../model/bootstrap.ts';
import type { Fleet } from '../model/fleet.ts';
import { isKnownMoment } from '../model/moment.ts';
import { GatewayStatus } from '../model/status.ts';
import type { Presence } from './presence.ts';
import { InventoryEntry, type DesiredRecord, type StatusRecord } from './store/entities.ts';

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
   * silent: nobody can say now, since it is not heard. moved: not heard since it said that it is with another controller.
   * revoked: what it does is not counted any more.
   */
  sync: z.enum(['in-sync', 'pending', 'refused', 'ahead', 'silent', 'moved', 'revoked', 'unknown']),
  sentence: z.string(),
  /** As the box reports it; absent while it is silent or revoked: its last report is at its own resource. */
  health: GatewayStatus.shape.health.optional(),
  firmware: GatewayStatus.shape.firmware,
  /** Where it is on its way into service, or within it, by its own last word; absent where it is revoked: that overrules it. */
  bootstrap: GatewayStatus.shape.bootstrap,
  statusReceivedAtMs: z.number().optional(),
  /** When its session ended, or its last status came: one is due each minute. */
  silentSinceMs: z.number().optional(),
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
  readonly silentSince: Presence['silentSince'];
}): GatewayOverview[] {
  const desired = new Map(known.desired.filter((d) => d.jws !== '').map((d) => [d.gatewayId, d]));
  const status = new Map(known.status.map((record) => [record.gatewayId, record]));
  const inventory = new Map(known.inventory.map((entry) => [entry.serial, entry]));
  return known.fleet.gateways.map((gateway) => {
    const wanted = desired.get(gateway.id);
    const record = status.get(gateway.id);
    const entry = gateway.serial === undefined ? undefined : inventory.get(gateway.serial);
    const silentSinceMs =
      record === undefined ? undefined : known.silentSince(gateway.id, record.receivedAtMs);
    const isHeard = silentSinceMs === undefined && entry?.state !== 'revoked';
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
      ...judge(wanted, record, entry, silentSinceMs),
      ...(record === undefined ? {} : { statusReceivedAtMs: record.receivedAtMs }),
      ...(record === undefined || !isHeard ? {} : { health: record.status.health }),
      ...(silentSinceMs === undefined ? {} : { silentSinceMs }),
      ...(record?.status.firmware === undefined ? {} : { firmware: record.status.firmware }),
      ...(record?.status.bootstrap === undefined || entry?.state === 'revoked'
        ? {}
        : { bootstrap: record.status.bootstrap }),
    };
  });
}

type Judgement = Pick<GatewayOverview, 'sync' | 'sentence'>;

function judge(
  wanted: DesiredRecord | undefined,
  record: StatusRecord | undefined,
  entry: InventoryEntry | undefined,
  silentSinceMs: number | undefined,
): Judgement {
  const heardAtMs = record?.receivedAtMs ?? 0;
  if (entry?.state === 'revoked') {
    // It cannot say so: the broker turns it away. One that was never here asks as any stranger does.
    const state = renderState({ state: 'QUARANTINED', ...BOOTSTRAP_SENTENCES.QUARANTINED });
    return {
      sync: 'revoked',
      sentence: `its box is revoked${record === undefined ? '' : `, and where it is online it is in ${state}`}`,
    };
  }
  const word = judgeWord(wanted, record?.status, entry);
  const judgement = { ...word, sentence: `${word.sentence}${onItsWay(record?.status)}` };
  if (silentSinceMs === undefined) return judgement;
  const movedAtMs = entry?.move?.movedAtMs;
  // A box that was heard after that is here, whatever it said.
  if (entry?.move !== undefined && movedAtMs !== undefined && heardAtMs <= movedAtMs) {
    const { to, becomes } = entry.move;
    return {
      sync: 'moved',
      sentence: `its box is with ${to} as ${becomes} since ${new Date(movedAtMs).toISOString()}; its place is kept until an operator gives it to another box or takes it out of the fleet`,
    };
  }
  const since = new Date(silentSinceMs).toISOString();
  return { sync: 'silent', sentence: `silent since ${since}; its last word: ${judgement.sentence}` };
}

/** By what it last reported. */
function judgeWord(
  wanted: DesiredRecord | undefined,
  status: GatewayStatus | undefined,
  entry: InventoryEntry | undefined,
): Judgement {
  if (status === undefined) return { sync: 'unknown', sentence: waitsFor(entry) };
  if (wanted === undefined) return { sync: 'unknown', sentence: 'no desired state was published yet' };
  const { committed, refused } = status;
  if (committed?.digest === wanted.digest) {
    return { sync: 'in-sync', sentence: `runs generation ${wanted.generation}` };
  }
  // Before what was refused: the box refuses all that this controller has as stale, and that is not what to mend.
  // The same generation of another content is one that was signed before the copy was put back.
  if (committed !== undefined && compareVersions(committed, wanted) >= 0) {
    return {
      sync: 'ahead',
      sentence:
        `runs generation ${committed.generation} of epoch ${committed.epoch}, which this controller does not know; ` +
        'if it was restored from a copy, start it once with --raise-epoch',
    };
  }
  if (refused?.digest === wanted.digest) {
    return { sync: 'refused', sentence: `did not take generation ${wanted.generation}: ${refused.reason}` };
  }
  return { sync: 'pending', sentence: `generation ${wanted.generation} is on its way` };
}

/** In service there is nothing to say of it. */
function onItsWay(status: StatusRecord['status'] | undefined): string {
  const { bootstrap } = status ?? {};
  if (bootstrap === undefined || bootstrap.state === 'OPERATIONAL') return '';
  const { sinceMs, lastProblem } = bootstrap;
  const since = isKnownMoment(sinceMs) ? `, since ${new Date(sinceMs).toISOString()}` : '';
  const problem = lastProblem === undefined ? '' : `; last problem: ${lastProblem}`;
  return `; it is in ${renderState(bootstrap)}${problem}${since}`;
}

function waitsFor(entry: InventoryEntry | undefined): string {
  if (entry === undefined) return 'its serial is not in the inventory';
  if (entry.state === 'expected') {
    return `its box has not enrolled yet${lastReport(entry)}`;
  }
  return `its box enrolled and has sent no status yet${lastReport(entry)}`;
}

/** With the words of the box, which are those of its page and command line. */
function lastReport({ progress }: InventoryEntry): string {
  if (progress === undefined) return '';
  const { type, message, atMs } = progress;
  return `; it reported ${type} at ${new Date(atMs).toISOString()}${message === undefined ? '' : `: ${message}`}`;
}
