/** How fast a version may be fetched, and until when: on a clock that goes on only as it is slept on. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Clock } from '../../../src/system/ports.ts';
import { createPace, createPaces, endTrickle, untilClosed } from '../../../src/update/pace.ts';

const never = new AbortController().signal;

/** `lateMs`: as timers of a busy machine are. */
function makeClock(lateMs: () => number = () => 0) {
  let monotonicMs = 5_000_000;
  let wallMs = Date.UTC(2026, 5, 1, 12);
  const slept: number[] = [];
  const go = (durationMs: number): void => {
    monotonicMs += durationMs;
    wallMs += durationMs;
  };
  const clock: Clock = {
    nowMs: () => wallMs,
    monotonicMs: () => monotonicMs,
    async sleep(durationMs, signal) {
      signal?.throwIfAborted();
      slept.push(durationMs);
      go(durationMs + lateMs());
    },
  };
  return { clock, go, slept, step: (byMs: number) => void (wallMs += byMs), atMs: () => monotonicMs };
}

describe('a rate', () => {
  /** Of 8 kbit/s a byte a millisecond. */
  const perMs = (rateLimitKbps: number): number => rateLimitKbps / 8;

  it('is kept over time, whatever the chunks: by a reader that always takes what is there', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 8, max: 100_000 }),
        fc.array(fc.integer({ min: 1, max: 70_000 }), { minLength: 1, maxLength: 60 }),
        fc.infiniteStream(fc.integer({ min: 0, max: 15 })),
        async (rate, chunks, late) => {
          const { clock, atMs } = makeClock(() => late.next().value);
          const beganMs = atMs();
          const pace = createPace(rate, clock);
          let sum = 0;
          for (const bytes of chunks) {
            await pace(bytes, never);
            sum += bytes;
            // Never ahead; behind by no more than one timer was late.
            const dueMs = sum / perMs(rate);
            expect(atMs() - beganMs).toBeGreaterThanOrEqual(dueMs - 0.01);
            expect(atMs() - beganMs).toBeLessThanOrEqual(dueMs + 15.01);
          }
        },
      ),
      { numRuns: 200 },
    );
  });

  it('gives in no stretch of time more than that, a second of it and one chunk, however the line falters', async () => {
    const use = fc.record({
      bytes: fc.integer({ min: 1, max: 70_000 }),
      /** Nothing came before it; a machine may have slept. */
      silentMs: fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 100_000 })),
    });
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 8, max: 20_000 }),
        fc.array(use, { minLength: 1, maxLength: 30 }),
        async (rate, uses) => {
          const { clock, go, atMs } = makeClock();
          const pace = createPace(rate, clock);
          const taken: { readonly atMs: number; readonly bytes: number }[] = [];
          for (const { bytes, silentMs } of uses) {
            go(silentMs);
            taken.push({ atMs: atMs(), bytes });
            await pace(bytes, never);
          }
          for (let from = 0; from < taken.length; from += 1) {
            let sum = 0;
            for (const { atMs: thenMs, bytes } of taken.slice(from)) {
              const allowed = (thenMs - (taken[from]?.atMs ?? 0) + 1000) * perMs(rate);
              // Before this one: a chunk is there before it can be counted.
              expect(sum).toBeLessThanOrEqual(allowed + 0.01);
              sum += bytes;
            }
          }
        },
      ),
      { numRuns: 200 },
    );
  });

  it('is not moved by a clock that is set', async () => {
    const { clock, slept, step } = makeClock();
    const pace = createPace(8, clock);
    for (const byMs of [0, 86_400_000, -10 * 86_400_000, 3_600_000]) {
      step(byMs);
      await pace(500, never);
    }
    expect(slept).toEqual([500, 500, 500, 500]);
  });

  it('smaller than a chunk makes it wait for all of that chunk, and no longer', async () => {
    const { clock, slept } = makeClock();
    const pace = createPace(8, clock);
    await pace(65_536, never);
    await pace(1, never);
    expect(slept).toEqual([65_536, 1]);
  });

  it('lets come at once what a second of silence earned, and nothing of what a longer one did', async () => {
    const { clock, go, slept } = makeClock();
    const pace = createPace(80, clock);
    go(60_000);
    await pace(10_000, never);
    expect(slept).toEqual([]);
    await pace(10_000, never);
    expect(slept).toEqual([1000]);
  });

  it('counts over the next try what the one before was ended at', async () => {
    const { clock, slept } = makeClock();
    const paceAt = createPaces(clock);
    const ended = paceAt(8)(10_000, AbortSignal.abort(new Error('the line went dead')));
    await expect(ended).rejects.toThrow('the line went dead');
    await paceAt(8)(1, never);
    await paceAt(16)(2, never);
    expect(slept).toEqual([10_001, 1]);
  });

  it('that is none never waits', async () => {
    const { clock, slept } = makeClock();
    await createPace(undefined, clock)(1_000_000_000, never);
    expect(slept).toEqual([]);
  });

  it('lets go at once of who is told to stop while waiting', async () => {
    const stop = new AbortController();
    const { clock, atMs } = makeClock();
    const beganMs = atMs();
    // As the real one: until it is over or aborted.
    const waiting: Clock = {
      ...clock,
      sleep: (_, signal) =>
        new Promise((_resolve, reject) => {
          signal?.addEventListener('abort', () => reject(signal.reason));
        }),
    };
    const paced = createPace(8, waiting)(1_000_000, stop.signal);
    stop.abort(new Error('another is wanted'));
    await expect(paced).rejects.toThrow('another is wanted');
    expect(atMs()).toBe(beganMs);
  });
});

