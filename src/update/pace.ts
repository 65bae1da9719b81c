/**
 * Owns when and how fast a version may be fetched: the window of the day, and the rate. Pure but for the clock.
 */
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
