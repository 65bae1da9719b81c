/**
 * Owns running the quality gates and counting what they say. Does not own which gates there are (check.ts, run.ts).
 */
import { spawn } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

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
}

const root = fileURLToPath(new URL('..', import.meta.url));

function countVitest(
  reportPath: string,
  exitCode: number,
): { readonly passed: number; readonly failed: number } {
  try {
    const report: unknown = JSON.parse(readFileSync(reportPath, 'utf8'));
    if (
      typeof report === 'object' &&
      report !== null &&
      'numPassedTests' in report &&
      'numFailedTests' in report &&
      'numPendingTests' in report
    ) {
      const passed = Number(report.numPassedTests);
      // A test that was skipped proved nothing: here that is a failure. So is a run that ended badly without naming one.
      const failed = Number(report.numFailedTests) + Number(report.numPendingTests);
      return { passed, failed: exitCode === 0 || failed > 0 ? failed : 1 };
    }
  } catch {
    // No report: the run itself died.
  }
  return { passed: 0, failed: 1 };
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
  const exitCode = await new Promise<number>((resolve) => {
    const child = spawn(gate.command, args, { cwd: root, stdio: ['ignore', 'inherit', 'inherit'] });
    child.on('error', () => resolve(127));
    child.on('close', (code) => resolve(code ?? 1));
  });
  const durationMs = Math.round(performance.now() - startedAtMs);
  const counted =
    gate.vitest === true
      ? countVitest(reportPath, exitCode)
      : { passed: exitCode === 0 ? 1 : 0, failed: exitCode === 0 ? 0 : 1 };
  return { name: gate.name, ...counted, durationMs };
}

/** The closing lines: one a gate, then the sum alone on its line. Returns the exit code. */
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
  console.log(`${passed} passed, ${failed} failed`);
  return failed === 0 && passed > 0 ? 0 : 1;
}

/** The fast half: no privileges, no daemon, under a minute. vitest leaves one of two cores idle unless told. */
export const FAST_GATES: readonly Gate[] = [
  { name: 'types', command: 'tsc', args: ['-p', '.'] },
  { name: 'types-pure', command: 'tsc', args: ['-p', 'tsconfig.pure.json'] },
  { name: 'lint', command: 'oxlint', args: ['--type-aware', '--deny-warnings'] },
  { name: 'format', command: 'biome', args: ['format', '.'] },
  { name: 'dead-code', command: 'knip', args: ['--no-progress'] },
  {
    name: 'fast-tests',
    command: 'vitest',
    args: ['run', '--project', 'fast', '--maxWorkers=2'],
    vitest: true,
  },
];
