/**
 * Owns what the updater does next: nothing, fetch what the controller wants in its window, take what lies on a stick, or
 * see a trial through; and what it says of that. Never blocks anything else of the agent.
 * Does not own how a version gets onto the disk (install.ts) nor the trial (trialRun.ts).
 */
import { createHash } from 'node:crypto';
import { asBranchboxError, BranchboxError } from '../model/errors.ts';
import {
  type FirmwareRequest,
  type FirmwareStatus,
  type LocalFirmware,
  PART_ROLES,
  type WantedFirmware,
} from '../model/firmware.ts';
import type { Certificate } from '../pki/certificate.ts';
import { createWaker } from '../system/waker.ts';
import { isWrong } from './fetchPart.ts';
import { install } from './install.ts';
import { type Target, verifyManifest } from './manifest.ts';
import { createPace, windowState } from './pace.ts';
import type { Step } from './plan.ts';
import type { PartSource } from './ports.ts';
import type { Ending } from './records.ts';
import { SLOT_NAMES, slotOf } from './slots.ts';
import { openDirectory } from './sources.ts';
import { createTrialRun, type TrialParts } from './trialRun.ts';

const RETRY_FIRST_MS = 5000;
const RETRY_MAX_MS = 300_000;
/** A version whose bytes were not what its manifest names: somebody has to mend that first. */
const RETRY_WRONG_MS = 3_600_000;
const HELD_LOOK_MS = 1000;
/** What is wanted is looked at this often without an event. */
const RESYNC_MS = 3_600_000;

export interface UpdaterParts extends Omit<TrialParts, 'say' | 'decided'> {
  readonly anchors: () => Promise<readonly Certificate[]>;
  readonly arch: string;
  /** Of the committed desired state. */
  readonly wanted: () => WantedFirmware | undefined;
  readonly source: PartSource;
  /** A restart now would cut something else that is on trial. */
  readonly restartHeld: () => boolean;
  /** What the updater says of itself changed. */
  readonly onChange: () => void;
}

export interface Updater {
  run(signal: AbortSignal): Promise<void>;
  /** What is wanted may have changed. */
  wake(): void;
  status(): FirmwareStatus;
  read(signal: AbortSignal): Promise<LocalFirmware>;
  /** Throws where it cannot be begun; what becomes of it is in the status. */
  request(request: FirmwareRequest): Promise<void>;
}

interface Job {
  /** As it is announced; undefined where only the manifest says. */
  readonly version: string | undefined;
  readonly manifest: string;
  readonly source: PartSource;
  readonly byHand: boolean;
  readonly allowDowngrade: boolean;
  readonly rateLimitKbps: number | undefined;
  readonly window: WantedFirmware['window'];
}
interface Standing {
  readonly state: FirmwareStatus['state'];
  readonly sentence: string;
  readonly target?: Target;
  readonly fetching?: LocalFirmware['fetching'];
}

