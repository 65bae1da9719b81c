/**
 * Owns the table of a run of power cuts, a line a kind, as docs have it. Pure.
 */
import type { CutReport } from './cuts.ts';

const range = (values: readonly number[], shown: (value: number) => string): string =>
  values.length === 0 ? '' : `${shown(Math.min(...values))} to ${shown(Math.max(...values))}`;

/** Markdown. */
export function renderSummary(reports: readonly CutReport[]): string {
  const kinds = [...new Set(reports.map(({ kind }) => kind))];
  const rows = kinds.map((kind) => {
    const own = reports.filter((report) => report.kind === kind);
    const lost = own.filter(({ problem }) => problem !== undefined).length;
    const back = own.flatMap(({ backAfterMs }) => (backAfterMs === undefined ? [] : [backAfterMs]));
    const sectors = own.map(({ sectorsLost }) => sectorsLost);
    return [
      kind,
      String(own.length),
      String(lost),
      String(back.length),
      range(back, (ms) => `${Math.round(ms / 1000)} s`),
      `${sectors.reduce((sum, count) => sum + count, 0)} (${range(sectors, String)})`,
    ];
  });
  const head = ['kind', 'cuts', 'lost', 'awaited', 'back at work after', 'unflushed sectors lost (each)'];
  return [head, head.map(() => '---'), ...rows].map((row) => `| ${row.join(' | ')} |`).join('\n');
}
