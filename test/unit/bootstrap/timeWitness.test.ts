/** Asking bootstrap servers for the time, where asking itself fails; what comes of answers is in faults/clockUnknown.test.ts. */
import { expect, it } from 'vitest';
import { openTrustedClock } from '../../../src/bootstrap/clockFloor.ts';
import { createTimeWitness } from '../../../src/bootstrap/timeWitness.ts';
import { BranchboxError } from '../../../src/model/errors.ts';
import { silentLog } from '../../fakes/silentLog.ts';
import { NOW_MS } from './authorities.ts';
import { createTestClock, memoryFiles } from './box.ts';

it('does not take the place of what was thrown before, whatever it meets itself', async () => {
  const testClock = createTestClock(0);
  const clock = await openTrustedClock({
    files: memoryFiles(new Map()),
    clock: testClock,
    path: '/floor',
    builtAtMs: NOW_MS,
  });
  const told: string[] = [];
  const log = { ...silentLog, warn: (message: string) => void told.push(message) };
  const witness = createTimeWitness({
    clock,
    sztpBy: () => ({ onboard: () => Promise.reject(new Error('nobody is to be asked')) }),
    servers: () => Promise.reject(new Error('EIO: the leases cannot be read')),
    monotonicMs: () => testClock.monotonicMs(),
    log,
  });
  const thrown = new BranchboxError('pki/expired', { message: 'not yet' });
  await witness.seekAfter(thrown, new AbortController().signal);
  expect(told).toEqual(['no bootstrap server could be asked for the time']);
});
