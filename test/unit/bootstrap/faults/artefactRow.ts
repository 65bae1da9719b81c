/**
 * Owns a row of the fault table whose answer is good but for the artefacts that it changes. Does not own in what way they
 * are wrong.
 */
import type { FaultBench } from '../faultBench.ts';
import type { Behaviour } from '../servers.ts';
import { type FaultRow, refusedUnowned } from './table.ts';

type Artefacts = ReturnType<Behaviour['artefacts']>;
export type Change = (nonce: Uint8Array, good: Artefacts) => Partial<Artefacts>;

/** From now on each answer is good but for these. */
export function answerBut(bench: FaultBench, change: Change): void {
  bench.controller.behaviour.artefacts = (nonce) => {
    const good = bench.good.artefacts(nonce);
    return { ...good, ...change(nonce, good) };
  };
}

export const artefactRow =
  (bench: FaultBench) =>
  (fault: string, outcome: string, told: string, change: Change): FaultRow => ({
    fault,
    must: 'refuse it, keep nothing of it, go on asking',
    outcome: `${outcome} in PROVISIONAL; mended`,
    told: `${outcome}: ${told}`,
    run: () => {
      answerBut(bench, change);
      return refusedUnowned(bench);
    },
  });
