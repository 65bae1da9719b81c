/**
 * Owns the rules of trial and commit: which desired state is tried, what its end means, what a restart finds.
 * Pure: a record of what is on disk, and decisions over it.
 * Does not own signatures, files, timers or the connection (agent/desiredState.ts).
 */
import { z } from 'zod';
import { compareVersions, type DesiredState, type Version } from '../model/desired.ts';
import type { Problem } from '../model/errors.ts';
import type { ItemId } from '../model/ids.ts';
import type { GatewayStatus } from '../model/status.ts';
import type { AnyItem } from './item.ts';
import { itemOf } from './plan.ts';
import type { Report } from './reconciler.ts';

/** A trial ends after this, whatever it waits for: the way back takes some of the minute that a box may be away. */
const TRIAL_MS = 50_000;
/** Of a box that is not up yet nobody misses a minute, and all it becomes, it becomes in this one trial. */
const FIRST_TRIAL_MS = 180_000;
/** `wasUp`: it held to a committed state, and its network was as that wants, since it started. */
export const trialMs = (wasUp: boolean): number => (wasUp ? TRIAL_MS : FIRST_TRIAL_MS);
/**
 * How long the last committed state may be without a controller before a rolled-back one gets its one retry; and between
 * two tries where nothing is committed yet.
 */
export const RETRY_AFTER_MS = 120_000;
/** A trial that was killed may have been so by its own state: only this many end it for good. */
const MAX_INTERRUPTIONS = 3;
/** How many rolled-back digests are kept: far more than a controller makes in a box's life of trials one after another. */
export const MAX_ROLLED_BACK = 64;

const Digest = z.string().regex(/^[0-9a-f]{64}$/);
const versionShape = { epoch: z.int(), generation: z.int(), digest: Digest };

/** trial.json: written before anything is changed. */
export const TrialRecord = z.strictObject({
  schema: z.literal(1),
  ...versionShape,
  startedAtMs: z.number(),
  /** Whether it was rolled back before: then this is its last chance. */
  retry: z.boolean(),
  jws: z.string(),
});
export type TrialRecord = z.output<typeof TrialRecord>;

export const RolledBack = z.strictObject({
  ...versionShape,
  atMs: z.number(),
  cause: z.enum(['failed', 'interrupted']),
  /** For a person: why. */
  sentence: z.string().max(2000),
  interruptions: z.int(),
  retried: z.boolean(),
});
export type RolledBack = z.output<typeof RolledBack>;

/** rolled-back.json; the message of the newest is kept for its one retry. */
export const RolledBackRecord = z.strictObject({
  schema: z.literal(1),
  entries: z.array(RolledBack).max(MAX_ROLLED_BACK),
  jws: z.string().optional(),
});
export type RolledBackRecord = z.output<typeof RolledBackRecord>;

export interface Identified extends Version {
  readonly digest: string;
}

/** What the box holds on disk, and its own name. */
export interface TrialContext {
  readonly gatewayId: string;
  readonly committed: Identified | undefined;
  readonly trial: Identified | undefined;
  readonly rolledBack: readonly RolledBack[];
  readonly nowMs: number;
}

export type RefusedReason = NonNullable<GatewayStatus['refused']>['reason'];
export type Verdict =
  | { readonly kind: 'try' }
  /** Already committed, or on trial now. */
  | { readonly kind: 'same' }
  | { readonly kind: 'refuse'; readonly reason: RefusedReason; readonly problems: readonly Problem[] };

/** Whether a signed and well-formed desired state is to be tried. */
export function judge(candidate: DesiredState, digest: string, context: TrialContext): Verdict {
  const problems: Problem[] = [];
  const { committed, trial } = context;
  if (candidate.gatewayId !== context.gatewayId) {
    const message = `is ${candidate.gatewayId}, this box is ${context.gatewayId}`;
    return { kind: 'refuse', reason: 'other-box', problems: [{ path: '$.gatewayId', message }] };
  }
  if (digest === committed?.digest || digest === trial?.digest) return { kind: 'same' };
  for (const [held, what] of [
    [committed, 'committed'],
    [trial, 'on trial'],
  ] as const) {
    if (held === undefined || compareVersions(candidate, held) > 0) continue;
    const here = candidate.epoch === held.epoch ? 'generation' : 'epoch';
    problems.push({
      path: `$.${here}`,
      message: `is ${candidate[here]}, but ${held.epoch}/${held.generation} is ${what}`,
    });
  }
  if (problems.length > 0) return { kind: 'refuse', reason: 'stale', problems };
  const earlier = context.rolledBack.find((entry) => entry.digest === digest);
  if (earlier !== undefined && isFinal(earlier)) {
    const message = `was tried and rolled back: ${earlier.sentence}`;
    return { kind: 'refuse', reason: 'rolled-back', problems: [{ path: '$', message }] };
  }
  if (candidate.notBefore > context.nowMs) {
    const message = `is ${new Date(candidate.notBefore).toISOString()}, and that is still to come`;
    return { kind: 'refuse', reason: 'not-yet', problems: [{ path: '$.notBefore', message }] };
  }
  return { kind: 'try' };
}

