/**
 * Owns the frame of a process that the init system keeps running: SIGTERM and SIGINT end it in order; an error that
 * nobody took ends it with one line in the log and a record for the agent, in the place of Node's dump of the bundle;
 * and once its work is over, nothing that is still open keeps it.
 * Does not own the work, nor the restart (the unit).
 */
import { mkdirSync, readFileSync, renameSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { CRASH_WORDS, CrashRecord, crashRecordName } from '../../model/crash.ts';
import { BranchboxError } from '../../model/errors.ts';
import { createLogger } from './logger.ts';

const EXIT_CRASHED = 1;
/** For what closes by itself; units give 5 to 10 s. */
const LEFTOVERS_MS = 3000;
const STDERR = 2;

export interface LongLived {
  /** In its log lines. */
  readonly name: string;
  readonly version: string;
  /** Where the agent looks for records of crashes; undefined where there is no agent. */
  readonly crashes?: string;
}

/** Resolves or rejects as the work does, and the process ends soon after. */
export async function runLongLived(
  options: LongLived,
  work: (signal: AbortSignal) => Promise<void>,
): Promise<void> {
  const ending = new AbortController();
  for (const name of ['SIGTERM', 'SIGINT'] as const) process.once(name, () => ending.abort());
  // Whoever keeps the log may go away (journald that is started again): what is said then is said to nobody.
  process.stderr.on('error', () => undefined);
  // Also of a promise that was rejected and that nobody waits for.
  process.on('uncaughtException', (thrown) => {
    tellCrash(options, thrown);
    keepRecord(options, thrown);
    process.exit(EXIT_CRASHED);
  });
  try {
    await work(ending.signal);
  } catch (thrown) {
    // It waited for something, and ends as it was told to.
    if (ending.signal.aborted && thrown === ending.signal.reason) return;
    // What was cut short by its end is no crash, and what can go wrong in words of its own the command line tells.
    if (!ending.signal.aborted) {
      if (!(thrown instanceof BranchboxError)) tellCrash(options, thrown);
      keepRecord(options, thrown);
    }
    throw thrown;
  } finally {
    // If one loop of a process failed, the others would go on: half a process must not live.
    setTimeout(() => process.exit(), LEFTOVERS_MS).unref();
  }
}

/** Synchronously, since nothing comes after. What cannot be written is lost, and holds nothing up. The record, too. */
function tellCrash({ name, version }: LongLived, thrown: unknown): void {
  const log = createLogger({ name, write: (line) => void attempt(() => writeSync(STDERR, line)) });
  log.error('the process is ended by an error', { version, error: thrown });
}

function keepRecord({ name, version, crashes }: LongLived, thrown: unknown): void {
  if (crashes === undefined) return;
  attempt(() => {
    mkdirSync(crashes, { recursive: true });
    const path = join(crashes, crashRecordName(name));
    const before = attempt(() => CrashRecord.parse(JSON.parse(readFileSync(path, 'utf8'))));
    const record: CrashRecord = {
      schema: 1,
      process: name,
      version,
      atMs: Date.now(),
      times: (before?.times ?? 0) + 1,
      error: String(thrown).slice(0, CRASH_WORDS.error),
      stack: (thrown instanceof Error ? (thrown.stack ?? '') : '').slice(0, CRASH_WORDS.stack),
    };
    writeFileSync(`${path}.new`, JSON.stringify(record));
    renameSync(`${path}.new`, path);
  });
}

function attempt<T>(work: () => T): T | undefined {
  try {
    return work();
  } catch {
    return undefined;
  }
}
