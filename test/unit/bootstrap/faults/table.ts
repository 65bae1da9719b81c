/**
 * Owns the fault table: a row is an attack or a fault, what the box must do, and what the installer is told in these
 * words. Each row is a test; what it saw goes along with its result, and test/faultTable.ts prints the whole.
 * Does not own any fault.
 */
import { expect, it } from 'vitest';
import { z } from 'zod';
import { renderProblem } from '../../../../src/bootstrap/renderStatus.ts';
import { describeBootstrap } from '../../../../src/cli/bootstrap.ts';
import { type BootstrapState, BOOTSTRAP_STATES, sentencesOf } from '../../../../src/model/bootstrap.ts';
import { ERROR_CODES, type ErrorCode } from '../../../../src/model/errors.ts';
import { NOW_MS } from '../authorities.ts';
import type { Box, LogLine } from '../box.ts';
import { type FaultBench, failed } from '../faultBench.ts';

export interface Seen {
  /** `CODE in STATE` where a step failed, else the state that the box came to; and what else matters, in words. */
  readonly outcome: string;
  /**
   * What page and command line say of the failure (problemOf), or all that the box tells where no step failed (toldBy).
   * Ports are left out. A row without it is refused (faultTable).
   */
  readonly told: string;
}

export interface FaultRow extends Seen {
  readonly fault: string;
  readonly must: string;
  readonly run: () => Promise<Seen>;
}

/** What the reporter gets of a row. */
export interface FaultLine {
  readonly area: string;
  readonly fault: string;
  readonly must: string;
  readonly outcome: string;
  readonly told: string;
}

declare module 'vitest' {
  interface TaskMeta {
    faultLine?: FaultLine;
  }
}

/** Called at the top of a test file. Throws where a row leaves out what the installer is told. */
export function faultTable(area: string, rows: readonly FaultRow[]): void {
  const silent = rows.find(({ told }) => told.trim() === '');
  if (silent !== undefined) {
    throw new Error(`The row "${area}: ${silent.fault}" leaves out what the installer is told`);
  }
  for (const { fault, must, outcome, told, run } of rows) {
    it(`${area}: ${fault}`, async ({ task }) => {
      const line = { area, fault, must };
      task.meta.faultLine = { ...line, outcome: 'nothing was seen', told: '' };
      const seen = await run();
      task.meta.faultLine = { ...line, outcome: seen.outcome, told: sentences(seen) };
      expect(seen).toEqual({ outcome, told });
    });
  }
}

/** As an installer reads it: the state's words, and the last problem. */
function sentences({ outcome, told }: Seen): string {
  if (WHOLE.test(told)) return told;
  const state = BOOTSTRAP_STATES.findLast((name) => new RegExp(`\\b${name}\\b`).test(outcome));
  if (state === undefined) return told;
  const { waitsFor, mend } = sentencesOf(state, undefined);
  return [`waits for ${waitsFor}; ${mend}`, told].filter((text) => text !== '').join(' | ');
}

/** As `toldBy` begins. */
const WHOLE = /^[A-Z][A-Z0-9_]+, waits for /;
export const OWNED =
  'OWNED, waits for the enrolment server of its owner; mend: check that the controller is reachable';
export const IN_SERVICE = 'OPERATIONAL, waits for nothing; mend: nothing to do';

/**
 * What `branchbox bootstrap status` said, asked of the running box when the last `run` had come to where it was to. Without
 * moments and ports, which are others in each run.
 */
export function toldBy({ told }: Box): string {
  if (told === undefined) throw new Error('the box was not asked: it ended before, or was there already');
  return describeBootstrap(told, true)
    .replace(/^(\w+)( since [^,]+|, nobody knows since when \([^)]*\)), /, '$1, ')
    .replaceAll(/\n +/g, '; ')
    .replaceAll(/:\d{4,5}\b/g, ':PORT');
}

export const stateOf = async ({ box }: FaultBench): Promise<BootstrapState> => {
  const text = (await box.files.readText(`${box.paths.state}/journal.json`)) ?? '';
  return JSON.parse(text).entries.at(-1).state;
};

/** How often it enrolled, and whether its floor stands where the voucher put it. */
export async function standing(bench: FaultBench): Promise<Seen> {
  const { box, controller } = bench;
  const floorMs = Number(await box.files.readText(`${box.paths.state}/clock-floor`));
  const floor = floorMs === NOW_MS ? 'floor at the voucher' : `floor at ${new Date(floorMs).toISOString()}`;
  return {
    outcome: `${await stateOf(bench)}, ${controller.enrolments.length} enrolments, ${floor}`,
    told: toldBy(box),
  };
}

/** As page and command line show a failure that was logged; without ports, which are others in each run. */
export function problemOf(line: LogLine | undefined): string {
  if (line === undefined) return '';
  const { code, problem, problems, mend } = line.fields;
  const shown = renderProblem({
    code: ErrorCodeName.parse(code),
    message: String(problem),
    problems: Problems.parse(problems ?? []),
    mend: mend === undefined ? undefined : String(mend),
  });
  return shown.replaceAll(/:\d{4,5}\b/g, ':PORT');
}

const ErrorCodeName = z.custom<ErrorCode>((name) => typeof name === 'string' && name in ERROR_CODES);
const Problems = z.array(z.strictObject({ path: z.string(), message: z.string() }));

/** Until a step fails, or the box comes past it; whether it then goes on with good answers is for `thenMended`. */
export async function firstFailure(bench: FaultBench, past: BootstrapState): Promise<Seen> {
  const { box, controller } = bench;
  await box.run({ controller, until: (line) => failed(line) || line.fields['state'] === past });
  const line = box.log.findLast(failed);
  const state = await stateOf(bench);
  if (line === undefined) return { outcome: state, told: toldBy(box) };
  return { outcome: `${String(line.fields['code'])} in ${state}`, told: problemOf(line) };
}

/** Names of files that the box keeps of an identity or an owner. */
export async function kept({ box }: FaultBench): Promise<readonly string[]> {
  const names = await box.files.list(box.paths.state);
  return names.filter(
    (name) => !['journal.json', 'clock-floor', 'ldevid.key', 'pending-owner.json'].includes(name),
  );
}

/** With good answers from now on it must come into service by itself. */
export async function thenMended(bench: FaultBench, seen: Seen): Promise<Seen> {
  bench.mend();
  await bench.box.run({ controller: bench.controller, until: 'OPERATIONAL' });
  const state = await stateOf(bench);
  return { ...seen, outcome: `${seen.outcome}; ${state === 'OPERATIONAL' ? 'mended' : `stuck in ${state}`}` };
}

/** Refused before the box has an owner: nothing of it is kept. */
export async function refusedUnowned(bench: FaultBench): Promise<Seen> {
  const seen = await firstFailure(bench, 'OWNED');
  expect(await kept(bench)).toEqual([]);
  expect(await bench.box.files.list(bench.box.paths.state)).not.toContain('pending-owner.json');
  return thenMended(bench, seen);
}

/** Refused while enrolling: no certificate is kept. */
export async function refusedEnrolling(bench: FaultBench): Promise<Seen> {
  const seen = await firstFailure(bench, 'LDEVID');
  expect(await kept(bench)).toEqual([]);
  return thenMended(bench, seen);
}
