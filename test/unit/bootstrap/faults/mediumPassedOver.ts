/**
 * Owns what becomes of a box with a medium that is none for it. Does not own in what way it is none.
 */
import { expect } from 'vitest';
import type { FaultBench } from '../faultBench.ts';
import { kept, type Seen, stateOf, thenMended, toldBy } from './table.ts';

/** The box goes on as if no medium were there, keeps nothing of it, and comes into service online. */
export async function passedOver(bench: FaultBench): Promise<Seen> {
  const { box, controller } = bench;
  await box.run({ controller, until: 'PROVISIONAL' });
  const line = box.log.findLast(({ message }) => message === 'bootstrap medium refused');
  const state = await stateOf(bench);
  expect(await kept(bench)).toEqual([]);
  expect(await box.files.list(box.paths.state)).not.toContain('pending-owner.json');
  return thenMended(bench, {
    outcome: `${line === undefined ? 'nothing to refuse' : String(line.fields['code'])} in ${state}`,
    told: line === undefined ? toldBy(box) : String(line.fields['problem']).replace(`${box.directory}/`, ''),
  });
}
