/**
 * Owns when a box in service asks how it stands with its owner: once a day, and soon after a hint. Does not own the
 * question (standing.ts) nor asking it (ownerTrust.ts).
 */
import type { Clock } from '../system/ports.ts';

/** What no session of the agent tells (MQTT is blocked, or the agent never saw it end): once a day, spread over half of it. */
const LOOK_MS = 24 * 3_600_000;
/** Hints come from a connection that may be lost every second: a handshake costs the controller a millisecond. */
const HINT_GAP_MS = 10_000;

export interface StandingLooks {
  /** Somebody has a reason to think that it changed. */
  hint(): void;
  dueInMs(): number;
  looked(): void;
}

export function createStandingLooks(options: {
  readonly clock: Pick<Clock, 'monotonicMs'>;
  readonly random: () => number;
}): StandingLooks {
  const { clock, random } = options;
  const spread = (): number => LOOK_MS * (0.75 + random() / 2);
  let everyMs = spread();
  let atMs = clock.monotonicMs();
  let hinted = false;
  let hintableAtMs = atMs;
  return {
    hint() {
      hinted = true;
    },
    dueInMs: () => Math.max(0, (hinted ? hintableAtMs : atMs + everyMs) - clock.monotonicMs()),
    looked() {
      atMs = clock.monotonicMs();
      hintableAtMs = atMs + HINT_GAP_MS;
      everyMs = spread();
      hinted = false;
    },
  };
}