/**
 * A power cut in a trial says little of what was tried, and a box that never tries it again is off its fleet until
 * somebody changes that. It comes over a connection that the state before let through, so the box is not lost by it; and
 * what takes the box down each time ends by the count.
 */
const isFinal = (entry: RolledBack): boolean =>
  entry.cause === 'failed' || entry.interruptions >= MAX_INTERRUPTIONS;

/** The record after a trial that did not end well. */
export function recordRollBack(
  record: RolledBackRecord | undefined,
  trial: TrialRecord,
  end: { readonly atMs: number; readonly cause: RolledBack['cause']; readonly sentence: string },
): RolledBackRecord {
  const entries = record?.entries ?? [];
  const earlier = entries.find((entry) => entry.digest === trial.digest);
  // Killed between this record and the removal of the journal: the verdict stands.
  const judged = earlier?.cause === 'failed' && earlier.retried === trial.retry ? earlier : undefined;
  const entry: RolledBack = {
    epoch: trial.epoch,
    generation: trial.generation,
    digest: trial.digest,
    atMs: end.atMs,
    cause: judged?.cause ?? end.cause,
    sentence: (judged?.sentence ?? end.sentence).slice(0, 2000),
    interruptions: (earlier?.interruptions ?? 0) + (end.cause === 'interrupted' ? 1 : 0),
    retried: trial.retry,
  };
  const others = entries.filter((other) => other.digest !== trial.digest);
  return { schema: 1, entries: [...others, entry].slice(-MAX_ROLLED_BACK), jws: trial.jws };
}

/**
 * The newest rolled-back state, where it may be tried again: over a committed one once, before the first commit as often
 * as it takes. A box that holds to nothing has nothing to lose, and what failed may have been the line, or the hour.
 */
export function retriable(
  record: RolledBackRecord | undefined,
  committed: Identified | undefined,
): { readonly digest: string; readonly jws: string } | undefined {
  const newest = record?.entries.at(-1);
  if (newest === undefined || record?.jws === undefined) return undefined;
  // Since something newer was committed, going back to this would be going back in time.
  if (committed !== undefined && (newest.retried || compareVersions(newest, committed) <= 0))
    return undefined;
  return { digest: newest.digest, jws: record.jws };
}

/** What in a run's result counts against the state on trial. */
export function trialProblems<I extends AnyItem>(
  report: Pick<Report<I>, 'plan' | 'failures'>,
  before: ReadonlySet<ItemId>,
): readonly Problem[] {
  const problems: Problem[] = [];
  for (const [id, error] of report.failures) {
    if (!before.has(id)) problems.push({ path: id, message: error.message });
  }
  const blocked = new Set(report.plan.blocked.map(({ id }) => id));
  for (const { id, missing } of report.plan.blocked) {
    // A cable that is not plugged in, or a lease that did not come, is no fault of the state: without a way to the
    // controller there is no proof either. What waits for another blocked item is judged by that one.
    const ownFault = missing.filter((need) => !need.startsWith('external:') && !blocked.has(need));
    if (ownFault.length > 0 && !before.has(id)) {
      problems.push({ path: id, message: `waits for ${ownFault.join(', ')}` });
    }
  }
  const named = new Set(problems.map(({ path }) => path));
  for (const step of report.plan.steps) {
    const { id } = itemOf(step);
    if (!named.has(id) && !before.has(id)) problems.push({ path: id, message: `is still to ${step.op}` });
  }
  return problems;
}

/** What failed or waited before the trial, and so says nothing about it. */
export function troubledBefore<I extends AnyItem>(
  report: Pick<Report<I>, 'plan' | 'failures'> | undefined,
): ReadonlySet<ItemId> {
  if (report === undefined) return new Set();
  return new Set([...report.failures.keys(), ...report.plan.blocked.map(({ id }) => id)]);
}

export type RestartFinding = 'nothing' | 'interrupted' | 'was-committed';

/** What a journalled trial means after a restart: the commit writes the state first and removes the journal last. */
export function onRestart(trial: Identified | undefined, committed: Identified | undefined): RestartFinding {
  if (trial === undefined) return 'nothing';
  return trial.digest === committed?.digest ? 'was-committed' : 'interrupted';
}
