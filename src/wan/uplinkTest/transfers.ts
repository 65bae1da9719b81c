/**
 * Owns how much is moved each way to tell a line's rate: as little as tells it, within a budget.
 * Does not own moving it (farEnd.ts) nor the verdict (judgeFigures.ts).
 */
import { TRANSFER_MAX_BYTES } from '../../model/uplinkProbe.ts';
import type { Moved } from './farEnd.ts';
import { rateOf } from './figures.ts';
import type { Findings, Unmoved } from './findings.ts';
import type { Course } from './probing.ts';
import { FIRST_TRANSFER_BYTES, transferBytes } from './subject.ts';

/** A transfer that takes this long tells the rate well enough. */
const TELLING_MS = 1_000;

/**
 * Twice as much each time until one takes long enough or the budget is spent; the last that ended tells. A slow line
 * is told by the first, a quick one has left TCP's slow start behind.
 */
export async function findRate(
  move: (bytes: number, signal: AbortSignal) => Promise<Moved>,
  { budgetBytes, roundTripMs }: { readonly budgetBytes: number; readonly roundTripMs: number },
  { signal, use }: Pick<Course, 'signal' | 'use'>,
): Promise<{ readonly rate: Findings['download']; readonly unmoved: Unmoved | undefined }> {
  let last: Extract<Moved, { kind: 'moved' }> | undefined;
  let unmoved: Unmoved | undefined;
  let left = budgetBytes;
  for (let bytes = FIRST_TRANSFER_BYTES; left >= bytes; ) {
    const moved = await move(bytes, signal);
    use(transferBytes(bytes));
    left -= bytes;
    if (moved.kind !== 'moved') {
      unmoved = moved;
      break;
    }
    last = moved;
    if (moved.durationMs >= TELLING_MS) break;
    bytes = Math.min(bytes * 2, TRANSFER_MAX_BYTES);
    // What is left but half a step is given to the last.
    if (left < bytes) bytes = left >= FIRST_TRANSFER_BYTES && left > last.bytes ? left : bytes;
  }
  return { rate: last && rateOf(last.bytes, withoutTrip(last.durationMs, roundTripMs)), unmoved };
}

/** A request's own round trip is no part of what its bytes took. */
const withoutTrip = (durationMs: number, roundTripMs: number): number =>
  Math.max(durationMs - roundTripMs, durationMs / 2);
