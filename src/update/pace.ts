/**
 * Owns when and how fast a version may be fetched: the window of the day, the rate, and the least that has to come.
 * Pure but for the clock.
 */
import { BranchboxError } from '../model/errors.ts';
import type { UpdateWindow } from '../model/firmware.ts';
import type { Clock } from '../system/ports.ts';
import type { Pace } from './ports.ts';

const DAY_MS = 86_400_000;

export type WindowState =
  | { readonly open: true; readonly closesInMs: number | undefined }
  | { readonly open: false; readonly opensInMs: number };

/** Of a day in UTC; no window is always open. */
export function windowState(window: UpdateWindow | undefined, nowMs: number): WindowState {
  if (window === undefined) return { open: true, closesInMs: undefined };
  const ofDayMs = nowMs % DAY_MS;
  const until = (time: string): number => {
    const [hours = 0, minutes = 0] = time.split(':').map(Number);
    // Of now itself: a whole day on.
    return (((hours * 60 + minutes) * 60_000 - ofDayMs + DAY_MS - 1) % DAY_MS) + 1;
  };
  const [opensInMs, closesInMs] = [until(window.start), until(window.end)];
  return closesInMs < opensInMs ? { open: true, closesInMs } : { open: false, opensInMs };
}

/** Bytes may come in a burst of what one second allows; then as they are earned. */
export function createPace(rateLimitKbps: number | undefined, clock: Clock): Pace {
  if (rateLimitKbps === undefined) return async () => {};
  const bytesPerMs = rateLimitKbps / 8;
  let paidUntilMs = clock.monotonicMs();
  return async (bytes, signal) => {
    paidUntilMs = Math.max(paidUntilMs, clock.monotonicMs() - 1000) + bytes / bytesPerMs;
    const aheadMs = paidUntilMs - clock.monotonicMs();
    if (aheadMs > 0) await clock.sleep(aheadMs, signal);
  };
}

/** One pace for all tries at a rate: what came before a line dropped still counts. */
export function createPaces(clock: Clock): (rateLimitKbps: number | undefined) => Pace {
  let last: { readonly rateLimitKbps: number | undefined; readonly pace: Pace } | undefined;
  return (rateLimitKbps) => {
    if (last === undefined || last.rateLimitKbps !== rateLimitKbps)
      last = { rateLimitKbps, pace: createPace(rateLimitKbps, clock) };
    return last.pace;
  };
}

/** Each piece is a connection of its own: less would be more handshakes than bytes. */
const MIN_PIECE_BYTES = 64 * 1024;
const MAX_PIECE_BYTES = 4 * 1024 * 1024;

/**
 * What is asked for at once, a second's worth: a reader that waits holds nothing back of what the kernel takes meanwhile,
 * which comes as fast as the line is. undefined: all of it.
 */
export const pieceBytesAt = (rateLimitKbps: number | undefined): number | undefined =>
  rateLimitKbps === undefined
    ? undefined
    : Math.round(Math.min(Math.max(rateLimitKbps * 125, MIN_PIECE_BYTES), MAX_PIECE_BYTES));

const LEAST_BYTES_PER_S = 1024;
const LEAST_OVER_MS = 300_000;
/** A line is given up after 30 s of silence: what takes longer between two chunks was not waiting for it. */
const MAX_WAIT_MS = 60_000;

/**
 * Ends a try whose source trickles, which a time cap on silence alone would let hold an update without end. Only time
 * between chunks counts: none of what `pace` makes it wait.
 */
export function endTrickle(pace: Pace, clock: Pick<Clock, 'monotonicMs'>): Pace {
  let lastMs: number | undefined;
  let waitedMs = 0;
  let cameBytes = 0;
  return async (bytes, signal) => {
    // Of the first nothing is known but that it came.
    if (lastMs !== undefined) {
      waitedMs += Math.min(clock.monotonicMs() - lastMs, MAX_WAIT_MS);
      cameBytes += bytes;
    }
    if (waitedMs >= LEAST_OVER_MS) {
      if (cameBytes < (waitedMs / 1000) * LEAST_BYTES_PER_S) {
        throw new BranchboxError('firmware/source', {
          message: `only ${cameBytes} bytes came in ${Math.round(waitedMs / 1000)} s, less than ${LEAST_BYTES_PER_S} bytes/s`,
        });
      }
      [waitedMs, cameBytes] = [0, 0];
    }
    await pace(bytes, signal);
    lastMs = clock.monotonicMs();
  };
}

/** The clock may be set in between: a box that was long without time has it by its first connection. */
const LOOK_MS = 60_000;

/** Aborts when the window is closed. Looks no more once `done` does. */
export function untilClosed(window: UpdateWindow | undefined, clock: Clock, done: AbortSignal): AbortSignal {
  const closing = new AbortController();
  const watch = async (): Promise<void> => {
    for (;;) {
      const state = windowState(window, clock.nowMs());
      if (!state.open) return closing.abort(new Error('the update window is closed'));
      if (state.closesInMs === undefined) return;
      await clock.sleep(Math.min(state.closesInMs, LOOK_MS), done);
    }
  };
  // Ended by `done`.
  watch().catch(() => undefined);
  return closing.signal;
}
