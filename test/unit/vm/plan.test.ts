import { describe, expect, it } from 'vitest';
import { CUTS_OF_A_TURN, momentOf, PHASES, planCuts, startsOf } from '../../vm/power/plan.ts';
import { earlierCuts, recordOf, renderSummary } from '../../vm/power/summary.ts';

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

  it('are thirty a turn, of each phase more than one, and stop the disk in each place that an update writes', () => {
    const cuts = planCuts(1, CUTS_OF_A_TURN);
    expect(cuts).toHaveLength(30);
    const of = (phase: string): number => cuts.filter(({ kind }) => PHASES[kind] === phase).length;
    for (const phase of ['boot', 'bootstrap', 'config change', 'update'])
      expect(of(phase)).toBeGreaterThanOrEqual(3);
    const stopped = cuts.flatMap(({ kind, atFlush }) => (atFlush === undefined ? [] : [kind]));
    expect(new Set(stopped)).toEqual(new Set(['first-table', 'update', 'slot-table', 'entry']));
  });

  it('can be gone on with where a row begins from the factory, and nowhere else', () => {
    const cuts = planCuts(1, CUTS_OF_A_TURN);
    expect(startsOf(cuts)).toEqual([1, 10, 22]);
  });

  it('never have an update on a disk that has it', () => {
    let hasVersion = false;
    for (const { kind } of planCuts(1, 3 * CUTS_OF_A_TURN)) {
      if (kind === 'update') expect(hasVersion).toBe(false);
      hasVersion = kind === 'update' || (hasVersion && kind !== 'first-table');
    }
  });

  it('take an update that was cut on to its trial before anything else', () => {
    const kinds = planCuts(1, 2 * CUTS_OF_A_TURN).map(({ kind }) => kind);
    const rows = kinds.flatMap((kind, at) => (kind === 'update' ? [kinds.slice(at + 1, at + 3)] : []));
    expect(rows.slice(0, 2)).toEqual([
      ['entry', 'trial-boot'],
      ['slot-table', 'trial-boot'],
    ]);
  });
});

describe('the summary of a run', () => {
  const cut = { kind: 'boot', share: 0, afterMs: 1400, at: 'firmware', tpm: true, sectorsKept: 1 } as const;
  const reports = [
    { ...cut, kind: 'update', atFlush: 4, at: 'multi-user', tpm: false, sectorsLost: 3 },
    { ...cut, sectorsLost: 7, backAfterMs: 90_000, checked: ['traffic', 'serial'] },
    { ...cut, sectorsLost: 0, problem: 'gone' },
  ] as const;

  it('has a line a cut: when, what the disk forgot, whether it was awaited, and what was found', () => {
    const lines = renderSummary(reports).split('\n');
    expect(lines.slice(2, 5)).toEqual([
      '| 1 | update | `update`, at flush 4 (multi-user) | no | 3 of 4 | no |  |  |',
      '| 2 | boot | `boot`, 1 s in (firmware) | yes | 7 of 8 | yes | 90 s | traffic, serial |',
      '| 3 | boot | `boot`, 1 s in (firmware) | yes | 0 of 1 | yes |  | LOST: gone |',
    ]);
  });

  it('has a line a kind', () => {
    expect(renderSummary(reports).split('\n')).toContain(
      '| `boot` | 2 | 1 | 1 | 90 s to 90 s | 7 (0 to 7) |',
    );
  });

  it('is a record at any time: what was planned, what is done', () => {
    const record = recordOf({ seed: 7, count: 30, together: 3, horizon: HORIZON }, reports);
    expect(record).toMatchObject({ seed: 7, planned: 30, done: 3, lost: 1 });
    expect(record.cuts.map(({ phase, awaited }) => [phase, awaited])).toEqual([
      ['update', false],
      ['boot', true],
      ['boot', true],
    ]);
  });

  it('gives back its cuts to a run that goes on, unless one was lost or is not there', () => {
    const record = JSON.stringify(recordOf({ seed: 7, count: 30, together: 3, horizon: HORIZON }, reports));
    expect(earlierCuts(record, 2)).toEqual(reports.slice(0, 2));
    expect(() => earlierCuts(record, 3)).toThrow(/3 cuts that were survived/);
    expect(() => earlierCuts(record, 4)).toThrow(/4 cuts/);
  });
});
