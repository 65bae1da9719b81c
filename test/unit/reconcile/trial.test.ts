/** What is kept of states that were rolled back, and which of them earns a retry. */
import { describe, expect, it } from 'vitest';
import {
  MAX_ROLLED_BACK,
  recordRollBack,
  retriable,
  RolledBackRecord,
  type TrialRecord,
} from '../../../src/reconcile/trial.ts';

const trial = (generation: number, retry = false): TrialRecord => ({
  schema: 1,
  epoch: 1,
  generation,
  digest: generation.toString(16).padStart(64, '0'),
  startedAtMs: 0,
  retry,
  jws: `jws of ${generation}`,
});
const failed = { atMs: 1, cause: 'failed', sentence: 'the controller did not answer' } as const;

describe('the record of what was rolled back', () => {
  it('keeps the newest, so that it can be read again however many there were', () => {
    let record: RolledBackRecord | undefined;
    for (let generation = 1; generation <= MAX_ROLLED_BACK + 3; generation += 1)
      record = recordRollBack(record, trial(generation), failed);
    expect(RolledBackRecord.parse(record).entries.map(({ generation }) => generation)).toEqual(
      Array.from({ length: MAX_ROLLED_BACK }, (_, i) => i + 4),
    );
  });
});

describe('a retry', () => {
  const committed = (generation: number) => ({ epoch: 1, generation, digest: 'f'.repeat(64) });
  const record = recordRollBack(undefined, trial(5), failed);

  it('is of what is newer than what is committed, once', () => {
    expect(retriable(record, committed(4))).toEqual({ digest: trial(5).digest, jws: 'jws of 5' });
    expect(retriable(recordRollBack(record, trial(5, true), failed), committed(4))).toBeUndefined();
  });

  it('is not of the generation that was committed otherwise, nor of one before it', () => {
    expect(retriable(record, committed(5))).toBeUndefined();
    expect(retriable(record, committed(6))).toBeUndefined();
  });

  it('comes as often as it takes where nothing is committed', () => {
    expect(retriable(recordRollBack(record, trial(5, true), failed), undefined)?.digest).toBe(
      trial(5).digest,
    );
  });
});
