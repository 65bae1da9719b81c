/**
 * Owns what the updater does next: nothing, fetch what the controller wants in its window, take what lies on a stick, or
 * see a trial through; and what it says of that. Never blocks anything else of the agent.
 * Does not own carrying a job out (carryOut.ts), the trial (trialRun.ts) nor how it is told (standing.ts).
 */
import { createHash } from 'node:crypto';
import { asBranchboxError, BranchboxError } from '../model/errors.ts';
import type { FirmwareStatus, WantedFirmware } from '../model/firmware.ts';
import type { Certificate } from '../pki/certificate.ts';
import { createWaker } from '../system/waker.ts';
import { createCarryOut } from './carryOut.ts';
import { type Job, keyOf, requestedJob, stickJob, wantedJob } from './job.ts';
import type { Target } from './manifest.ts';
import type { PartSource } from './ports.ts';
import type { Ending } from './records.ts';
import { slotOf } from './slots.ts';
import { renderDisk, renderStatus, type Standing } from './standing.ts';
import type { Sticks } from './stick.ts';
import { createTrialRun, type TrialParts } from './trialRun.ts';
import type { Updater } from './updater.ts';

const RETRY_FIRST_MS = 5000;
const RETRY_MAX_MS = 300_000;
/** A stick that does not answer is let go. */
const STICK_MS = 60_000;
/** How long the end of a job by hand stays shown before the wanted version is taken up again. */
const AFTER_HAND_MS = 60_000;
/** What is wanted is looked at this often without an event. */
const RESYNC_MS = 3_600_000;

export interface UpdaterParts extends Omit<TrialParts, 'say' | 'decided'> {
  readonly anchors: () => Promise<readonly Certificate[]>;
  readonly arch: string;
  /** Of the committed desired state. */
  readonly wanted: () => WantedFirmware | undefined;
  readonly source: PartSource;
  readonly sticks: Sticks;
  /** A restart now would cut something else that is on trial. */
  readonly restartHeld: () => boolean;
  /** What the updater says of itself changed. */
  readonly onChange: () => void;
}

