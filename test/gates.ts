/**
 * Owns running the quality gates and counting what they say. Does not own which gates there are (check.ts, run.ts).
 */
import { spawn } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync } from 'node:fs';
import { relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { stripVTControlCharacters } from 'node:util';

export interface Gate {
  readonly name: string;
  readonly command: string;
  readonly args: readonly string[];
  /** A vitest run: its JSON report is counted test by test; any other gate counts as one test. */
  readonly vitest?: boolean;
}

export interface GateResult {
  readonly name: string;
  readonly passed: number;
  readonly failed: number;
  readonly durationMs: number;
  /** What failed, in few lines: nobody who reads the end of a long log has its middle. Empty where nothing did. */
  readonly why: readonly string[];
  /** What was noted on the way and is no failure. */
  readonly notes: readonly string[];
}

const NOTE = 'NOTE: ';
/** Text that is to be said again at the end of the run, though nothing failed. */
export const noted = (text: string): string =>
  text
    .split('\n')
    .map((line) => `${NOTE}${line}`)
    .join('\n');

/** What a run that ended without naming a test said last. */
const LAST_LINES = 15;
const MOST_NAMED = 15;
const WIDTH = 200;
const TAIL_CHARACTERS = 20_000;

const root = fileURLToPath(new URL('..', import.meta.url));

/** As much of vitest's JSON report as is counted here. */
interface VitestReport {
  readonly numPassedTests: number;
  readonly numFailedTests: number;
  readonly numPendingTests: number;
  readonly testResults: readonly {
    readonly name: string;
    readonly status: string;
    /** Why the file itself could not run. */
    readonly message: string;
    readonly assertionResults: readonly {
      readonly fullName: string;
      readonly status: string;
      readonly failureMessages?: readonly string[] | null;
    }[];
  }[];
}

function readReport(path: string): VitestReport | undefined {
  try {
    return JSON.parse(readFileSync(path, 'utf8')) as VitestReport;
  } catch {
    // No report: the run itself died.
    return undefined;
  }
}

const firstLine = (text: string): string => stripVTControlCharacters(text).split('\n')[0] ?? '';

function failuresIn(report: VitestReport): readonly string[] {
  return report.testResults
    .flatMap(({ name, status, message, assertionResults }) => [
      ...(status === 'failed' && message !== '' ? [`${relative(root, name)}: ${firstLine(message)}`] : []),
      // A test that was skipped proved nothing: here that is a failure.
      ...assertionResults
        .filter((test) => test.status !== 'passed')
        .map(
          (test) =>
            `${relative(root, name)}: ${test.fullName}: ${firstLine(test.failureMessages?.[0] ?? test.status)}`,
        ),
    ])
    .slice(0, MOST_NAMED);
}

type Verdict = Pick<GateResult, 'passed' | 'failed' | 'why'>;

/** A run that ended badly without naming a test is one failure, and its last words are why. */
function judge(report: VitestReport | undefined, exitCode: number, lastWords: readonly string[]): Verdict {
  const passed = report?.numPassedTests ?? 0;
  const failed = (report?.numFailedTests ?? 0) + (report?.numPendingTests ?? 0);
  if (report !== undefined && failed > 0) return { passed, failed, why: failuresIn(report) };
  if (report !== undefined && exitCode === 0) return { passed, failed, why: [] };
  return { passed, failed: 1, why: lastWords };
}

/** Runs one gate, its output on the screen, and counts it. */
export async function runGate(gate: Gate): Promise<GateResult> {
  const startedAtMs = performance.now();
  const reportPath = `${root}out/test/${gate.name}.json`;
  mkdirSync(`${root}out/test`, { recursive: true });
  rmSync(reportPath, { force: true });
  const args =
    gate.vitest === true
      ? [...gate.args, '--reporter=default', '--reporter=json', `--outputFile.json=${reportPath}`]
      : gate.args;
  const child = spawn(gate.command, args, {
    cwd: root,
    stdio: ['ignore', 'pipe', 'pipe'],
    // Through a pipe, colours are asked for.
    env: process.stdout.isTTY ? { FORCE_COLOR: '1', ...process.env } : process.env,
  });
  let tail = '';
  const notes: string[] = [];
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      process.stdout.write(text);
      tail = (tail + text).slice(-TAIL_CHARACTERS);
      notes.push(...text.split('\n').filter((line) => line.startsWith(NOTE)));
    });
  }
  const exitCode = await new Promise<number>((resolve) => {
    child.on('error', (error) => {
      tail += error.message;
      resolve(127);
    });
    child.on('close', (code) => resolve(code ?? 1));
  });
  const durationMs = Math.round(performance.now() - startedAtMs);
  const lastWords = wordsOf(tail);
  const verdict: Verdict =
    gate.vitest === true
      ? judge(readReport(reportPath), exitCode, lastWords)
      : exitCode === 0
        ? { passed: 1, failed: 0, why: [] }
        : { passed: 0, failed: 1, why: lastWords };
  return { name: gate.name, ...verdict, notes: notes.slice(-LAST_LINES), durationMs };
}

