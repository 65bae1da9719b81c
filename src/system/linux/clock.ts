/**
 * Owns time as the box tells it. Does not own whether the wall clock is to be believed (bootstrap/clockFloor).
 */
import type { Clock } from '../ports.ts';

export function createClock(): Clock {
  return {
    nowMs: () => Date.now(),
    monotonicMs: () => Number(process.hrtime.bigint() / 1_000_000n),
    sleep: (durationMs, signal) =>
      new Promise((resolve, reject) => {
        if (signal?.aborted === true) {
          reject(signal.reason);
          return;
        }
        const onAbort = (): void => {
          clearTimeout(timer);
          reject(signal?.reason);
        };
        const timer = setTimeout(() => {
          signal?.removeEventListener('abort', onAbort);
          resolve();
        }, durationMs);
        signal?.addEventListener('abort', onAbort, { once: true });
      }),
  };
}
