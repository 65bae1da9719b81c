/**
 * Owns whether the container engine's socket is there, and waiting for it: a box without apps never has one, and
 * nothing is asked of its engine.
 * Does not own what is asked through it (containers/engine).
 */
import { basename, dirname } from 'node:path';
import type { Clock, Files } from '../system/ports.ts';

/** Where the kernel gives no watch (its number is limited), or the socket came before the watch did: one listing. */
const LOOK_MS = 60_000;

export interface EngineSocket {
  isThere(): Promise<boolean>;
  /** Resolves when it is there, at once where it is already; rejects on abort. */
  came(signal: AbortSignal): Promise<void>;
}

/** `signal` ends the watch. The directory need not be there yet. */
export function createEngineSocket(parts: {
  readonly files: Pick<Files, 'list' | 'watch'>;
  readonly clock: Pick<Clock, 'sleep'>;
  readonly path: string;
  readonly signal: AbortSignal;
}): EngineSocket {
  const { files, clock, path } = parts;
  const waiting = new Set<() => void>();
  files.watch(
    dirname(path),
    () => {
      for (const look of waiting) look();
    },
    parts.signal,
  );
  const isThere = async (): Promise<boolean> => (await files.list(dirname(path))).includes(basename(path));
  /** Until something in the directory changed, or long enough. */
  const nextLook = async (signal: AbortSignal): Promise<void> => {
    const changed = new AbortController();
    const look = (): void => changed.abort();
    waiting.add(look);
    try {
      // A change between the last look and this line is seen by this one.
      if (await isThere()) return;
      await clock.sleep(LOOK_MS, AbortSignal.any([signal, changed.signal])).catch(() => undefined);
      signal.throwIfAborted();
    } finally {
      waiting.delete(look);
    }
  };
  return {
    isThere,
    async came(signal) {
      while (!(await isThere())) await nextLook(signal);
    },
  };
}
