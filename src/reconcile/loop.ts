/**
 * Owns when a lane of the box is reconciled: woken by events and by time, one run at a time, with a pause between
 * runs and a back-off for each item that fails. Events only wake; every run observes anew.
 * Does not own what a run does (reconciler.ts), nor where events come from.
 */
import { asBranchboxError, type BranchboxError } from '../model/errors.ts';
import type { ItemId } from '../model/ids.ts';
import type { Clock, Logger } from '../system/ports.ts';
import { createWaker } from '../system/waker.ts';
import type { AnyItem } from './item.ts';
import type { Report } from './reconciler.ts';

/** A burst of kernel events (a link with its addresses and routes) is one run. */
const DEBOUNCE_MS = 100;
/** At most this often while events keep coming: FRR may move a thousand routes. */
const MIN_INTERVAL_MS = 1000;
const BACKOFF_FIRST_MS = 1000;
const BACKOFF_MAX_MS = 60_000;

export interface LoopRun<I extends AnyItem> {
  /** How often the loop was restarted before this run began: tells which wish its report is about. */
  readonly era: number;
  readonly report: Report<I>;
}

export interface Loop {
  /** Something may have changed. */
  wake(): void;
  /** Something else is wanted: the run under way is stopped, back-offs are forgotten. The new era. */
  restart(): number;
  /** Until the signal aborts; resolves then. */
  run(signal: AbortSignal): Promise<void>;
}

export interface LoopParts<I extends AnyItem> {
  readonly name: string;
  /** `held`: not to be tried in this run, each with its last error. */
  readonly converge: (held: ReadonlyMap<ItemId, BranchboxError>, signal: AbortSignal) => Promise<Report<I>>;
  /** After each run that was not stopped. */
  readonly onRun: (run: LoopRun<I>) => void;
  /** A run that could not even be planned (items in a circle, nothing observed). */
  readonly onDefect: (error: BranchboxError, era: number) => void;
  /** Everything is looked at this often, though no event came. */
  readonly resyncMs: number;
  readonly clock: Clock;
  readonly log: Logger;
}

export function createLoop<I extends AnyItem>(parts: LoopParts<I>): Loop {
  const { clock, log } = parts;
  const backoff = createBackoff(clock);
  let era = 0;
  let woken = false;
  let urgent = true;
  const waker = createWaker(clock);
  let current: AbortController | undefined;

  /** Only a restart cuts it short. */
  const pause = async (durationMs: number, signal: AbortSignal): Promise<void> => {
    const endMs = clock.monotonicMs() + durationMs;
    while (!urgent && !signal.aborted && clock.monotonicMs() < endMs) {
      await waker.rest(Math.max(1, endMs - clock.monotonicMs()), signal);
    }
  };

  const runOnce = async (signal: AbortSignal): Promise<void> => {
    const controller = new AbortController();
    current = controller;
    const ofEra = era;
    try {
      const held = backoff.held();
      const report = await parts.converge(held, AbortSignal.any([signal, controller.signal]));
      if (era !== ofEra) return;
      backoff.note(report.failures, held);
      const fresh = [...report.failures].filter(([id]) => !held.has(id));
      if (report.applied > 0 || fresh.length > 0) {
        log.info('reconciled', {
          lane: parts.name,
          applied: report.applied,
          failed: report.failures.size,
          errors: fresh.slice(0, 3).map(([id, error]) => `${id}: ${error.message.slice(0, 300)}`),
          blocked: report.plan.blocked.length,
          durationMs: Math.round(report.durationMs),
        });
      }
      parts.onRun({ era: ofEra, report });
    } catch (thrown) {
      if (signal.aborted || controller.signal.aborted) return;
      const error = asBranchboxError(thrown);
      log.error('cannot reconcile', { lane: parts.name, error });
      backoff.noteDefect();
      parts.onDefect(error, ofEra);
    } finally {
      current = undefined;
    }
  };

  return {
    wake() {
      woken = true;
      waker.wake();
    },
    restart() {
      era += 1;
      urgent = true;
      woken = true;
      backoff.forget();
      current?.abort(new Error('superseded'));
      waker.wake();
      return era;
    },
    async run(signal) {
      for (;;) {
        if (!urgent) await pause(DEBOUNCE_MS, signal);
        if (signal.aborted) return;
        woken = false;
        urgent = false;
        const startMs = clock.monotonicMs();
        await runOnce(signal);
        await pause(MIN_INTERVAL_MS - (clock.monotonicMs() - startMs), signal);
        if (!woken && !signal.aborted) await waker.rest(Math.min(parts.resyncMs, backoff.nextMs()), signal);
      }
    },
  };
}

interface Backoff {
  held(): ReadonlyMap<ItemId, BranchboxError>;
  note(failures: ReadonlyMap<ItemId, BranchboxError>, held: ReadonlyMap<ItemId, BranchboxError>): void;
  noteDefect(): void;
  forget(): void;
  /** Until the next item may be tried, or is to be looked for. */
  nextMs(): number;
}

interface Pause {
  readonly delayMs: number;
  readonly untilMs: number;
}

interface Wait extends Pause {
  readonly error: BranchboxError;
  /** Of one that failed and by now only waits for something else: until the next look whether that is there. */
  readonly look?: Pause;
}

function createBackoff(clock: Clock): Backoff {
  const waits = new Map<ItemId, Wait>();
  let defect: Pause = { delayMs: 0, untilMs: Number.POSITIVE_INFINITY };
  const later = (delayMs: number): Pause => {
    const nextDelayMs = delayMs === 0 ? BACKOFF_FIRST_MS : Math.min(delayMs * 2, BACKOFF_MAX_MS);
    return { delayMs: nextDelayMs, untilMs: clock.monotonicMs() + nextDelayMs };
  };
  /** What it waits for may come without an event: at once the first time, then ever later; looks in between change nothing. */
  const nextLook = (look: Pause | undefined): Pause => {
    const nowMs = clock.monotonicMs();
    if (look === undefined) return { delayMs: 0, untilMs: nowMs };
    return look.untilMs > nowMs ? look : later(look.delayMs);
  };
  return {
    held() {
      const nowMs = clock.monotonicMs();
      const waiting = [...waits].filter(([, { untilMs }]) => untilMs > nowMs);
      return new Map(waiting.map(([id, { error }]) => [id, error]));
    },
    note(failures, held) {
      defect = { delayMs: 0, untilMs: Number.POSITIVE_INFINITY };
      for (const id of waits.keys()) if (!failures.has(id)) waits.delete(id);
      for (const [id, error] of failures) {
        if (held.has(id)) continue;
        const wait = waits.get(id);
        if (error.code !== 'reconcile/blocked') waits.set(id, { ...later(wait?.delayMs ?? 0), error });
        // What only waits for another is tried together with that.
        else if (wait !== undefined) waits.set(id, { ...wait, look: nextLook(wait.look) });
      }
    },
    noteDefect() {
      defect = later(defect.delayMs);
    },
    forget() {
      waits.clear();
      defect = { delayMs: 0, untilMs: Number.POSITIVE_INFINITY };
    },
    nextMs() {
      const untilMs = Math.min(
        defect.untilMs,
        ...[...waits.values()].map((one) => (one.look ?? one).untilMs),
      );
      return Math.max(1, untilMs - clock.monotonicMs());
    },
  };
}
