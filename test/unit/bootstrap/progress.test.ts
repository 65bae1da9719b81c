/** To whom the end of a bootstrap is told, and how often. */
import { expect, it } from 'vitest';
import { createProgress } from '../../../src/bootstrap/progress.ts';
import type { BootstrapState } from '../../../src/model/bootstrap.ts';
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
