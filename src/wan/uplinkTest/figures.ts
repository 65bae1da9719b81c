/**
 * Owns the arithmetic of an uplink test: loss, percentiles and jitter of round trips, the search for the path MTU,
 * rates. Pure.
 */
import type { Transfer, UplinkFigures } from '../../model/uplinkReport.ts';

export type RoundTrip = NonNullable<UplinkFigures['roundTrip']>;

/** In the order sent; undefined where none came back. */
export function summariseRoundTrips(
  samples: readonly (number | undefined)[],
  by: RoundTrip['by'],
): RoundTrip {
  const came = samples.filter((one) => one !== undefined);
  const sorted = came.toSorted((a, b) => a - b);
  const differences = came.slice(1).map((one, index) => Math.abs(one - (came[index] ?? one)));
  const p50Ms = percentile(sorted, 0.5);
  const p99Ms = percentile(sorted, 0.99);
  return {
    sent: samples.length,
    received: came.length,
    lossPercent:
      samples.length === 0 ? 0 : round(((samples.length - came.length) * 100) / samples.length, 10),
    ...(p50Ms === undefined ? {} : { p50Ms: round(p50Ms, 100) }),
    ...(p99Ms === undefined ? {} : { p99Ms: round(p99Ms, 100) }),
    ...(differences.length === 0
      ? {}
      : { jitterMs: round(differences.reduce((sum, one) => sum + one, 0) / differences.length, 100) }),
    by,
  };
}

/** Nearest rank; of values in rising order. */
function percentile(sorted: readonly number[], share: number): number | undefined {
  return sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)];
}

const round = (value: number, parts: number): number => Math.round(value * parts) / parts;

/** undefined where so little came that no rate can be told. */
export function rateOf(bytes: number, durationMs: number): Transfer | undefined {
  if (bytes <= 0 || durationMs <= 0) return undefined;
  return { bytes, durationMs: round(durationMs, 10), kbps: Math.round((bytes * 8) / durationMs) };
}

/** What a TCP connection sends before it heard of any of it (RFC 6928), in segments of Ethernet's size. */
const FIRST_WINDOW_BYTES = 10 * 1448;

/**
 * How long a line of that rate takes for so many bytes: TCP starts slowly, with twice as much each round trip. What took
 * no longer tells nothing against the line.
 */
export function quickestMs(bytes: number, kbps: number, roundTripMs: number): number {
  let durationMs = 0;
  let window = FIRST_WINDOW_BYTES;
  for (let left = bytes; left > 0; left -= window, window *= 2) {
    durationMs += Math.max(roundTripMs, (Math.min(window, left) * 8) / kbps);
  }
  return durationMs;
}

/** RFC 791: every path takes it, if any. */
export const LEAST_MTU = 576;

/** Sizes of IP packets that passed and that did not. `good` 0: none passed yet. */
export interface MtuSearch {
  readonly good: number;
  /** The smallest that failed; above the largest that may be tried, where none did. */
  readonly bad: number;
  readonly max: number;
}

export const startMtuSearch = (max: number): MtuSearch => ({ good: 0, bad: max + 1, max });

/** The size to try next: the largest, then the least, then the middle of what is open; undefined at the end. */
export function nextMtu({ good, bad, max }: MtuSearch): number | undefined {
  if (bad > max) return good >= max ? undefined : max;
  if (good === 0) return bad <= LEAST_MTU ? undefined : LEAST_MTU;
  return bad - good <= 1 ? undefined : Math.floor((good + bad) / 2);
}

export function noteMtu(search: MtuSearch, size: number, passed: boolean): MtuSearch {
  return passed
    ? { ...search, good: Math.max(search.good, size) }
    : { ...search, bad: Math.min(search.bad, size) };
}
