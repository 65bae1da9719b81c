/**
 * Owns one job of an updater, from its signed manifest to the restart into its trial: verified, in its window, onto the
 * disk. Does not own when it begins nor that it is tried again (worker.ts).
 */
import { asBranchboxError, BranchboxError } from '../model/errors.ts';
import type { Certificate } from '../pki/certificate.ts';
import type { Clock, Logger } from '../system/ports.ts';
import { isLost } from './anew.ts';
import { isWrong } from './fetchPart.ts';
import { createFruitless } from './fruitless.ts';
import { install } from './install.ts';
import { holdToWanted, type Job } from './job.ts';
import { type Target, verifyManifest } from './manifest.ts';
import { createPaces, endTrickle, pieceBytesAt, untilClosed, windowState } from './pace.ts';
import type { Step } from './plan.ts';
import type { FirmwareDisk } from './ports.ts';
import { type Ending, takenBack, type UpdateRecords } from './records.ts';
import { forgetStaged } from './staged.ts';
import type { Standing } from './standing.ts';
import type { TrialRun } from './trialRun.ts';

/** After bytes that were not what the manifest names: somebody has to correct that first. */
const RETRY_WRONG_MS = 3_600_000;
/** A disk that loses bytes heals even less by itself, and each try may cost 500 MB of a metered line. */
const RETRY_LOST_MS = 86_400_000;
const HELD_LOOK_MS = 1000;
/** The clock may be set while a window is waited for: a box that was long without power has no time of day at its start. */
const WINDOW_LOOK_MS = 300_000;
/** Of a window that closed meanwhile (baseline.ts). */
const LOOKED =
  'it was looked at what is up, which takes two minutes where something that is wanted is down, and lasts until eight minutes after the start of the box: make the window longer, or mend what is down';

export interface CarryOutParts {
  readonly anchors: () => Promise<readonly Certificate[]>;
  readonly arch: string;
  readonly disk: FirmwareDisk;
  readonly running: { readonly version: string; readonly rootHash: string };
  readonly records: Pick<UpdateRecords, 'progress'>;
  readonly history: () => readonly Ending[];
  readonly trial: Pick<TrialRun, 'prepare' | 'withdraw' | 'enter'>;
  /** A restart now would cut something else that is on trial. */
  readonly restartHeld: () => boolean;
  readonly say: (standing: Standing) => void;
  /** `final`: the fault is in the version itself, not in how it was tried; only such a refusal is remembered. */
  readonly refuse: (
    job: Job,
    target: Target | undefined,
    error: BranchboxError,
    final: boolean,
  ) => Promise<void>;
  readonly clock: Clock;
  readonly log: Logger;
}

export interface CarriedOut {
  /** Nothing is left to do for this job, whatever became of it. */
  readonly settled: boolean;
  /** How long to wait without an event; undefined: until one comes. */
  readonly waitMs?: number;
}

