/**
 * Owns waiting for something to change: a lease, the agent's files, or a time. Does not own what is done then.
 */
import type { Clock } from '../system/ports.ts';

export interface Waker {
  /** Something changed. */
  wake(): void;
  /** Resolves with true at a change since the last wait ended, with false after the time. Rejects at the signal. */
  wait(durationMs: number, signal: AbortSignal): Promise<boolean>;
}

export function createWaker(clock: Pick<Clock, 'sleep'>): Waker {
  let changed = false;
  let onChange: (() => void) | undefined;
  return {
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
  };
}
