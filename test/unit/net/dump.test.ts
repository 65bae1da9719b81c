/** What many readers of one dump of the kernel share. */
import { expect, test } from 'vitest';
import { shareRead } from '../../../src/net/dump.ts';

const SIGNAL = new AbortController().signal;

test('a read is shared within a turn, not with whoever comes later or after it was given up', async () => {
  let reads = 0;
  const pending: (() => void)[] = [];
  const shared = shareRead(() => {
    reads += 1;
    return new Promise<number>((resolve) => pending.push(() => resolve(pending.length)));
  });
  const [first, second] = [shared(SIGNAL), shared(SIGNAL)];
  expect(reads).toBe(1);
  await new Promise((resolve) => setImmediate(resolve));
  const later = shared(SIGNAL);
  expect(reads).toBe(2);
  for (const end of pending) end();
  await Promise.all([first, second, later]);
  const aborted = shared(AbortSignal.abort());
  expect(shared(SIGNAL)).not.toBe(aborted);
});
