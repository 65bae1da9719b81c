import { describe, expect, it } from 'vitest';
import { momentOf, planCuts } from '../../vm/power/plan.ts';
import { renderSummary } from '../../vm/power/summary.ts';

const HORIZON = { multiUserMs: 60_000, inServiceMs: 150_000 };

describe('planned power cuts', () => {
  it('are the same for the same seed, and others for another', () => {
    expect(planCuts(7, 12)).toEqual(planCuts(7, 12));
    expect(planCuts(7, 12)).not.toEqual(planCuts(8, 12));
  });

  it('fall anywhere in what they are named after', () => {
    const cuts = planCuts(3, 400);
    const boots = cuts.filter(({ kind }) => kind === 'boot').map((cut) => momentOf(cut, HORIZON));
    const quarters = boots.map((afterMs) => Math.floor((afterMs / HORIZON.inServiceMs) * 4));
    expect(new Set(quarters)).toEqual(new Set([0, 1, 2, 3]));
    const flushes = cuts.flatMap(({ kind, atFlush }) => (kind === 'first-table' ? [atFlush] : []));
    expect(new Set(flushes)).toEqual(new Set([1, 2, 3, 4, 5]));
  });

  it('never have an update on a disk that has it', () => {
    const kinds = planCuts(1, 60).map(({ kind }) => kind);
    expect(kinds.filter((kind) => kind === 'update').length).toBe(4);
    for (const [index, kind] of kinds.entries())
      if (kind === 'trial-boot') {
        expect(kinds.slice(index - 2, index)).toEqual(['update', 'slot-table']);
        expect(kinds[index + 1] ?? 'first-table').toBe('first-table');
      }
  });
});

describe('the summary of a run', () => {
  it('has a line a kind: what was lost, how long the way back took, what the disk forgot', () => {
    const cut = { kind: 'boot', share: 0, afterMs: 1, at: 'firmware', tpm: true, sectorsKept: 1 } as const;
    expect(
      renderSummary([
        { ...cut, sectorsLost: 7, backAfterMs: 90_000 },
        { ...cut, sectorsLost: 0, problem: 'gone' },
      ]).split('\n'),
    ).toContain('| boot | 2 | 1 | 1 | 90 s to 90 s | 7 (0 to 7) |');
  });
});