/** Without vitest's own stack, which says nothing of what failed. */
function wordsOf(tail: string): readonly string[] {
  return stripVTControlCharacters(tail)
    .split('\n')
    .map((line) => line.trimEnd())
    .filter((line) => line !== '' && !line.includes('node_modules/vitest/'))
    .slice(-LAST_LINES);
}

/** The closing lines: one a gate, what failed, then the sum alone on its line. Returns the exit code. */
export function report(results: readonly GateResult[]): number {
  const passed = results.reduce((sum, result) => sum + result.passed, 0);
  const failed = results.reduce((sum, result) => sum + result.failed, 0);
  console.log('');
  for (const result of results) {
    const mark = result.failed === 0 ? 'ok  ' : 'FAIL';
    console.log(
      `${mark} ${result.name.padEnd(12)} ${result.passed} passed, ${result.failed} failed, ${(result.durationMs / 1000).toFixed(1)} s`,
    );
  }
  for (const { name, why, notes } of results) {
    if (notes.length > 0)
      console.log([`${name} noted:`, ...notes.map((line) => `  ${line.slice(0, WIDTH)}`)].join('\n'));
    if (why.length > 0)
      console.log(`${name} failed:\n${why.map((line) => `  ${line.slice(0, WIDTH)}`).join('\n')}`);
  }
  console.log(`${passed} passed, ${failed} failed`);
  return failed === 0 && passed > 0 ? 0 : 1;
}

/** The fast half: no privileges, no daemon, under a minute. vitest leaves one of two cores idle unless told. */
export const FAST_TESTS: Gate = {
  name: 'fast-tests',
  command: 'vitest',
  args: ['run', '--project', 'fast', '--maxWorkers=2'],
  vitest: true,
};
const IN_TURN: readonly Gate[] = [
  { name: 'types', command: 'tsc', args: ['-p', '.'] },
  { name: 'lint', command: 'oxlint', args: ['--type-aware', '--deny-warnings'] },
];
/** Each of one thread, where those above keep two cores busy, but not all the time. */
const BESIDE: readonly Gate[] = [
  { name: 'types-pure', command: 'tsc', args: ['-p', 'tsconfig.pure.json'] },
  { name: 'format', command: 'biome', args: ['format', '.'] },
  { name: 'dead-code', command: 'knip', args: ['--no-progress'] },
];

/** The gates that need nothing, `tests` last and beside the short ones. */
export async function runFastHalf(tests: Gate): Promise<readonly GateResult[]> {
  const inTurn = await runEach(IN_TURN);
  const [tested, beside] = await Promise.all([runGate(tests), runEach(BESIDE)]);
  return [...inTurn, ...beside, tested];
}

export async function runEach(gates: readonly Gate[]): Promise<readonly GateResult[]> {
  const results: GateResult[] = [];
  for (const gate of gates) results.push(await runGate(gate));
  return results;
}