describe('a source that trickles', () => {
  /** How many chunks were taken before it was given up; undefined: all of them. */
  async function takenOf(options: {
    readonly bytes: number;
    readonly everyMs: number;
    readonly count: number;
    readonly rateLimitKbps?: number;
  }): Promise<number | undefined> {
    const { clock, go } = makeClock();
    const pace = endTrickle(createPace(options.rateLimitKbps, clock), clock);
    for (let taken = 0; taken < options.count; taken += 1) {
      go(options.everyMs);
      const thrown = await pace(options.bytes, never).catch((error: unknown) => error);
      if (thrown === undefined) continue;
      expect(thrown).toMatchObject({
        code: 'firmware/source',
        message: expect.stringMatching(/^only \d+ bytes came in \d+ s/),
      });
      return taken;
    }
    return undefined;
  }

  it('is given up after five minutes, not after its first byte', async () => {
    expect(await takenOf({ bytes: 1, everyMs: 29_000, count: 100 })).toBe(11);
    expect(await takenOf({ bytes: 1000, everyMs: 1000, count: 1000 })).toBe(300);
  });

  it('is not one that is slow, or held to a rate below that, or stood still once for something else', async () => {
    expect(await takenOf({ bytes: 1100, everyMs: 1000, count: 1000 })).toBeUndefined();
    expect(await takenOf({ bytes: 16_384, everyMs: 1, count: 500, rateLimitKbps: 1 })).toBeUndefined();
    expect(await takenOf({ bytes: 200_000, everyMs: 3_600_000, count: 20 })).toBeUndefined();
  });

  it('is measured anew each time', async () => {
    const { clock, go } = makeClock();
    const pace = endTrickle(createPace(undefined, clock), clock);
    await pace(10_000_000, never);
    const trickle = async (): Promise<void> => {
      for (let count = 0; count < 40; count += 1) {
        go(29_000);
        await pace(1, never);
      }
    };
    await expect(trickle()).rejects.toMatchObject({ code: 'firmware/source' });
  });
});

describe('what is fetched in a window', () => {
  const NIGHT = { start: '01:00', end: '04:00' };
  const HOUR_MS = 3_600_000;
  /** Sleeps that somebody ends, each by its turn. */
  function makeTurns(time: string) {
    let wallMs = Date.parse(`2026-06-01T${time}:00Z`);
    const asked: number[] = [];
    let end: (() => void) | undefined;
    const clock: Clock = {
      nowMs: () => wallMs,
      monotonicMs: () => 0,
      sleep: (durationMs, signal) =>
        new Promise((resolve, reject) => {
          asked.push(durationMs);
          signal?.addEventListener('abort', () => reject(signal.reason));
          end = resolve;
        }),
    };
    /** Ends the sleep after that much time by the wall's clock. */
    const turn = async (byMs: number): Promise<void> => {
      wallMs += byMs;
      end?.();
      await new Promise((resolve) => setImmediate(resolve));
    };
    return { clock, asked, turn };
  }

  it('ends with it', async () => {
    const { clock, asked, turn } = makeTurns('03:58');
    const closed = untilClosed(NIGHT, clock, never);
    expect(asked).toEqual([60_000]);
    await turn(90_000);
    expect([closed.aborted, asked]).toEqual([false, [60_000, 30_000]]);
    await turn(30_000);
    expect([closed.aborted, asked.length]).toEqual([true, 2]);
  });

  it('ends where the clock is set out of it, and goes on where it is set back', async () => {
    const set = makeTurns('02:00');
    const closed = untilClosed(NIGHT, set.clock, never);
    await set.turn(-HOUR_MS / 2);
    await set.turn(HOUR_MS / 4);
    expect(closed.aborted).toBe(false);
    await set.turn(5 * HOUR_MS);
    expect(closed.aborted).toBe(true);
  });

  it('is looked after until it is done, and never without a window', async () => {
    const stop = new AbortController();
    const { clock, asked, turn } = makeTurns('02:00');
    const closed = untilClosed(NIGHT, clock, stop.signal);
    stop.abort();
    await turn(10 * HOUR_MS);
    expect([closed.aborted, asked.length]).toEqual([false, 1]);
    const always = makeTurns('12:00');
    expect(untilClosed(undefined, always.clock, never).aborted).toBe(false);
    expect(always.asked).toEqual([]);
  });
});
