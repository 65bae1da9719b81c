import { expect, test } from 'vitest';
import { createSerialQueue } from '../../../src/system/serialQueue.ts';

test('work begins when the work before it has ended, in the order of the calls', async () => {
  const inTurn = createSerialQueue();
  const first = Promise.withResolvers<void>();
  const begun: string[] = [];
  const ends = [
    inTurn(() => {
      begun.push('first');
      return first.promise;
    }),
    inTurn(async () => void begun.push('second')),
    inTurn(async () => void begun.push('third')),
  ];
  // Whatever could begin by now has begun.
  await new Promise((resolve) => setImmediate(resolve));
  expect(begun).toEqual(['first']);
  first.resolve();
  await Promise.all(ends);
  expect(begun).toEqual(['first', 'second', 'third']);
});

test('a failure reaches its own caller, and the next work runs', async () => {
  const inTurn = createSerialQueue();
  const failed = inTurn(async () => {
    throw new Error('the disk is full');
  });
  const next = inTurn(async () => 'done');
  await expect(failed).rejects.toThrow('the disk is full');
  await expect(next).resolves.toBe('done');
});