/** `signal` ends the job (something else is wanted), `ending` the agent. Throws what a later try may mend. */
export function createCarryOut(
  parts: CarryOutParts,
): (job: Job, signal: AbortSignal, ending: AbortSignal) => Promise<CarriedOut> {
  const { disk, running, records, history, trial, say, clock, log } = parts;
  const untilFruitless = createFruitless();
  const paceAt = createPaces(clock);
  /** What the job is doing, for a sentence. */
  let underWay = '';
  let closedOn: { readonly manifest: string; readonly what: string } | undefined;
  const onStep = (target: Target) => (step: Step, doneBytes: number) => {
    const { version } = target.manifest;
    underWay = step.op === 'fetch' ? 'it was fetched' : 'it was verified and put in place';
    if (step.op !== 'fetch') {
      say({ state: 'verifying', sentence: `Firmware ${version} is verified and put in place.`, target });
      return;
    }
    const totalBytes = target.manifest.parts.find(({ role }) => role === step.role)?.sizeBytes ?? 0;
    say({
      state: 'downloading',
      sentence: `Firmware ${version} is fetched.`,
      target,
      fetching: { role: step.role, doneBytes, totalBytes },
    });
  };

  /** Resolves to whether it was held at all. */
  const whileHeld = async (target: Target, signal: AbortSignal): Promise<boolean> => {
    let held = false;
    for (; parts.restartHeld(); held = true) {
      const sentence = `Firmware ${target.manifest.version} waits for a desired state on trial.`;
      say({ state: 'ready', sentence, target });
      await clock.sleep(HELD_LOOK_MS, signal);
    }
    return held;
  };

  /** What becomes of the job without an install now; undefined: install it. Throws where the version may not be installed. */
  const withoutInstall = (job: Job, target: Target): CarriedOut | undefined => {
    const { digest, manifest } = target;
    if (job.version !== undefined && job.version !== manifest.version) {
      throw new BranchboxError('firmware/refused', {
        message: `firmware ${job.version} is wanted, and its manifest is of ${manifest.version}`,
      });
    }
    if (manifest.rootHash === running.rootHash) {
      const last = history().at(-1);
      const committed = last?.digest === digest && last.result === 'committed';
      say({
        state: committed ? 'committed' : 'idle',
        sentence: `The box runs ${running.version}, as wanted.`,
      });
      return { settled: true };
    }
    const before = takenBack(history(), digest);
    // A stick that stays in would have it tried at every start.
    if (before !== undefined && (!job.byHand || job.stick !== undefined)) {
      const sentence = `${asSentence(before.sentence)} It is not tried again by itself.`;
      say({ state: 'rolled-back', sentence });
      return { settled: job.byHand };
    }
    holdToWanted(job, target);
    const hours = windowState(job.window, clock.nowMs());
    if (hours.open) return undefined;
    const { start, end: until } = job.window ?? { start: '', end: '' };
    const why = closedOn?.manifest === job.manifest ? ` The last window closed while ${closedOn.what}.` : '';
    const sentence = `Firmware ${manifest.version} waits for ${start} to ${until} UTC.${why}`;
    say({ state: 'waiting', sentence, target });
    return { settled: false, waitMs: Math.min(hours.opensInMs, WINDOW_LOOK_MS) };
  };

  /** `limit` ends it with the job or its window, `ending` with the agent. */
  const installAndEnter = async (
    job: Job,
    target: Target,
    limit: AbortSignal,
    ending: AbortSignal,
  ): Promise<CarriedOut> => {
    const outcome = await install(
      {
        disk,
        source: untilFruitless(job.source),
        progress: records.progress,
        pace: endTrickle(paceAt(job.rateLimitKbps), clock),
        pieceBytes: pieceBytesAt(job.rateLimitKbps),
        allowDowngrade: job.allowDowngrade,
        onStep: onStep(target),
        async beforeEntry(during) {
          underWay = 'a desired state was on trial';
          await whileHeld(target, during);
          underWay = LOOKED;
          await trial.prepare(target, during);
        },
      },
      target,
      limit,
    );
    if (outcome === 'current') return { settled: true, waitMs: 0 };
    underWay = LOOKED;
    // A desired state that came while the entry was placed may be what the version is held to.
    if (await whileHeld(target, limit)) await trial.prepare(target, limit);
    // From here on nothing else can be wanted: the record says what the next start is.
    await trial.enter(target, ending);
    return { settled: false };
  };

  /** Throws the error again where a later try may mend it. */
  const afterFailure = async (
    job: Job,
    target: Target | undefined,
    error: BranchboxError,
  ): Promise<CarriedOut> => {
    const final = error.code === 'firmware/refused' || isWrong(error);
    const laterMs = isWrong(error) ? RETRY_WRONG_MS : isLost(error) ? RETRY_LOST_MS : undefined;
    if (final && job.byHand && target !== undefined)
      await forgetStaged(disk, records.progress, target.digest, log);
    if (!final && laterMs === undefined && !job.byHand) throw error;
    await parts.refuse(job, target, error, final);
    return { settled: true, ...(laterMs === undefined ? {} : { waitMs: laterMs }) };
  };

  return async (job, signal, ending) => {
    let target: Target | undefined;
    let limit = signal;
    const done = new AbortController();
    try {
      target = await verifyManifest(job.manifest, { anchors: await parts.anchors(), arch: parts.arch });
      const without = withoutInstall(job, target);
      if (without !== undefined) return without;
      limit = AbortSignal.any([signal, untilClosed(job.window, clock, done.signal)]);
      return await installAndEnter(job, target, limit, ending);
    } catch (thrown) {
      // Whatever ended it: no entry stays that any later start of the box would try.
      await trial.withdraw(ending).catch((failed: unknown) => {
        log.error('a boot entry that nobody wants cannot be removed', { error: failed });
      });
      if (!limit.aborted) return await afterFailure(job, target, asBranchboxError(thrown));
      // Something else is wanted, or the window closed: what came is kept.
      if (!signal.aborted) closedOn = { manifest: job.manifest, what: underWay };
      return { settled: false, waitMs: 0 };
    } finally {
      done.abort();
    }
  };
}

/** What it ended with may be names and causes, without a full stop. */
const asSentence = (text: string): string => (/[.!?]$/.test(text) ? text : `${text}.`);
