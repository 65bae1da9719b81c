/**
 * Owns how power cuts are told: a line as each is done, and the tables of a run, as docs have them. Pure.
 */
import type { CutReport } from './cuts.ts';
import type { Horizon } from '../upLog.ts';
import { PHASES } from './plan.ts';

export interface RunOptions {
  readonly seed: number;
  /** As many as were to be. */
  readonly count: number;
  readonly together: number;
  readonly horizon: Horizon;
}

/** For the screen. */
export function describeCut(report: CutReport): string {
  const { kind, tpm, sectorsKept, sectorsLost, backAfterMs, update, problem, checked } = report;
  const back =
    backAfterMs === undefined ? 'cut again before it was back' : `back after ${seconds(backAfterMs)}`;
  const cache = `${sectorsLost} of ${sectorsLost + sectorsKept} unflushed sectors lost`;
  const outcome =
    problem ??
    [
      back,
      ...(update === undefined ? [] : [`update ${update}`]),
      ...(checked === undefined ? [] : [`checked: ${checked.join(', ')}`]),
    ].join(', ');
  return `${kind}, ${moment(report)}${tpm ? '' : ', no TPM'}, ${cache}: ${outcome}`;
}

/** For programs, at any time of a run: an interrupted one is a record too. */
export const recordOf = ({ count, ...options }: RunOptions, reports: readonly CutReport[]) => ({
  ...options,
  planned: count,
  done: reports.length,
  lost: reports.filter(({ problem }) => problem !== undefined).length,
  cuts: reports.map((report) => ({ phase: PHASES[report.kind], awaited: isAwaited(report), ...report })),
});

const isAwaited = ({ backAfterMs, problem }: CutReport): boolean =>
  backAfterMs !== undefined || problem !== undefined;

/** Of a record, so many cuts, for a run that goes on; all of them came back, or it would not go on. */
export function earlierCuts(record: string, count: number): readonly CutReport[] {
  const { cuts } = JSON.parse(record) as ReturnType<typeof recordOf>;
  const earlier = cuts.slice(0, count).map(({ phase: _phase, awaited: _awaited, ...report }) => report);
  if (earlier.length < count || earlier.some(({ problem }) => problem !== undefined))
    throw new Error(`the record does not have ${count} cuts that were survived`);
  return earlier;
}

/** Markdown: a line a cut, then a line a kind. */
export const renderSummary = (reports: readonly CutReport[]): string =>
  `${renderCuts(reports)}\n\n${renderKinds(reports)}`;

function renderCuts(reports: readonly CutReport[]): string {
  const rows = reports.map((report, index) => {
    const { kind, tpm, sectorsKept, sectorsLost, backAfterMs, update, checked, problem } = report;
    return [
      String(index + 1),
      PHASES[kind],
      `\`${kind}\`, ${moment(report)}`,
      tpm ? 'yes' : 'no',
      `${sectorsLost} of ${sectorsLost + sectorsKept}`,
      isAwaited(report) ? 'yes' : 'no',
      backAfterMs === undefined ? '' : seconds(backAfterMs),
      problem === undefined
        ? [...(checked ?? []), ...(update === undefined ? [] : [`update ${update}`])].join(', ')
        : `LOST: ${problem}`,
    ];
  });
  return table(
    ['cut', 'phase', 'moment', 'TPM', 'unflushed sectors lost', 'awaited', 'at work after', 'checked'],
    rows,
  );
}

function renderKinds(reports: readonly CutReport[]): string {
  const kinds = [...new Set(reports.map(({ kind }) => kind))];
  const rows = kinds.map((kind) => {
    const own = reports.filter((report) => report.kind === kind);
    const lost = own.filter(({ problem }) => problem !== undefined).length;
    const back = own.flatMap(({ backAfterMs }) => (backAfterMs === undefined ? [] : [backAfterMs]));
    const sectors = own.map(({ sectorsLost }) => sectorsLost);
    return [
      `\`${kind}\``,
      String(own.length),
      String(lost),
      String(back.length),
      range(back, seconds),
      `${sectors.reduce((sum, count) => sum + count, 0)} (${range(sectors, String)})`,
    ];
  });
  return table(
    ['kind', 'cuts', 'lost', 'awaited', 'at work again after', 'unflushed sectors lost (each)'],
    rows,
  );
}

const moment = ({ afterMs, atFlush, at }: CutReport): string =>
  `${atFlush === undefined ? `${seconds(afterMs)} in` : `at flush ${atFlush}`} (${at})`;

const seconds = (ms: number): string => `${Math.round(ms / 1000)} s`;

const range = (values: readonly number[], shown: (value: number) => string): string =>
  values.length === 0 ? '' : `${shown(Math.min(...values))} to ${shown(Math.max(...values))}`;

const table = (head: readonly string[], rows: readonly (readonly string[])[]): string =>
  [head, head.map(() => '---'), ...rows].map((row) => `| ${row.join(' | ')} |`).join('\n');
