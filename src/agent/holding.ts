/**
 * Owns holding the box to what is wanted now: one loop a lane, their last reports, and whether the network has settled
 * since what is wanted changed. Does not own what is wanted (desiredState).
 */
import type { BranchboxError, Problem } from '../model/errors.ts';
import type { ItemId } from '../model/ids.ts';
import type { AnyItem } from '../reconcile/item.ts';
import { createLoop, type Loop, type LoopRun } from '../reconcile/loop.ts';
import type { Report } from '../reconcile/reconciler.ts';
import { trialProblems, troubledBefore } from '../reconcile/trial.ts';
import type { System } from '../system/ports.ts';
import type { Lanes } from './items.ts';
import type { Lane } from './lane.ts';

/**
 * Events wake the lanes at once; this is for what no event tells (a firewall rule flushed by hand). Ten processes
 * look at a box, so that each ten minutes means one a minute.
 */
const RESYNC_MS = 600_000;

export interface LaneState {
  readonly name: string;
  readonly owns: (kind: string) => boolean;
  readonly report: Report<AnyItem> | undefined;
  /** Why its last run could not be planned at all. */
  readonly defect: BranchboxError | undefined;
}

/** For an agent to get its network as wanted, on a slow box. */
const START_MS = 180_000;

export interface Holding {
  run(signal: AbortSignal): Promise<void>;
  wakeAll(): void;
  /** Something else is wanted from now on. */
  restart(): void;
  /** Resolves when the network is as wanted since the last restart; rejects where it never will be, or on abort. */
  settle(signal: AbortSignal): Promise<void>;
  /** It was, at least once, or has had the time that a start may take: a box that is never well must not prolong trials. */
  wasSettled(): boolean;
  /** What is in the way of that. */
  problems(): readonly Problem[];
  states(): readonly LaneState[];
  /** How long the network's lane is in one run by now; undefined where it is in none. Apps may pull images for hours. */
  busyMs(): number | undefined;
}

export function createHolding(parts: {
  readonly lanes: Lanes;
  /** Facts anew, rendered with what is wanted. */
  readonly items: (signal: AbortSignal) => Promise<readonly AnyItem[]>;
  /** After each run of a lane. */
  readonly onRun: () => void;
  readonly system: Pick<System, 'clock' | 'log'>;
}): Holding {
  const { lanes } = parts;
  const { clock } = parts.system;
  const reports = new Map<string, LoopRun<AnyItem>>();
  const defects = new Map<string, BranchboxError>();
  const loops = new Map<string, Loop>();
  const waiting = new Set<() => void>();
  let netEra = 0;
  let netSinceMs: number | undefined;
  let wasSettled = false;
  const startedAtMs = clock.monotonicMs();
  /** Trouble that was there before what is wanted changed. */
  let before: ReadonlySet<ItemId> = new Set();

  const wakeOthers = (than: Lane): void => {
    for (const [name, loop] of loops) if (name !== than.name) loop.wake();
  };
  for (const lane of lanes.all) {
    loops.set(
      lane.name,
      createLoop<AnyItem>({
        ...parts.system,
        name: lane.name,
        resyncMs: RESYNC_MS,
        converge: async (held, signal) => {
          const isNet = lane === lanes.net;
          if (isNet) netSinceMs = clock.monotonicMs();
          try {
            return await lane.converge(await parts.items(signal), held, signal);
          } finally {
            if (isNet) netSinceMs = undefined;
          }
        },
        onRun: (run) => {
          reports.set(lane.name, run);
          defects.delete(lane.name);
          // What this lane brought about may be what another waits for.
          if (run.report.applied > 0) wakeOthers(lane);
          if (lane === lanes.net) {
            wasSettled ||= run.era === netEra && problems().length === 0;
            for (const look of waiting) look();
          }
          parts.onRun();
        },
        onDefect: (error, era) => {
          defects.set(lane.name, error);
          if (lane === lanes.net && era === netEra) for (const look of waiting) look();
          parts.onRun();
        },
      }),
    );
  }

  const problems = (): readonly Problem[] => {
    const defect = defects.get(lanes.net.name);
    if (defect !== undefined) return [{ path: '$', message: defect.message }, ...defect.problems];
    const run = reports.get(lanes.net.name);
    return run === undefined || run.era !== netEra ? [] : trialProblems(run.report, before);
  };

  return {
    busyMs: () => (netSinceMs === undefined ? undefined : clock.monotonicMs() - netSinceMs),
    async run(signal) {
      await Promise.all([...loops.values()].map((loop) => loop.run(signal)));
    },
    wakeAll() {
      for (const loop of loops.values()) loop.wake();
    },
    restart() {
      before = troubledBefore(reports.get(lanes.net.name)?.report);
      defects.clear();
      for (const [name, loop] of loops) {
        const era = loop.restart();
        if (name === lanes.net.name) netEra = era;
      }
    },
    settle: (signal) =>
      new Promise((resolve, reject) => {
        const finish = (): void => {
          waiting.delete(look);
          signal.removeEventListener('abort', onAbort);
        };
        const onAbort = (): void => {
          finish();
          reject(signal.reason);
        };
        const look = (): void => {
          const defect = defects.get(lanes.net.name);
          if (defect?.retry === 'never') {
            finish();
            reject(defect);
            return;
          }
          const run = reports.get(lanes.net.name);
          if (run === undefined || run.era !== netEra || problems().length > 0) return;
          finish();
          resolve();
        };
        if (signal.aborted) {
          reject(signal.reason);
          return;
        }
        signal.addEventListener('abort', onAbort, { once: true });
        waiting.add(look);
        look();
      }),
    problems,
    wasSettled: () => wasSettled || clock.monotonicMs() - startedAtMs >= START_MS,
    states: () =>
      lanes.all.map(({ name, owns }) => ({
        name,
        owns,
        report: reports.get(name)?.report,
        defect: defects.get(name),
      })),
  };
}
