/**
 * Owns waiting for something to change: a lease, an event of the kernel, an answer, or a time.
 * Does not own what is done then.
 */
import type { Clock } from './ports.ts';

export interface Waker {
  /** Something changed. */
  wake(): void;
  /** Resolves with true at a change since the last wait ended, with false after the time. Rejects at the signal. */
  wait(durationMs: number, signal: AbortSignal): Promise<boolean>;
  /** As wait, but the signal only ends it: for loops that look at the signal themselves. */
  rest(durationMs: number, signal: AbortSignal): Promise<void>;
}

export function createWaker(clock: Pick<Clock, 'sleep'>): Waker {
  let changed = false;
  let onChange: (() => void) | undefined;
  const waker: Waker = {
    wake() {
      changed = true;
      onChange?.();
    },
    async wait(durationMs, signal) {
      signal.throwIfAborted();
      if (!changed) {
        const woken = new AbortController();
        onChange = () => woken.abort();
        try {
          await clock.sleep(durationMs, AbortSignal.any([signal, woken.signal]));
        } catch (thrown) {
          signal.throwIfAborted();
          if (!woken.signal.aborted) throw thrown;
        } finally {
          onChange = undefined;
        }
      }
      const result = changed;
      changed = false;
      return result;
    },
    async rest(durationMs, signal) {
      try {
        await waker.wait(durationMs, signal);
      } catch (thrown) {
        if (!signal.aborted) throw thrown;
      }
    },
  };
  return waker;
}
