/**
 * Owns what surrounds a trial: the record before it, the restart into it, what a start of the box makes of what it
 * finds, and a way back that is told. Each can be cut anywhere: a restart finds what is left to do.
 * Does not own the rules (trial.ts), nor the trial itself to its verdict (trialWatch.ts).
 */
import { badEntryName, type BootEntry, committedEntryName, halfRenamed } from './entries.ts';
import type { Target } from './manifest.ts';
import type { Observation } from './plan.ts';
import { takenBack } from './records.ts';
import { dropStaged } from './staged.ts';
import { type BaselineParts, lookBefore } from './baseline.ts';
import { type BootVerdict, judgeBoot, recallTrial, type TrialRecord } from './trial.ts';
import { createTrialWatch, type TrialWatchParts } from './trialWatch.ts';
import { compareFirmwareVersions } from './version.ts';

/** A machine that was told to go down takes so long at most, units that hang included; then it is told again. */
const GOING_DOWN_MS = 180_000;

export interface TrialParts extends Omit<BaselineParts, 'clock'>, Omit<TrialWatchParts, 'goDown'> {
  readonly bootId: string;
  /** What the version on trial may change and the present one needs is put aside. */
  readonly beforeTrial: () => Promise<void>;
  readonly restart: () => Promise<void>;
}

export interface TrialRun {
  /** What this start of the box means, and everything that follows from it; a trial to its verdict. */
  settle(signal: AbortSignal): Promise<void>;
  /** Before a boot entry stands that the loader would start: records what the version is held to. */
  prepare(target: Target, signal: AbortSignal): Promise<TrialRecord>;
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

  const { watch, finishCommit } = createTrialWatch({ ...parts, goDown });

  const restartInto = async (version: string, signal: AbortSignal): Promise<void> => {
    // The loader takes the newest by itself; an older one only when told, and once, so that a failure ends here again.
    if (compareFirmwareVersions(version, running.version) < 0)
      await disk.bootOnce(committedEntryName(version));
    say('ready', `The box restarts into ${version}.`);
    await goDown(signal);
  };

  const recall = async (observed: Observation): Promise<TrialRecord | undefined> =>
    recallTrial(observed, await records.progress.read(), { bootId: parts.bootId, nowMs: clock.nowMs() });

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
    // What a commit that was cut left.
    if ((await records.progress.read()) === undefined) await dropStaged(disk, log);
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
    const trial: TrialRecord = {
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
    };
    await records.writeTrial(trial);
    return trial;
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

  /** What is on the disk, without what a rename that was cut left. */
  const observe = async (signal: AbortSignal): Promise<Observation> => {
    const observed = await disk.observe(signal);
    const halves = halfRenamed(observed.entries);
    for (const half of halves) {
      log.warn('a boot entry whose renaming was cut has two names', { ...half });
      await disk.keepOneName(half, signal);
    }
    return halves.length === 0 ? observed : disk.observe(signal);
  };

  return {
    async settle(signal) {
      const observed = await observe(signal);
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
      const known = await records.readTrial();
      const trial = known?.digest === target.digest ? known : await prepare(target, signal);
      await records.writeTrial({ ...trial, due: true });
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
