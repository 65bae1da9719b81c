/**
 * Owns how often one box may have an answer that costs something lasting: a signature, a voucher, a line of a log. A token bucket
 * for each name, in memory: a restart fills them all. Does not own what a refused box is told.
 */
import type { Clock } from '../system/ports.ts';

export interface AskLimit {
  /** Takes a token; undefined where there was one, else milliseconds until there is. */
  take(name: string): number | undefined;
}

export function createAskLimit(options: {
  readonly clock: Pick<Clock, 'monotonicMs'>;
  /** Tokens in a full bucket. */
  readonly burst: number;
  /** Time for one more token. */
  readonly refillMs: number;
}): AskLimit {
  const { clock, burst, refillMs } = options;
  /** When each name's bucket is full again; one that is full is not held. */
  const fullAtMs = new Map<string, number>();
  let sweptAtMs = clock.monotonicMs();
  return {
    take(name) {
      const nowMs = clock.monotonicMs();
      if (nowMs - sweptAtMs >= burst * refillMs) {
        for (const [held, atMs] of fullAtMs) if (atMs <= nowMs) fullAtMs.delete(held);
        sweptAtMs = nowMs;
      }
      const nextMs = Math.max(fullAtMs.get(name) ?? 0, nowMs) + refillMs;
      const overMs = nextMs - nowMs - burst * refillMs;
      if (overMs > 0) return overMs;
      fullAtMs.set(name, nextMs);
      return undefined;
    },
  };
}
