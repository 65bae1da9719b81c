/**
 * Owns a trial from its agent's first look at the box to the verdict: what is missing is waited for, and the version that
 * runs is committed or given up. Cut anywhere, the next start goes on.
 * Does not own the rules (trial.ts), nor how the box came into the trial and comes out of it (trialRun.ts).
 */
import { BranchboxError, type Problem } from '../model/errors.ts';
import type { GatewayEvent } from '../model/status.ts';
import type { Clock, Logger } from '../system/ports.ts';
import type { BaselineParts } from './baseline.ts';
import { badEntryName, type BootEntry, committedEntryName } from './entries.ts';
import type { FirmwareDisk } from './ports.ts';
import { dropStaged } from './staged.ts';
import type { UpdateRecords } from './records.ts';
import { deadlineS, shortfalls, STABLE_MS, type TrialRecord, verdictMs } from './trial.ts';
import { compareFirmwareVersions } from './version.ts';

const LOOK_MS = 2000;

export interface TrialWatchParts extends Pick<BaselineParts, 'vitals' | 'uptimeMs'> {
  readonly disk: FirmwareDisk;
  readonly running: { readonly version: string; readonly rootHash: string };
  readonly records: UpdateRecords;
  /** Tells the deadline without an agent, in seconds since the machine started, that this one lives and judges later. */
  readonly deferDeadline: (seconds: number) => Promise<void>;
  /** Restarts the box; resolves only when the signal aborts. */
  readonly goDown: (signal: AbortSignal) => Promise<void>;
  readonly emit: (kind: GatewayEvent['kind'], subject: string, sentence: string) => void;
  readonly say: (state: 'ready' | 'trial', sentence: string) => void;
  /** Somebody at the box has decided: a verdict before its time. */
  readonly decided: () => 'commit' | 'rollback' | undefined;
  readonly clock: Clock;
  readonly log: Logger;
}

export interface TrialWatch {
  /** Of the entry on trial that runs, to its verdict; `known`: what is recorded of it. */
  watch(entry: BootEntry, known: TrialRecord | undefined, signal: AbortSignal): Promise<void>;
  /** Its entry is committed: what would undo that goes, and the end is kept and told. */
  finishCommit(trial: TrialRecord | undefined, signal: AbortSignal): Promise<void>;
}

export function createTrialWatch(parts: TrialWatchParts): TrialWatch {
  const { disk, running, records, clock, log, emit, say, goDown } = parts;

  const finishCommit = async (trial: TrialRecord | undefined, signal: AbortSignal): Promise<void> => {
    const { entries } = await disk.observe(signal);
    // One that a file system lost. Without it, what goes here may be the last that any start could take.
    if (
      !entries.some(({ rootHash, triesLeft }) => rootHash === running.rootHash && triesLeft === undefined)
    ) {
      throw new BranchboxError('firmware/disk', {
        message: `the boot entry of ${running.version}, which runs, is gone from the ESP: nothing is committed`,
        mend: 'A restart takes the version before, where that is still there. Look at the health of the disk (SMART, kernel log).',
      });
    }
    // After a downgrade the loader would take the newer one at the next start.
    const newer = entries.filter(
      ({ rootHash, version }) =>
        rootHash !== running.rootHash && compareFirmwareVersions(version, running.version) > 0,
    );
    if (newer.length > 0)
      await disk.removeEntries(
        newer.map(({ file }) => file),
        signal,
      );
    const sentence =
      trial === undefined
        ? `Firmware ${running.version} is committed.`
        : `Firmware ${running.version} is committed: all that was up under ${trial.from.version} is.`;
    await records.end({
      digest: trial?.digest ?? running.rootHash,
      version: running.version,
      result: 'committed',
      sentence,
      atMs: clock.nowMs(),
    });
    // Its progress is gone, and with it what that says of these bytes.
    await dropStaged(disk, log);
    log.info('firmware committed', { version: running.version });
    emit('firmware-committed', running.version, sentence);
  };

  const giveUp = async (
    entry: BootEntry,
    trial: TrialRecord | undefined,
    problems: readonly Problem[],
    signal: AbortSignal,
  ): Promise<void> => {
    log.warn('firmware is given up', { version: running.version, problems });
    if (trial !== undefined)
      await records.writeTrial({
        ...trial,
        unhealthy: problems.slice(0, 100).map((problem) => ({ ...problem })),
      });
    try {
      if (entry.triesLeft !== 0) await disk.renameEntry(entry.file, badEntryName(entry), signal);
    } catch (thrown) {
      // The entry's tries run out by themselves.
      log.error('the boot entry cannot be marked', { error: thrown });
    }
    say('trial', `Firmware ${running.version} is given up; the box restarts into the version before.`);
    await goDown(signal);
  };

  const watch = async (
    entry: BootEntry,
    known: TrialRecord | undefined,
    signal: AbortSignal,
  ): Promise<void> => {
    const trial = known === undefined ? undefined : { ...known, agentSeen: true };
    if (trial?.baseline === undefined)
      log.warn('nothing tells what was up before this version: all that is wanted is asked for');
    if (trial !== undefined && known?.agentSeen !== true) await records.writeTrial(trial);
    const verdictAtMs = verdictMs(trial);
    await parts.deferDeadline(deadlineS(verdictAtMs));
    log.info('firmware on trial', { version: running.version, tries: entry.triesLeft, verdictAtMs });
    let healthySinceMs: number | undefined;
    while (!signal.aborted) {
      const problems = shortfalls(trial?.baseline, parts.vitals());
      const nowMs = clock.monotonicMs();
      const decided = parts.decided();
      if (problems.length > 0) healthySinceMs = undefined;
      else healthySinceMs ??= nowMs;
      const stable = healthySinceMs !== undefined && nowMs - healthySinceMs >= STABLE_MS;
      if (decided === 'commit' || (stable && decided === undefined)) {
        await disk.renameEntry(entry.file, committedEntryName(entry.version), signal);
        await finishCommit(trial, signal);
        return;
      }
      if (decided === 'rollback') {
        await giveUp(entry, trial, [{ path: '$', message: 'somebody at the box asked for it' }], signal);
        return;
      }
      if (problems.length > 0 && (await parts.uptimeMs()) >= verdictAtMs) {
        await giveUp(entry, trial, problems, signal);
        return;
      }
      say('trial', describe(running.version, problems));
      await clock.sleep(LOOK_MS, signal).catch(() => undefined);
    }
  };

  return { watch, finishCommit };
}

function describe(version: string, problems: readonly Problem[]): string {
  if (problems.length === 0) return `Firmware ${version} is on trial, and all that was up before is.`;
  const named = problems.slice(0, 3).map(({ path, message }) => `${path} ${message}`);
  const more = problems.length > 3 ? `, and ${problems.length - 3} more` : '';
  return `Firmware ${version} is on trial and waits: ${named.join('; ')}${more}.`;
}
