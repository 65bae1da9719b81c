/** The limit on what one box may ask for, held against its burst, its refill and its neighbours. */
import { expect, it } from 'vitest';
import { createAskLimit } from '../../../src/controller/askLimit.ts';

it('lets a burst through, then one each time it refilled, and says when', () => {
  let nowMs = 5_000;
  const limit = createAskLimit({ clock: { monotonicMs: () => nowMs }, burst: 3, refillMs: 1_000 });
  const takes = (count: number) => Array.from({ length: count }, () => limit.take('SN-1'));
  expect(takes(4)).toEqual([undefined, undefined, undefined, 1_000]);
  expect(limit.take('SN-2')).toBeUndefined();
  nowMs += 400;
  expect(takes(1)).toEqual([600]);
  nowMs += 600;
  expect(takes(2)).toEqual([undefined, 1_000]);
  nowMs += 60_000;
  expect(takes(4)).toEqual([undefined, undefined, undefined, 1_000]);
});
