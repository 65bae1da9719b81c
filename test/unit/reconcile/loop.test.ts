/** The loop around the reconciler, held against bursts, failures and intents that change under it. */
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { BranchboxError } from '../../../src/model/errors.ts';
import { itemId, type ItemId } from '../../../src/model/ids.ts';
import { createLoop } from '../../../src/reconcile/loop.ts';
import type { Report } from '../../../src/reconcile/reconciler.ts';
import type { AnyItem } from '../../../src/reconcile/item.ts';
import { createClock } from '../../../src/system/linux/clock.ts';
import { silentLog as log } from '../../fakes/silentLog.ts';
const clock = createClock();
const broken = itemId('alpha', 'broken');

beforeEach(() => vi.useFakeTimers());
afterEach(() => vi.useRealTimers());

function report(failures: readonly ItemId[] = [], applied = 0): Report<AnyItem> {
  return {
    converged: failures.length === 0,
    plan: { steps: [], blocked: [] },
    observation: { items: [], gates: new Set(), unobserved: new Map() },
    failures: new Map(failures.map((id) => [id, new BranchboxError('net/kernel', { message: 'no' })])),
    applied,
    durationMs: 1,
  };
}

/** Runs are recorded with the second they began in; each answers with the next of `answers`, then with rest. */
function started(
  answer: (held: ReadonlyMap<ItemId, BranchboxError>, signal: AbortSignal) => Promise<Report<AnyItem>>,
) {
  const runs: number[] = [];
  const reports: number[] = [];
  const defects: string[] = [];
  const startMs = Date.now();
  const ending = new AbortController();
  const loop = createLoop<AnyItem>({
    name: 'test',
    converge: (held, signal) => {
      runs.push((Date.now() - startMs) / 1000);
      return answer(held, signal);
    },
    onRun: ({ era }) => reports.push(era),
    onDefect: (error) => defects.push(error.code),
    resyncMs: 600_000,
    clock,
    log,
  });
  void loop.run(ending.signal);
  return { loop, runs, reports, defects, end: () => ending.abort() };
}

describe('the loop', () => {
  it('runs at once, then rests until the slow look', async () => {
    const one = started(async () => report());
    await vi.advanceTimersByTimeAsync(599_000);
    expect(one.runs).toEqual([0]);
    await vi.advanceTimersByTimeAsync(10_000);
    expect(one.runs).toHaveLength(2);
    one.end();
  });

  it('makes one run of a burst, and one a second of a stream of events', async () => {
    const one = started(async () => report());
    await vi.advanceTimersByTimeAsync(5000);
    for (let i = 0; i < 10; i += 1) one.loop.wake();
    await vi.advanceTimersByTimeAsync(5000);
    expect(one.runs).toHaveLength(2);
    for (let i = 0; i < 50; i += 1) {
      one.loop.wake();
      await vi.advanceTimersByTimeAsync(100);
    }
    expect(one.runs.length).toBeLessThanOrEqual(8);
    one.end();
  });

  it('rests after the events of its own changes were looked at', async () => {
    let changes = 1;
    const one = started(async () => {
      const applied = changes;
      changes = 0;
      // The kernel tells of what we did ourselves.
      if (applied > 0) one.loop.wake();
      return report([], applied);
    });
    await vi.advanceTimersByTimeAsync(60_000);
    expect(one.runs).toHaveLength(2);
    one.end();
  });

  it('waits longer and longer before a failing item is tried again, and tries others meanwhile', async () => {
    const tried: number[] = [];
    const startMs = Date.now();
    const one = started(async (held) => {
      if (!held.has(broken)) tried.push((Date.now() - startMs) / 1000);
      return report([broken]);
    });
    await vi.advanceTimersByTimeAsync(200_000);
    const gaps = tried.slice(1).map((at, index) => Math.round(at - (tried[index] ?? 0)));
    expect(gaps).toEqual([1, 2, 4, 8, 16, 32, 60, 60]);
    one.end();
  });

  it('tries a failing item no later because of the runs for others in between', async () => {
    const tried: number[] = [];
    const startMs = Date.now();
    const one = started(async (held) => {
      if (!held.has(broken)) tried.push((Date.now() - startMs) / 1000);
      return report([broken]);
    });
    for (let s = 0; s < 70; s += 1) {
      one.loop.wake();
      await vi.advanceTimersByTimeAsync(1000);
    }
    expect(one.runs.length).toBeGreaterThan(60);
    expect(tried.length).toBeGreaterThanOrEqual(6);
    one.end();
  });

  /** Fails by itself where `fails` says so, and otherwise waits for something that does not come. */
  function waiting() {
    const blocked = new BranchboxError('reconcile/blocked', { message: 'waits' });
    const item = { fails: true };
    const one = started(async () => {
      const failures = item.fails ? report([broken]).failures : new Map([[broken, blocked]]);
      item.fails = false;
      return { ...report(), failures };
    });
    return { one, item };
  }

  it('looks ever later for an item that failed and by now only waits for something; the first time at once', async () => {
    const { one } = waiting();
    await vi.advanceTimersByTimeAsync(220_000);
    const gaps = one.runs.slice(1).map((at, index) => Math.round(at - (one.runs[index] ?? 0)));
    // Its own wait, the look at once, and from there on those that double.
    expect(gaps).toEqual([1, 1, 1, 2, 4, 8, 16, 32, 60, 60]);
    one.end();
  });

  it('looks for it no later because of the runs for others in between, and soon again where it failed anew', async () => {
    const { one, item } = waiting();
    for (let s = 0; s < 30; s += 1) {
      one.loop.wake();
      await vi.advanceTimersByTimeAsync(1000);
    }
    const woken = one.runs.length;
    await vi.advanceTimersByTimeAsync(20_000);
    expect(one.runs.length - woken).toBe(1);
    item.fails = true;
    one.loop.wake();
    await vi.advanceTimersByTimeAsync(1000);
    const failed = one.runs.length;
    // The wait of a second failure, 2 s; then the look at once, and one a second behind that.
    await vi.advanceTimersByTimeAsync(4500);
    expect(one.runs.length - failed).toBe(3);
    one.end();
  });

  it('stops the run under way and forgets back-offs where something else is wanted', async () => {
    const one = started((held, signal) =>
      held.size > 0 || one.runs.length > 2
        ? Promise.resolve(report())
        : new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason))),
    );
    await vi.advanceTimersByTimeAsync(10);
    expect(one.loop.restart()).toBe(1);
    await vi.advanceTimersByTimeAsync(10);
    expect(one.loop.restart()).toBe(2);
    await vi.advanceTimersByTimeAsync(10);
    expect(one.runs).toEqual([0, 0.01, 0.02]);
    expect(one.reports).toEqual([2]);
    one.end();
  });

  it('tells of what cannot be planned, and tries again later', async () => {
    const one = started(async () => {
      throw new BranchboxError('reconcile/cycle', { message: 'circle' });
    });
    await vi.advanceTimersByTimeAsync(4000);
    expect(one.defects).toEqual(['reconcile/cycle', 'reconcile/cycle', 'reconcile/cycle']);
    one.end();
  });
});
