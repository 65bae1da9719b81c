/**
 * Owns watching what the agent itself costs: memory, processor, child processes. Shown in `branchbox status`.
 */
import type { Clock } from '../system/ports.ts';

/** The figures are of about this last stretch of time. */
const WINDOW_MS = 60_000;

export interface OwnCost {
  readonly residentBytes: number;
  /** Percent of one processor. */
  readonly cpuPercent: number;
  readonly childProcessesPerMinute: number;
  readonly upMs: number;
}

export interface CostMeter {
  countChild(): void;
  read(): OwnCost;
}

export function createCostMeter(clock: Clock): CostMeter {
  const startMs = clock.monotonicMs();
  let children: number[] = [];
  let mark = { atMs: startMs, cpuMs: cpuMs() };
  let older = mark;
  const roll = (): void => {
    const nowMs = clock.monotonicMs();
    if (nowMs - mark.atMs < WINDOW_MS) return;
    older = mark;
    mark = { atMs: nowMs, cpuMs: cpuMs() };
  };
  return {
    countChild() {
      const nowMs = clock.monotonicMs();
      children.push(nowMs);
      // Kept only as far as the window goes.
      if (children.length > 1000) children = children.filter((atMs) => nowMs - atMs < WINDOW_MS);
    },
    read() {
      roll();
      const nowMs = clock.monotonicMs();
      children = children.filter((atMs) => nowMs - atMs < WINDOW_MS);
      const spanMs = Math.max(1, nowMs - older.atMs);
      return {
        residentBytes: process.memoryUsage.rss(),
        cpuPercent: Math.round((1000 * (cpuMs() - older.cpuMs)) / spanMs) / 10,
        childProcessesPerMinute: children.length,
        upMs: nowMs - startMs,
      };
    },
  };
}

function cpuMs(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}