export function createUpdater(parts: UpdaterParts): Updater {
  const { disk, running, records, clock, log } = parts;
  let standing: Standing = { state: 'idle', sentence: `The box runs ${running.version}.` };
  let slot: FirmwareStatus['slot'];
  let history: readonly Ending[] = [];
  let manual: Job | undefined;
  let opening = false;
  let decided: 'commit' | 'rollback' | undefined;
  let current: { readonly key: string; readonly stop: AbortController } | undefined;
  const waker = createWaker(clock);

  const say = (next: Standing): void => {
    const before = renderStatus(standing, running.version, slot, history);
    standing = next;
    if (JSON.stringify(before) !== JSON.stringify(renderStatus(standing, running.version, slot, history)))
      parts.onChange();
  };
  const trial = createTrialRun({
    ...parts,
    say: (state, sentence) => say({ state, sentence }),
    decided: () => decided,
  });

  const replaceManual = async (next: Job | undefined): Promise<void> => {
    const before = manual;
    manual = next;
    await before?.stick?.close();
  };

  const nextJob = (): Job | undefined => {
    const wanted = parts.wanted();
    return manual ?? (wanted === undefined ? undefined : wantedJob(wanted, parts.source));
  };

  const refuse = async (
    job: Job,
    target: Target | undefined,
    error: BranchboxError,
    final: boolean,
  ): Promise<void> => {
    log.warn('firmware refused', { error });
    const problems = error.problems.slice(1, 6).map(({ path, message }) => `${path} ${message}`);
    const mend = error.mend === undefined ? '' : `. ${error.mend}`;
    const sentence = ([error.message, ...problems].join('; ') + mend).slice(0, 2000);
    const digest = target?.digest ?? createHash('sha256').update(job.manifest).digest('hex');
    const version = target?.manifest.version ?? job.version ?? 'unknown';
    const last = history.findLast((ending) => ending.digest === digest);
    const known = last?.result === 'refused' && last.sentence === sentence;
    if (final && !known) {
      await records.end({ digest, version, result: 'refused', sentence, atMs: clock.nowMs() });
      history = await records.history();
    }
    if (!known) parts.emit('firmware-refused', version, sentence);
    say({ state: 'refused', sentence });
  };

  /** Of the version under way, all parts together. */
  const durableBytes = async (): Promise<number> => {
    const progress = await records.progress.read().catch(() => undefined);
    return Object.values(progress?.durableBytes ?? {}).reduce((sum, bytes) => sum + bytes, 0);
  };

  const carryOut = createCarryOut({ ...parts, history: () => history, trial, say, refuse });

  /** False: there is nothing on it. Whoever plugged it in sees only console and LED. */
  const takeStick = async (name: string): Promise<boolean> => {
    if (manual !== undefined || opening) {
      throw new BranchboxError('firmware/refused', { message: 'another update by hand is under way' });
    }
    opening = true;
    try {
      const stick = await parts.sticks.open(name, AbortSignal.timeout(STICK_MS));
      if (stick === undefined) return false;
      await replaceManual(stickJob(stick, parts.wanted()));
      return true;
    } catch (thrown) {
      const error = asBranchboxError(thrown);
      const sentence = `The update of the stick ${name} is not taken: ${error.message}`;
      if (current === undefined) say({ state: 'refused', sentence });
      throw error;
    } finally {
      opening = false;
    }
  };

  /** At the start: until the disk could be read, nothing else makes sense. */
  const settle = async (signal: AbortSignal): Promise<void> => {
    for (let delayMs = RETRY_FIRST_MS; !signal.aborted; delayMs = Math.min(delayMs * 2, RETRY_MAX_MS)) {
      try {
        history = await records.history();
        slot = slotOf((await disk.observe(signal)).slots, running.rootHash);
        await trial.settle(signal);
        history = await records.history();
        return;
      } catch (thrown) {
        if (signal.aborted) return;
        const error = asBranchboxError(thrown);
        log.error('the firmware of this box cannot be looked at', { error });
        const mend = error.mend === undefined ? '' : `. ${error.mend}`;
        say({ state: 'idle', sentence: `The firmware slots cannot be looked at: ${error.message}${mend}` });
        await clock.sleep(delayMs, signal).catch(() => undefined);
      }
    }
  };

  return {
    status: () => renderStatus(standing, running.version, slot, history),
    wake() {
      // Something else is wanted than what is under way.
      if (current !== undefined && current.key !== keyOf(nextJob())) current.stop.abort();
      waker.wake();
    },
    async run(signal) {
      await settle(signal);
      let delayMs = RETRY_FIRST_MS;
      let cameBytes = await durableBytes();
      while (!signal.aborted) {
        decided = undefined;
        // What woke the loop is looked at now; how it ends stays shown until there is news.
        await waker.rest(0, signal);
        const job = nextJob();
        let waitMs: number | undefined;
        if (job === undefined)
          say({ state: 'idle', sentence: `The box runs ${running.version}; no other is wanted.` });
        else {
          current = { key: keyOf(job), stop: new AbortController() };
          try {
            const carried = await carryOut(job, AbortSignal.any([signal, current.stop.signal]), signal);
            waitMs = carried.waitMs;
            // Another may have been asked for meanwhile.
            if (carried.settled && manual === job) {
              await replaceManual(undefined);
              waitMs = parts.wanted() === undefined ? undefined : AFTER_HAND_MS;
            }
            delayMs = RETRY_FIRST_MS;
          } catch (thrown) {
            const error = asBranchboxError(thrown);
            const beforeBytes = cameBytes;
            cameBytes = await durableBytes();
            // A line that drops but brings something each time must not be waited for longer and longer.
            if (cameBytes > beforeBytes) delayMs = RETRY_FIRST_MS;
            log.warn('firmware waits', { error, delayMs });
            say({
              ...standing,
              state: 'waiting',
              sentence: `The update goes on by itself: ${error.message}`,
            });
            waitMs = delayMs;
            delayMs = Math.min(delayMs * 2, RETRY_MAX_MS);
          } finally {
            current = undefined;
          }
        }
        if (waitMs !== 0) await waker.rest(waitMs ?? RESYNC_MS, signal);
      }
    },
    async read(signal) {
      const observed = await disk.observe(signal).catch((thrown: unknown) => {
        log.warn('the firmware slots cannot be read', { error: thrown });
        return undefined;
      });
      const { fetching } = standing;
      return {
        status: this.status(),
        asked: manual !== undefined,
        ...(fetching === undefined ? {} : { fetching }),
        ...(observed === undefined ? {} : { disk: renderDisk(observed, running.rootHash) }),
        history: [...history],
      };
    },
    async request(request) {
      if (request.kind !== 'update') {
        if (standing.state !== 'trial') {
          throw new BranchboxError('firmware/refused', {
            message: `no firmware is on trial: ${standing.sentence}`,
            mend: 'To go back to an older version, have it wanted with allowDowngrade, or update from a directory.',
          });
        }
        decided = request.kind;
        return;
      }
      if (standing.state === 'trial') {
        throw new BranchboxError('firmware/refused', {
          message: 'a version is on trial; its verdict comes first',
        });
      }
      const { stick } = request;
      if (stick === undefined) await replaceManual(await requestedJob(request, parts.wanted(), parts.source));
      else if (!(await takeStick(stick))) return;
      this.wake();
    },
  };
}
