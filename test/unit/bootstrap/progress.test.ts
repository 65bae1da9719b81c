/** To whom the end of a bootstrap is told, and how often. */
import { expect, it } from 'vitest';
import { createProgress } from '../../../src/bootstrap/progress.ts';
import type { BootstrapState } from '../../../src/model/bootstrap.ts';
import { BranchboxError } from '../../../src/model/errors.ts';
import { createLogger } from '../../../src/system/linux/logger.ts';
import { silentLog } from '../../fakes/silentLog.ts';

it.each<[string, BootstrapState, readonly string[]]>([
  ['is told behind LDEVID', 'LDEVID', ['bootstrap-complete']],
  ['is not told again by a box that recovered its certificate', 'RECOVER', []],
  ['is not told again by a box whose trial failed', 'TRIAL', []],
])('the end of bootstrap %s', async (_, from, told) => {
  const seen: string[] = [];
  const progress = createProgress({
    onboarder: () => ({ server: 'bootstrap.example:8443', verbose: true }),
    report: async (telling) => void seen.push(telling.progress),
    secondFactor: () => undefined,
    log: silentLog,
  });
  progress.entered('STRICT', from);
  await progress.settled();
  expect(seen).toEqual(told);
});

it.each([
  [
    'that is not taken',
    new BranchboxError('bootstrap/unreachable', { message: 'no answer' }),
    {
      level: 'info',
      message: 'progress report not taken',
      code: 'bootstrap/unreachable',
      problem: 'no answer',
    },
  ],
  [
    'that fails by a fault of the box',
    new TypeError('x is not a function'),
    {
      level: 'error',
      message: 'progress report failed',
      error: expect.objectContaining({ message: 'x is not a function' }),
    },
  ],
])('a report %s is logged, and the next one is told', async (_, failure, line) => {
  const lines: string[] = [];
  const told: string[] = [];
  const progress = createProgress({
    onboarder: () => ({ server: 'bootstrap.example:8443', verbose: true }),
    async report(telling) {
      told.push(telling.progress);
      if (told.length === 1) throw failure;
    },
    secondFactor: () => undefined,
    log: createLogger({ name: 'test', write: (text) => lines.push(text) }),
  });
  progress.entered('ENROLLING', 'OWNED');
  progress.entered('LDEVID', 'ENROLLING');
  await progress.settled();
  expect(told).toEqual(['config-initiated', 'config-complete']);
  expect(lines.map((text): unknown => JSON.parse(text))).toEqual([expect.objectContaining(line)]);
});
