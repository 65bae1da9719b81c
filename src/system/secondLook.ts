/**
 * Owns ending a process that started while the box's TPM did not answer, and that turns out to need it: Node loads the
 * TPM's provider only at its own start, so the init system starts the process again.
 * Does not own looking (tpm-ready).
 */
import type { Clock } from './ports.ts';

/** Between two starts: a TPM that is broken is no reason to do nothing but start. */
const AFTER_MS = 5 * 60_000;

export interface SecondLook {
  /** A key of the TPM was needed and could not be used. */
  needed(): void;
}

export function createSecondLook(parts: {
  readonly clock: Pick<Clock, 'monotonicMs'>;
  /** Whether what was found at the start may have passed since. */
  readonly mayPass: boolean;
  readonly end: () => void;
}): SecondLook {
  const startedMs = parts.clock.monotonicMs();
  return {
    needed() {
      if (parts.mayPass && parts.clock.monotonicMs() - startedMs >= AFTER_MS) parts.end();
    },
  };
}
