/**
 * Owns a trial from the restart into it to its end: the record before, the verdict in it, and what is done about the
 * verdict. The rules are trial.ts's. Each end can be cut anywhere: a restart finds what is left to do.
 */
import type { Problem } from '../model/errors.ts';
import type { GatewayEvent } from '../model/status.ts';
import type { Clock, Logger } from '../system/ports.ts';
import { badEntryName, type BootEntry, committedEntryName, trialEntryPattern } from './entries.ts';
import type { Target } from './manifest.ts';
import type { Observation } from './plan.ts';
import type { FirmwareDisk } from './ports.ts';
import { takenBack, type UpdateRecords } from './records.ts';
import { type BaselineParts, lookBefore } from './baseline.ts';
import {
  type BootVerdict,
  judgeBoot,
  recallTrial,
  shortfalls,
  STABLE_MS,
  type TrialRecord,
  deadlineS,
  verdictMs,
} from './trial.ts';
import { compareFirmwareVersions } from './version.ts';

const LOOK_MS = 2000;
/** A machine that was told to go down takes so long at most, units that hang included; then it is told again. */
const GOING_DOWN_MS = 180_000;

export interface TrialParts extends Omit<BaselineParts, 'clock'> {
  readonly disk: FirmwareDisk;
  readonly running: { readonly version: string; readonly rootHash: string };
  readonly records: UpdateRecords;
  readonly bootId: string;
  /** Tells the deadline without an agent, in seconds since the machine started, that this one lives and judges later. */
  readonly deferDeadline: (seconds: number) => Promise<void>;
  /** What the version on trial may change and the present one needs is put aside. */
  readonly beforeTrial: () => Promise<void>;
  readonly restart: () => Promise<void>;
  readonly emit: (kind: GatewayEvent['kind'], subject: string, sentence: string) => void;
  readonly say: (state: 'ready' | 'trial', sentence: string) => void;
  /** Somebody at the box has decided: a verdict before its time. */
  readonly decided: () => 'commit' | 'rollback' | undefined;
  readonly clock: Clock;
  readonly log: Logger;
}

export interface TrialRun {
  /** What this start of the box means, and everything that follows from it; a trial to its verdict. */
  settle(signal: AbortSignal): Promise<void>;
  /** Before a boot entry stands that the loader would start: records what the version is held to. */
  prepare(target: Target, signal: AbortSignal): Promise<void>;
  /** It is not to be tried now: entry and record go. */
  withdraw(signal: AbortSignal): Promise<void>;
  /** Of a prepared version whose entry stands: restarts the box into it; resolves only when the signal aborts. */
  enter(target: Target, signal: AbortSignal): Promise<void>;
}

