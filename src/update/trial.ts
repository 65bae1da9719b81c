/**
 * Owns the rules of a firmware trial: what the box did before (the baseline), what of it is missing now, and what a
 * start of the box means for the version on trial. Pure.
 * Does not own reading the box's health (the agent does), nor the deadline when there is no agent
 * (firmware/trial-deadline).
 */
import { z } from 'zod';
import type { Problem } from '../model/errors.ts';
import { FirmwareVersion, RootHash } from '../model/firmware.ts';
import type { BootEntry } from './entries.ts';
import type { Observation, Progress } from './plan.ts';

/** As it must be before a verdict of good: BGP, containers and LTE have come and gone by then, if they do. */
export const STABLE_MS = 30_000;
/** Since the box started. The deadline without an agent is 10 minutes: the agent's own verdict comes before. */
export const VERDICT_MS = 480_000;
/** However long the version before took: so long a bad one may keep a branch dark. */
const MAX_VERDICT_MS = 1_800_000;
/** What the deadline without an agent leaves the agent's own verdict, where that comes later. */
const DEADLINE_AFTER_VERDICT_MS = 120_000;

/** Twice what the version before took until all was up, where that is more than most boxes need. */
export const verdictMs = (trial: Pick<TrialRecord, 'upAfterMs'> | undefined): number =>
  Math.min(Math.max(VERDICT_MS, 2 * (trial?.upAfterMs ?? 0)), MAX_VERDICT_MS);
/** Seconds since the start, as firmware/trial-deadline takes them. */
export const deadlineS = (verdictAtMs: number): number =>
  Math.round((verdictAtMs + DEADLINE_AFTER_VERDICT_MS) / 1000);
/** A start of another version than the one on trial, though that one has all its tries: after so many, no more. */
const MAX_ATTEMPTS = 3;

/** What is up now. What is wanted has an entry, also where it vanished; what is not wanted any more has none. */
export interface Vitals {
  /** It holds to a desired state. Without one nothing below has an entry either, which proves nothing. */
  readonly desired: boolean;
  readonly controller: boolean;
  readonly paths: ReadonlyMap<string, boolean>;
  readonly segments: ReadonlyMap<string, boolean>;
  readonly apps: ReadonlyMap<string, boolean>;
}

const Names = z.array(z.string().max(200)).max(8192);
/** What was up before. Fields that another version wrote too are kept: it reads them again after a way back. */
export const Baseline = z.looseObject({
  desired: z.boolean(),
  controller: z.boolean(),
  paths: Names,
  segments: Names,
  apps: Names,
});
export type Baseline = z.output<typeof Baseline>;

/** trial.json: written before the boot entry is placed, since from then on any start of the box may be the trial. */
export const TrialRecord = z.looseObject({
  schema: z.literal(1),
  digest: z.string(),
  version: FirmwareVersion,
  rootHash: RootHash,
  from: z.looseObject({ version: z.string(), rootHash: RootHash }),
  /** Of the boot in which it was written. */
  bootId: z.string(),
  recordedAtMs: z.number(),
  attempts: z.int().min(1),
  /** Absent where the box could not be looked at, or the record was lost: all that is wanted is asked for. */
  baseline: Baseline.optional(),
  /** Of the version before, since its machine started; absent where not all was up at once in that start. */
  upAfterMs: z.number().min(0).optional(),
  /** false: the restart into it is not decided yet; its boot entry may not even stand. */
  due: z.boolean().optional(),
  /** The version's own agent came up and saw this record; absent where this was made up for one that was lost. */
  agentSeen: z.boolean().optional(),
  /** Why that agent gave it up. */
  unhealthy: z.array(z.looseObject({ path: z.string(), message: z.string() })).optional(),
});
export type TrialRecord = z.output<typeof TrialRecord>;

const upOf = (states: ReadonlyMap<string, boolean>): string[] =>
  [...states].flatMap(([name, up]) => (up ? [name] : [])).toSorted();

export const baselineOf = (vitals: Vitals): Baseline => ({
  desired: vitals.desired,
  controller: vitals.controller,
  paths: upOf(vitals.paths),
  segments: upOf(vitals.segments),
  apps: upOf(vitals.apps),
});

/** Nothing tells what was up before: what is wanted now. */
const allOf = (vitals: Vitals): Baseline => ({
  desired: true,
  controller: true,
  paths: [...vitals.paths.keys()],
  segments: [...vitals.segments.keys()],
  apps: [...vitals.apps.keys()],
});

/** What was up before and is not now, or without a baseline all that is wanted and not up; none: healthy. */
export function shortfalls(baseline: Baseline | undefined, vitals: Vitals | undefined): readonly Problem[] {
  if (vitals === undefined) return [{ path: '$', message: 'the box has not been looked at yet' }];
  const asked = baseline ?? allOf(vitals);
  const told = (message: string): string =>
    baseline === undefined ? 'is wanted, and nothing tells whether it was there before the update' : message;
  const down = (kind: string, names: readonly string[], now: ReadonlyMap<string, boolean>): Problem[] =>
    names
      .filter((name) => now.get(name) === false)
      .map((name) => ({ path: `${kind} ${name}`, message: told('was up before the update and is not now') }));
  const lost = asked.desired && !vitals.desired;
  const away = asked.controller && !vitals.controller;
  return [
    ...(lost
      ? [
          {
            path: 'desired state',
            message: told('was held to before the update and is not understood now'),
          },
        ]
      : []),
    ...(away ? [{ path: 'controller', message: told('was reached before the update and is not now') }] : []),
    ...down('path', asked.paths, vitals.paths),
    ...down('segment', asked.segments, vitals.segments),
    ...down('app', asked.apps, vitals.apps),
  ];
}

