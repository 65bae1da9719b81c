/**
 * Owns how much costly work (chains, signatures, vouchers, the disk) is begun at once, and when those who come while it is full
 * should come again: each is told a later moment than the one before, at the pace at which work ends, so that they do not come
 * back together. Does not own how that is said (sztp/, est/).
 */
import type { Clock } from '../system/ports.ts';

export interface WorkGate {
  /** The work's result; or, where the work was not begun, whole seconds until it is worth asking again. */
  run<T>(work: () => Promise<T>): Promise<{ readonly done: T } | { readonly retryAfterS: number }>;
  /** Whether somebody waits: not the time to ask boxes for anything optional. */
  hasLine(): boolean;
}

/** Until some work ended here: what a voucher and two signatures take on two busy cores. */
const FIRST_GUESS_MS = 50;
/** Weight of the newest piece in the moving average. */
const WEIGHT = 0.1;
/** Longer than any storm that one machine is meant for; a box that is told more may as well be forgotten. */
const RETRY_S = { min: 1, max: 120 } as const;

export function createWorkGate(options: {
  readonly clock: Pick<Clock, 'monotonicMs'>;
  /** Begun at once. */
  readonly together: number;
  /** Waiting within their connection: so few that none of them gives up before it is its turn. */
  readonly waiting: number;
}): WorkGate {
  const { clock, together, waiting } = options;
  const line: (() => void)[] = [];
  let running = 0;
  /** From one end to the next, while there is enough to do. */
  let paceMs = FIRST_GUESS_MS;
  /** The last moment that somebody was told. */
  let toldMs = 0;

  function retryAfterS(): number {
    const nowMs = clock.monotonicMs();
    const ahead = (running + line.length) * paceMs;
    toldMs = Math.min(Math.max(toldMs + paceMs, nowMs + ahead), nowMs + RETRY_S.max * 1000);
    return Math.max(RETRY_S.min, Math.ceil((toldMs - nowMs) / 1000));
  }

  return {
    hasLine: () => line.length > 0,
    async run(work) {
      if (running >= together) {
        if (line.length >= waiting) return { retryAfterS: retryAfterS() };
        // Whoever ends hands its place on: it is never free in between.
        await new Promise<void>((resolve) => void line.push(resolve));
      } else running += 1;
      const startedAtMs = clock.monotonicMs();
      try {
        return { done: await work() };
      } finally {
        paceMs += WEIGHT * ((clock.monotonicMs() - startedAtMs) / together - paceMs);
        const next = line.shift();
        if (next === undefined) running -= 1;
        else next();
      }
    },
  };
}
