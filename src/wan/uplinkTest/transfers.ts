/**
 * Owns how much is moved each way to tell a line's rate: as little as tells it, and trying again where the controller is busy,
 * within what is left of the test's bytes and time.
 * Does not own moving it (farEnd.ts), what share of either a direction has (measure.ts), nor the verdict (judgeFigures.ts).
 */
import { TRANSFER_MAX_BYTES } from '../../model/uplinkProbe.ts';
import type { Moved } from './farEnd.ts';
import { rateOf } from './figures.ts';
import type { Findings, Unmoved } from './findings.ts';
import type { Course, MeasureParts } from './probing.ts';
import { FIRST_TRANSFER_BYTES, HANDSHAKE_BYTES, transferBytes } from './subject.ts';

/** A transfer that takes this long tells the rate well enough. */
const TELLING_MS = 1_000;
/** A head in either direction, and a few words. */
const REFUSAL_BYTES = 1024;

export interface Direction {
  readonly move: (bytes: number, signal: AbortSignal) => Promise<Moved>;
  /** Bytes to the controller have left by the time that it refuses them. */
  readonly name: 'download' | 'upload';
  /** Makes a new connection: the controller ends one on which it refused bytes. */
  readonly renew: () => Promise<void>;
  readonly budgetBytes: number;
  /** By `nowMs`: no transfer is tried again from then on. */
  readonly untilMs: number;
  readonly roundTripMs: number;
}

/**
 * Twice as much each time until one takes long enough or the budget is spent; the last that ended tells. A slow line
 * is told by the first, a quick one has left TCP's slow start behind.
 */
export async function findRate(
  { nowMs, sleep }: Pick<MeasureParts, 'nowMs' | 'sleep'>,
  { move, name, renew, budgetBytes, untilMs, roundTripMs }: Direction,
  { signal, use }: Pick<Course, 'signal' | 'use'>,
): Promise<{ readonly rate: Findings['download']; readonly unmoved: Unmoved | undefined }> {
  let last: Extract<Moved, { kind: 'moved' }> | undefined;
  let unmoved: Unmoved | undefined;
  let left = budgetBytes;
  let waitedMs = 0;
  for (let bytes = FIRST_TRANSFER_BYTES; left >= bytes; ) {
    const moved = await move(bytes, signal);
    if (moved.kind === 'refused') {
      const isUpload = name === 'upload';
      use(isUpload ? transferBytes(bytes) : REFUSAL_BYTES);
      left -= isUpload ? bytes + HANDSHAKE_BYTES : REFUSAL_BYTES;
      const { retryAfterMs } = moved;
      const gaveUpFor =
        retryAfterMs === undefined
          ? undefined
          : nowMs() + retryAfterMs > untilMs
            ? 'time'
            : left < bytes
              ? 'bytes'
              : undefined;
      if (retryAfterMs === undefined || gaveUpFor !== undefined) {
        unmoved = { ...moved, waitedMs, ...(gaveUpFor !== undefined && { gaveUpFor }) };
        break;
      }
      await sleep(retryAfterMs, signal);
      waitedMs += retryAfterMs;
      if (isUpload) await renew();
      continue;
    }
    use(transferBytes(bytes));
    left -= bytes;
    if (moved.kind !== 'moved') {
      unmoved = moved;
      break;
    }
    last = moved;
    if (moved.durationMs >= TELLING_MS) break;
    bytes = Math.min(bytes * 2, TRANSFER_MAX_BYTES);
    // Where less than a whole step is left, a last transfer takes it, if it is more than half a step.
    if (left < bytes) bytes = left >= FIRST_TRANSFER_BYTES && left > last.bytes ? left : bytes;
  }
  return { rate: last && rateOf(last.bytes, withoutTrip(last.durationMs, roundTripMs)), unmoved };
}

/** A request's own round trip is no part of what its bytes took. */
const withoutTrip = (durationMs: number, roundTripMs: number): number =>
  Math.max(durationMs - roundTripMs, durationMs / 2);
