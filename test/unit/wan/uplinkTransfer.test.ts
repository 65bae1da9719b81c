/** Transfers of one direction: what is moved, and what becomes of a controller that is busy, by a clock that the test moves. */
import { expect, it } from 'vitest';
import type { Moved } from '../../../src/wan/uplinkTest/farEnd.ts';
import {
  FIRST_TRANSFER_BYTES as FIRST,
  HANDSHAKE_BYTES,
  transferBytes,
} from '../../../src/wan/uplinkTest/subject.ts';
import { rateOf } from '../../../src/wan/uplinkTest/figures.ts';
import { findRate } from '../../../src/wan/uplinkTest/transfers.ts';

const BUSY: Moved = { kind: 'refused', status: 503, retryAfterMs: 10_000 };
const signal = new AbortController().signal;

/** Answers in order; each one after the last of them moves what it is asked for in a second. */
async function run(
  answers: readonly Moved[],
  limits: { direction?: 'download' | 'upload'; budgetBytes?: number; untilMs?: number } = {},
) {
  let atMs = 0;
  const asked: { readonly atMs: number; readonly bytes: number }[] = [];
  let usedBytes = 0;
  let renewed = 0;
  const { direction = 'download', budgetBytes = 8 * FIRST, untilMs = 25_000 } = limits;
  const result = await findRate(
    {
      nowMs: () => atMs,
      sleep: async (durationMs) => {
        atMs += durationMs;
      },
    },
    {
      move: async (bytes) => {
        asked.push({ atMs, bytes });
        return answers[asked.length - 1] ?? { kind: 'moved', bytes, durationMs: 1000 };
      },
      name: direction,
      renew: async () => void (renewed += 1),
      budgetBytes,
      untilMs,
      roundTripMs: 0,
    },
    { signal, use: (bytes) => (usedBytes += bytes) },
  );
  return { result, asked, usedBytes, renewed };
}

it('waits as long as a busy controller asks for, and measures then', async () => {
  const { result, asked, usedBytes, renewed } = await run([BUSY, BUSY]);
  expect(asked).toEqual([0, 10_000, 20_000].map((atMs) => ({ atMs, bytes: FIRST })));
  expect(result).toEqual({ rate: rateOf(FIRST, 1000), unmoved: undefined });
  // A refused download costs its words alone.
  expect(renewed).toBe(0);
  expect(usedBytes).toBeLessThan(2 * transferBytes(FIRST));
});

it('gives up where the wait would end after its time, and keeps what it has', async () => {
  const quick: Moved = { kind: 'moved', bytes: FIRST, durationMs: 10 };
  const { result, asked } = await run([quick, BUSY, BUSY, BUSY]);
  expect(asked.map(({ atMs }) => atMs)).toEqual([0, 0, 10_000, 20_000]);
  expect(result).toEqual({
    rate: rateOf(FIRST, 10),
    unmoved: { ...BUSY, waitedMs: 20_000, gaveUpFor: 'time' },
  });
  const long: Moved = { kind: 'refused', status: 503, retryAfterMs: 600_000 };
  expect(await run([long])).toMatchObject({
    result: { unmoved: { waitedMs: 0, gaveUpFor: 'time' } },
    asked: [{ atMs: 0 }],
  });
});

it('spends no more than its bytes on uploads that are refused when they have left', async () => {
  const { result, asked, usedBytes, renewed } = await run([BUSY, BUSY], {
    direction: 'upload',
    budgetBytes: 2 * FIRST + HANDSHAKE_BYTES,
  });
  expect(asked).toHaveLength(2);
  // By a connection of its own, whose bytes count, too: the controller ended the first.
  expect(renewed).toBe(1);
  expect(usedBytes).toBe(2 * transferBytes(FIRST));
  expect(result).toEqual({
    rate: undefined,
    unmoved: { ...BUSY, waitedMs: 10_000, gaveUpFor: 'bytes' },
  });
});

it.each<[string, Moved]>([
  ['a refusal that names no wait', { kind: 'refused', status: 503 }],
  ['a connection that ended', { kind: 'cut' }],
  ['a transfer that came to a halt', { kind: 'stalled', bytes: FIRST, withinMs: 8000 }],
])('tries nothing again after %s', async (_what, answer) => {
  const { result, asked } = await run([answer]);
  expect(asked).toHaveLength(1);
  expect(result.unmoved).toMatchObject(answer);
});
