/**
 * Owns the shape of a bench's result, its file and its table. Does not measure anything.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { cpus, totalmem } from 'node:os';
import { readFileSync } from 'node:fs';
import { root } from '../lab/mainjob/lab.ts';

export interface Row {
  /** `branchbox`, or the peer beside it. */
  readonly subject: string;
  readonly case: string;
  readonly metric: string;
  readonly unit: string;
  readonly n: number;
  readonly p50: number;
  readonly p99: number;
  readonly max: number;
}

/** Percentiles by nearest rank of at least one value. */
export function rowOf(
  subject: string,
  kase: string,
  metric: string,
  unit: string,
  values: readonly number[],
): Row {
  const sorted = [...values].sort((a, b) => a - b);
  const rank = (share: number) =>
    sorted[Math.min(sorted.length - 1, Math.ceil(share * sorted.length) - 1)] ?? Number.NaN;
  const round = (value: number) => Math.round(value * 100) / 100;
  return {
    subject,
    case: kase,
    metric,
    unit,
    n: values.length,
    p50: round(rank(0.5)),
    p99: round(rank(0.99)),
    max: round(rank(1)),
  };
}

function machine(): Record<string, string | number> {
  const release = readFileSync('/proc/sys/kernel/osrelease', 'utf8').trim();
  return {
    cores: cpus().length,
    cpu: cpus()[0]?.model ?? 'unknown',
    memoryMiB: Math.round(totalmem() / 2 ** 20),
    kernel: release,
  };
}

/** Writes out/bench/NAME.json and prints the table. */
export function publish(bench: string, rows: readonly Row[]): void {
  mkdirSync(`${root}out/bench`, { recursive: true });
  writeFileSync(
    `${root}out/bench/${bench}.json`,
    `${JSON.stringify({ bench, machine: machine(), rows }, null, 2)}\n`,
  );
  const header = ['subject', 'case', 'metric', 'unit', 'n', 'p50', 'p99', 'max'];
  const cells = rows.map((row) =>
    [row.subject, row.case, row.metric, row.unit, row.n, row.p50, row.p99, row.max].map(String),
  );
  const widths = header.map((title, i) =>
    Math.max(title.length, ...cells.map((line) => line[i]?.length ?? 0)),
  );
  const print = (line: readonly string[]) =>
    console.log(
      line.map((cell, i) => (i < 4 ? cell.padEnd(widths[i] ?? 0) : cell.padStart(widths[i] ?? 0))).join('  '),
    );
  console.log(`\n${bench}`);
  for (const line of [header, ...cells]) print(line);
  console.log(`\nout/bench/${bench}.json`);
}