export function createUpdater(parts: UpdaterParts): Updater {
  const { disk, running, records, clock, log } = parts;
  let standing: Standing = { state: 'idle', sentence: `The box runs ${running.version}.` };
  let slot: FirmwareStatus['slot'];
  let history: readonly Ending[] = [];
  let manual: Job | undefined;
  let decided: 'commit' | 'rollback' | undefined;
  let current: { readonly key: string; readonly stop: AbortController } | undefined;
  const waker = createWaker(clock);

  const say = (next: Standing): void => {
    const before = describe(standing, running.version, slot, history);
    standing = next;
    if (JSON.stringify(before) !== JSON.stringify(describe(standing, running.version, slot, history)))
      parts.onChange();
  };
  const trial = createTrialRun({
    ...parts,
    say: (state, sentence) => say({ state, sentence }),
    decided: () => decided,
  });

  const nextJob = (): Job | undefined => {
    if (manual !== undefined) return manual;
    const wanted = parts.wanted();
    if (wanted === undefined) return undefined;
    const { version, manifest, allowDowngrade, rateLimitKbps, window } = wanted;
    return { version, manifest, allowDowngrade, rateLimitKbps, window, source: parts.source, byHand: false };
  };
  const keyOf = (job: Job | undefined): string =>
    job === undefined ? '' : JSON.stringify({ ...job, source: job.source.name });

  const end = async (ending: Omit<Ending, 'atMs'>): Promise<void> => {
    const last = history.findLast(({ digest }) => digest === ending.digest);
    const known = last?.result === ending.result && last.sentence === ending.sentence;
    if (!known) {
      await records.end({ ...ending, atMs: clock.nowMs() });
      history = await records.history();
      parts.emit('firmware-refused', ending.version, ending.sentence);
    }
    say({ state: 'refused', sentence: ending.sentence });
  };

  const refuse = (job: Job, target: Target | undefined, error: BranchboxError): Promise<void> => {
    log.warn('firmware refused', { error });
    const problems = error.problems.slice(1, 6).map(({ path, message }) => `${path} ${message}`);
    return end({
      digest: target?.digest ?? createHash('sha256').update(job.manifest).digest('hex'),
      version: target?.manifest.version ?? job.version ?? 'unknown',
      result: 'refused',
      sentence: [error.message, ...problems].join('; ').slice(0, 2000),
    });
  };

  const onStep = (target: Target) => (step: Step, doneBytes: number) => {
    const { version } = target.manifest;
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

  /** Resolves to how long to wait without an event; undefined: until one comes. */
  const carryOut = async (
    job: Job,
    signal: AbortSignal,
    ending: AbortSignal,
  ): Promise<number | undefined> => {
    let target: Target | undefined;
    let limit = signal;
    try {
      target = await verifyManifest(job.manifest, { anchors: await parts.anchors(), arch: parts.arch });
      const { digest, manifest } = target;
      if (job.version !== undefined && job.version !== manifest.version) {
        throw new BranchboxError('firmware/refused', {
          message: `firmware ${job.version} is wanted, and its manifest is of ${manifest.version}`,
        });
      }
      if (manifest.rootHash === running.rootHash) {
        const committed = history.at(-1)?.digest === digest && history.at(-1)?.result === 'committed';
        say({
          state: committed ? 'committed' : 'idle',
          sentence: `The box runs ${running.version}, as wanted.`,
        });
        manual = undefined;
        return undefined;
      }
      const last = history.findLast((ending) => ending.digest === digest);
      if (last?.result === 'rolled-back' && !job.byHand) {
        say({ state: 'rolled-back', sentence: `${last.sentence} It is not tried again by itself.` });
        return undefined;
      }
      const hours = windowState(job.window, clock.nowMs());
      if (!hours.open) {
        const { start, end: until } = job.window ?? { start: '', end: '' };
        say({
          state: 'waiting',
          sentence: `Firmware ${manifest.version} waits for ${start} to ${until} UTC.`,
          target,
        });
        return hours.opensInMs;
      }
      const closes = hours.closesInMs === undefined ? [] : [AbortSignal.timeout(hours.closesInMs)];
      limit = AbortSignal.any([signal, ...closes]);
      const outcome = await install(
        {
          disk,
          source: job.source,
          progress: records.progress,
          pace: createPace(job.rateLimitKbps, clock),
          allowDowngrade: job.allowDowngrade,
          onStep: onStep(target),
        },
        target,
        limit,
      );
      if (outcome === 'current') {
        manual = undefined;
        return 0;
      }
      while (parts.restartHeld()) {
        say({
          state: 'ready',
          sentence: `Firmware ${manifest.version} waits for a desired state on trial.`,
          target,
        });
        await clock.sleep(HELD_LOOK_MS, limit);
      }
      // From here on nothing else can be wanted: the record says what the next start is.
      await trial.enter(target, ending);
      return undefined;
    } catch (thrown) {
      // Something else is wanted, or the window closed: what came is kept.
      if (limit.aborted) return 0;
      const error = asBranchboxError(thrown);
      const final = error.code === 'firmware/refused' || isWrong(error);
      if (final || job.byHand) {
        manual = undefined;
        await refuse(job, target, error);
        return isWrong(error) ? RETRY_WRONG_MS : undefined;
      }
      throw error;
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
        say({ state: 'idle', sentence: `The firmware slots cannot be looked at: ${error.message}` });
        await clock.sleep(delayMs, signal).catch(() => undefined);
      }
    }
  };

  return {
    status: () => describe(standing, running.version, slot, history),
    wake() {
      // Something else is wanted than what is under way.
      if (current !== undefined && current.key !== keyOf(nextJob())) current.stop.abort();
      waker.wake();
    },
    async run(signal) {
      await settle(signal);
      let delayMs = RETRY_FIRST_MS;
      while (!signal.aborted) {
        decided = undefined;
        const job = nextJob();
        let waitMs: number | undefined;
        if (job === undefined)
          say({ state: 'idle', sentence: `The box runs ${running.version}; no other is wanted.` });
        else {
          current = { key: keyOf(job), stop: new AbortController() };
          try {
            waitMs = await carryOut(job, AbortSignal.any([signal, current.stop.signal]), signal);
            delayMs = RETRY_FIRST_MS;
          } catch (thrown) {
            const error = asBranchboxError(thrown);
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
        ...(fetching === undefined ? {} : { fetching }),
        ...(observed === undefined
          ? {}
          : {
              disk: {
                slots: SLOT_NAMES.map((name) => ({
                  slot: name,
                  rootHash: observed.slots[name].rootHash,
                  running: observed.slots[name].rootHash === running.rootHash,
                })),
                entries: observed.entries.map(({ file, version, triesLeft, triesDone, rootHash }) => {
                  const holder = rootHash === undefined ? undefined : slotOf(observed.slots, rootHash);
                  return {
                    file,
                    version,
                    triesDone,
                    ...(triesLeft === undefined ? {} : { triesLeft }),
                    ...(holder === undefined ? {} : { slot: holder }),
                  };
                }),
              },
            }),
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
      if (request.directory !== undefined) {
        const { manifest, source } = await openDirectory(request.directory);
        const { allowDowngrade } = request;
        manual = {
          version: undefined,
          manifest,
          source,
          allowDowngrade,
          byHand: true,
          rateLimitKbps: undefined,
          window: undefined,
        };
      } else {
        const wanted = parts.wanted();
        if (wanted === undefined) {
          throw new BranchboxError('firmware/refused', {
            message: 'the controller wants no firmware of this box',
            mend: 'Name a directory with a manifest and its parts.',
          });
        }
        const { version, manifest, rateLimitKbps } = wanted;
        const allowDowngrade = wanted.allowDowngrade || request.allowDowngrade;
        manual = {
          version,
          manifest,
          source: parts.source,
          allowDowngrade,
          byHand: true,
          rateLimitKbps,
          window: undefined,
        };
      }
      this.wake();
    },
  };
}

/** Of a box without slots: says so, and why. */
export function createNoUpdater(version: string, reason: string): Updater {
  const status = (): FirmwareStatus => ({ version, state: 'unavailable', sentence: reason });
  return {
    run: async () => {},
    wake() {},
    status,
    read: async () => ({ status: status(), history: [] }),
    async request() {
      throw new BranchboxError('firmware/unavailable', { message: reason });
    },
  };
}

function describe(
  { state, sentence, target, fetching }: Standing,
  version: string,
  slot: FirmwareStatus['slot'],
  history: readonly Ending[],
): FirmwareStatus {
  const last = history.at(-1);
  return {
    version,
    ...(slot === undefined ? {} : { slot }),
    state,
    sentence,
    ...(target === undefined ? {} : { target: { version: target.manifest.version, digest: target.digest } }),
    ...(target === undefined || fetching === undefined
      ? {}
      : { progressPercent: percentOf(target, fetching) }),
    ...(last === undefined ? {} : { lastResult: { ...last } }),
  };
}

/** Of all parts together, in steps of five. */
function percentOf({ manifest }: Target, fetching: NonNullable<LocalFirmware['fetching']>): number {
  const before = PART_ROLES.slice(0, PART_ROLES.indexOf(fetching.role));
  const sum = (sizes: readonly { readonly sizeBytes: number }[]): number =>
    sizes.reduce((total, { sizeBytes }) => total + sizeBytes, 0);
  const done = sum(manifest.parts.filter(({ role }) => before.includes(role))) + fetching.doneBytes;
  return Math.floor(((done / sum(manifest.parts)) * 100) / 5) * 5;
}