export function createTrialRun(parts: TrialParts): TrialRun {
  const { disk, running, records, clock, log, emit, say } = parts;

  const goDown = async (signal: AbortSignal): Promise<void> => {
    while (!signal.aborted) {
      await parts.restart();
      await clock.sleep(GOING_DOWN_MS, signal).catch(() => undefined);
    }
  };

  const restartInto = async (version: string, signal: AbortSignal): Promise<void> => {
    // The loader takes the newest by itself; an older one only when told, and once, so that a failure ends here again.
    if (compareFirmwareVersions(version, running.version) < 0)
      await disk.bootOnce(trialEntryPattern(version));
    say('ready', `The box restarts into ${version}.`);
    await goDown(signal);
  };

  const finishCommit = async (trial: TrialRecord | undefined, signal: AbortSignal): Promise<void> => {
    const { entries } = await disk.observe(signal);
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
      // Its tries run out by themselves.
      log.error('the boot entry cannot be marked', { error: thrown });
    }
    say('trial', `Firmware ${running.version} is given up; the box restarts into the version before.`);
    await goDown(signal);
  };

  const recall = async (observed: Observation): Promise<TrialRecord | undefined> =>
    recallTrial(observed, await records.progress.read(), { bootId: parts.bootId, nowMs: clock.nowMs() });

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

  const rolledBack = async (
    verdict: Extract<BootVerdict, { kind: 'rolled-back' }>,
    trial: TrialRecord,
    signal: AbortSignal,
  ): Promise<void> => {
    const { cause, sentence, stillTried } = verdict;
    if (stillTried !== undefined) await disk.renameEntry(stillTried.file, badEntryName(stillTried), signal);
    const { digest, version } = trial;
    await records.end({ digest, version, result: 'rolled-back', cause, sentence, atMs: clock.nowMs() });
    log.warn('firmware rolled back', { version, cause });
    emit('firmware-rolled-back', version, `${cause}: ${sentence}`);
  };

  /** Neither a record nor somebody who wants them: an entry that nothing would judge goes, what was tried is remembered. */
  const settleWithout = async (
    observed: Observation,
    unrecorded: readonly BootEntry[],
    signal: AbortSignal,
  ): Promise<void> => {
    const lost = await recall(observed);
    const untold = lost !== undefined && takenBack(await records.history(), lost.digest) === undefined;
    if (untold) {
      const verdict = judgeBoot(observed, lost, { bootId: parts.bootId, ended: await records.readEnded() });
      if (verdict.kind === 'rolled-back') await rolledBack(verdict, lost, signal);
    }
    // Marked already, and it stays to be seen.
    const told = untold ? lost.rootHash : '';
    const files = unrecorded.filter(({ rootHash }) => rootHash !== told).map(({ file }) => file);
    if (files.length === 0) return;
    log.warn('boot entries on trial without a record are removed', { files });
    await disk.removeEntries(files, signal);
  };

  const prepare: TrialRun['prepare'] = async ({ manifest, digest }, signal) => {
    const { version, rootHash } = manifest;
    say('ready', `Firmware ${version} is whole; what is up now is looked at, which it is held to.`);
    const { baseline, upAfterMs } = await lookBefore(parts, signal);
    await parts.beforeTrial();
    await records.writeTrial({
      schema: 1,
      digest,
      version,
      rootHash,
      from: running,
      bootId: parts.bootId,
      recordedAtMs: clock.nowMs(),
      attempts: 1,
      ...(baseline === undefined ? {} : { baseline }),
      ...(upAfterMs === undefined ? {} : { upAfterMs }),
      due: false,
      agentSeen: false,
    });
  };

  const withdraw: TrialRun['withdraw'] = async (signal) => {
    const trial = await records.readTrial();
    if (trial === undefined) return;
    const { entries } = await disk.observe(signal);
    const files = entries.flatMap(({ file, rootHash, triesLeft }) =>
      rootHash === trial.rootHash && triesLeft !== undefined ? [file] : [],
    );
    if (files.length > 0) await disk.removeEntries(files, signal);
    // Last: an entry is never without its record.
    await records.dropTrial();
  };

  return {
    async settle(signal) {
      const observed = await disk.observe(signal);
      const trial = await records.readTrial();
      const verdict = judgeBoot(observed, trial, {
        bootId: parts.bootId,
        ended: await records.readEnded(),
      });
      switch (verdict.kind) {
        case 'settled':
          return settleWithout(observed, verdict.unrecorded, signal);
        case 'unfinished':
          return withdraw(signal);
        case 'on-trial':
          return watch(
            verdict.entry,
            trial?.rootHash === running.rootHash ? trial : await recall(observed),
            signal,
          );
        case 'committed':
          return finishCommit(trial, signal);
        case 'restart-due':
          if (trial === undefined) return;
          if (trial.bootId !== parts.bootId)
            await records.writeTrial({ ...trial, bootId: parts.bootId, attempts: trial.attempts + 1 });
          return restartInto(trial.version, signal);
        case 'rolled-back':
          return trial === undefined ? undefined : rolledBack(verdict, trial, signal);
      }
    },
    prepare,
    withdraw,
    async enter(target, signal) {
      const { version } = target.manifest;
      if ((await records.readTrial())?.digest !== target.digest) await prepare(target, signal);
      const trial = await records.readTrial();
      if (trial !== undefined) await records.writeTrial({ ...trial, due: true });
      log.info('firmware trial begins', { version });
      emit(
        'firmware-trial',
        version,
        `Firmware ${version} stands whole in the other slot; the box restarts into it on trial.`,
      );
      await restartInto(version, signal);
    },
  };
}

function describe(version: string, problems: readonly Problem[]): string {
  if (problems.length === 0) return `Firmware ${version} is on trial, and all that was up before is.`;
  const named = problems.slice(0, 3).map(({ path, message }) => `${path} ${message}`);
  const more = problems.length > 3 ? `, and ${problems.length - 3} more` : '';
  return `Firmware ${version} is on trial and waits: ${named.join('; ')}${more}.`;
}