export const ROLL_BACK_CAUSES = ['panicked-or-hung', 'no-verdict', 'unhealthy', 'never-started'] as const;
export type RollBackCause = (typeof ROLL_BACK_CAUSES)[number];

export type BootVerdict =
  /** Nothing is on trial. `unrecorded`: entries that the loader would start, and nothing would judge. */
  | { readonly kind: 'settled'; readonly unrecorded: readonly BootEntry[] }
  /** Cut before the restart into it was decided: it is planned again, if somebody still wants it. */
  | { readonly kind: 'unfinished' }
  | { readonly kind: 'on-trial'; readonly entry: BootEntry }
  /** The entry was committed, and the record is still there: cut in between. */
  | { readonly kind: 'committed' }
  /** Recorded in this boot, or never started since, or committed while the loader prefers this one: a restart is to come. */
  | { readonly kind: 'restart-due' }
  | {
      readonly kind: 'rolled-back';
      readonly cause: RollBackCause;
      readonly sentence: string;
      /** Has tries left, which nobody wants it to use. */
      readonly stillTried: BootEntry | undefined;
    };

/** `ended`: what the deadline without an agent wrote down, if it did. */
export function judgeBoot(
  observed: Pick<Observation, 'running' | 'entries'>,
  trial: TrialRecord | undefined,
  now: { readonly bootId: string; readonly ended: string | undefined },
): BootVerdict {
  const own = observed.entries.filter(({ rootHash }) => rootHash === observed.running.rootHash);
  const counted = own.find(({ triesLeft }) => triesLeft !== undefined);
  const committed = own.some(({ triesLeft }) => triesLeft === undefined);
  if (counted !== undefined && !committed) return { kind: 'on-trial', entry: counted };
  if (trial === undefined) {
    const unrecorded = observed.entries.filter(
      ({ rootHash, triesLeft }) => rootHash !== observed.running.rootHash && (triesLeft ?? 0) > 0,
    );
    return { kind: 'settled', unrecorded: committed ? unrecorded : [] };
  }
  if (trial.rootHash === observed.running.rootHash) return { kind: 'committed' };
  const entry = observed.entries.find(({ rootHash }) => rootHash === trial.rootHash);
  const stillTried = entry?.triesLeft === 0 ? undefined : entry;
  const back = (cause: RollBackCause, sentence: string): BootVerdict => ({
    kind: 'rolled-back',
    cause,
    sentence: `Firmware ${trial.version} was taken back to ${observed.running.version}: ${sentence}`,
    stillTried,
  });
  if (trial.unhealthy !== undefined) {
    const named = trial.unhealthy.slice(0, 8).map(({ path, message }) => `${path} ${message}`);
    return back('unhealthy', named.join('; '));
  }
  // A downgrade that was committed, and cut before the entry that the loader prefers was gone: its own agent removes that.
  const committedSince = entry !== undefined && entry.triesLeft === undefined;
  if (now.ended !== undefined && !committedSince) return back('no-verdict', now.ended);
  const untried = entry?.triesLeft !== undefined && entry.triesLeft > 0 && entry.triesDone === 0;
  if (trial.due === false && (untried || entry === undefined)) return { kind: 'unfinished' };
  const isDue = untried || committedSince;
  if (isDue && (trial.bootId === now.bootId || trial.attempts < MAX_ATTEMPTS)) return { kind: 'restart-due' };
  if (isDue) return back('never-started', `the loader did not start it in ${trial.attempts} restarts.`);
  if (trial.agentSeen === undefined)
    return back('panicked-or-hung', 'it was started, and its record was lost.');
  return back(
    'panicked-or-hung',
    trial.agentSeen
      ? 'its agent came up, and the machine went down before it gave a verdict.'
      : 'it never came as far as its agent: its kernel panicked or hung, or its root was not accepted.',
  );
}

/**
 * In place of a record that was lost or cannot be read: of the version that progress names, where the loader started an
 * entry of it and another one is committed, which is what was there before. Without a baseline.
 */
export function recallTrial(
  { entries }: Pick<Observation, 'entries'>,
  progress: Pick<Progress, 'digest' | 'version'> | undefined,
  now: { readonly bootId: string; readonly nowMs: number },
): TrialRecord | undefined {
  const tried = entries.find(
    ({ version, triesLeft, triesDone }) =>
      version === progress?.version && triesLeft !== undefined && triesDone > 0,
  );
  const from = entries.find(
    ({ rootHash, triesLeft }) =>
      triesLeft === undefined && rootHash !== undefined && rootHash !== tried?.rootHash,
  );
  if (progress === undefined || tried?.rootHash === undefined || from?.rootHash === undefined)
    return undefined;
  return {
    schema: 1,
    digest: progress.digest,
    version: tried.version,
    rootHash: tried.rootHash,
    from: { version: from.version, rootHash: from.rootHash },
    bootId: now.bootId,
    recordedAtMs: now.nowMs,
    attempts: 1,
  };
}
