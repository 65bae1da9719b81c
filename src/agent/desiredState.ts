/**
 * Owns what the box is held to: factory, committed, or on trial; carries a trial through to commit or back.
 * The rules are reconcile/trial's, the files trialStore's; lanes and the controller's answer come in as functions.
 */
import type { DesiredSpec } from '../model/desired.ts';
import { asBranchboxError, type Problem } from '../model/errors.ts';
import type { GatewayEvent, GatewayStatus } from '../model/status.ts';
import {
  judge,
  onRestart,
  recordRollBack,
  retriable,
  RETRY_AFTER_MS,
  type RolledBack,
  type RolledBackRecord,
  trialMs,
  type TrialRecord,
} from '../reconcile/trial.ts';
import type { Clock, Logger } from '../system/ports.ts';
import { createSerialQueue } from '../system/serialQueue.ts';
import { acceptDesired } from './acceptDesired.ts';
import { carryThrough, type TrialSteps } from './carryThrough.ts';
import type { OwnIdentity } from './ownIdentity.ts';
import { decodeHeld, type HeldState, type TrialStore } from './trialStore.ts';

/** The longest delay that Node's timers take. */
const MAX_TIMER_MS = 2 ** 31 - 1;
const RETRY_CHECK_MS = 5000;
/** Messages that wait while one is judged. More means that the broker floods; of states the newest counts anyway. */
const MAX_OFFERED = 8;

export interface DesiredParts extends TrialSteps {
  readonly store: TrialStore;
  /** Read anew for each message: undefined before the box has an owner. */
  readonly identity: () => Promise<Pick<OwnIdentity, 'gatewayId' | 'anchors' | 'atMs'> | undefined>;
  /** Whether the network was as wanted at least once since this process started. */
  readonly wasSettled: () => boolean;
  /** A state was committed. */
  readonly onCommitted: () => void;
  readonly controllerAwayMs: () => number;
  readonly emit: (kind: GatewayEvent['kind'], subject: string, sentence: string) => void;
  readonly clock: Clock;
  readonly log: Logger;
}

interface OngoingTrial {
  readonly record: TrialRecord;
  readonly durationMs: number;
  readonly held: HeldState;
  readonly stop: AbortController;
}

export type DesiredSnapshot = Pick<GatewayStatus, 'committed' | 'trial' | 'refused'>;

export interface DesiredKeeper {
  /** What to render now; undefined: factory. */
  spec(): DesiredSpec | undefined;
  /** Without what is on trial. */
  committedSpec(): DesiredSpec | undefined;
  /** As the held state names this box; undefined: factory. */
  gatewayId(): string | undefined;
  snapshot(): DesiredSnapshot;
  /** A message that came; refused or tried. */
  offer(jws: string): Promise<void>;
  /** Until the signal aborts: looks whether a rolled-back state has earned its retry. */
  run(signal: AbortSignal): Promise<void>;
}

export async function createDesiredKeeper(parts: DesiredParts): Promise<DesiredKeeper> {
  const { store, clock, log, emit } = parts;
  let committed = await store.readCommitted();
  let rolledBack = await store.readRolledBack();
  let trial: OngoingTrial | undefined;
  let refused: GatewayStatus['refused'];
  let notYet: NodeJS.Timeout | undefined;

  /** Never fails: a disk that takes no record must not hold the box to a state that failed. A restart judges that anew. */
  const rollBack = async (
    record: TrialRecord,
    cause: RolledBack['cause'],
    sentence: string,
  ): Promise<void> => {
    rolledBack = recordRollBack(rolledBack, record, { atMs: clock.nowMs(), cause, sentence });
    const { epoch, generation, digest } = record;
    refused = {
      digest,
      epoch,
      generation,
      reason: 'rolled-back',
      problems: [{ path: '$', message: sentence }],
    };
    log.warn('desired state rolled back', { epoch, generation, cause, sentence });
    emit('desired-rolled-back', `${epoch}/${generation}`, sentence);
    try {
      await store.writeRolledBack(rolledBack);
      await store.removeTrial();
    } catch (thrown) {
      log.error('that a desired state was rolled back cannot be recorded', {
        error: asBranchboxError(thrown),
      });
    }
  };

  /** Why it cannot be kept, for a person: what a restart would not find must not count as committed. */
  const commit = async (held: HeldState): Promise<string | undefined> => {
    try {
      await store.commit(held);
    } catch (thrown) {
      return `the state holds, but cannot be kept: ${asBranchboxError(thrown).message}`;
    }
    committed = held;
    return undefined;
  };

  const interrupted = await store.readTrial();
  const finding = onRestart(interrupted, committed?.id);
  if (finding === 'was-committed') await store.removeTrial();
  if (finding === 'interrupted' && interrupted !== undefined) {
    await rollBack(interrupted, 'interrupted', 'the agent was stopped while this was on trial');
  }

  /** Resolves to the trial's end once it began. */
  const tryOut = async (held: HeldState, retry: boolean): Promise<() => Promise<void>> => {
    const { epoch, generation, digest } = held.id;
    const record: TrialRecord = {
      schema: 1,
      epoch,
      generation,
      digest,
      startedAtMs: clock.nowMs(),
      retry,
      jws: held.jws,
    };
    // Before anything changes, and before anybody is shown the new state.
    await store.writeTrial(record);
    // How the trial before ended decides nothing any more.
    trial?.stop.abort(new Error('a newer desired state came'));
    const stop = new AbortController();
    const durationMs = trialMs(committed !== undefined && parts.wasSettled());
    const own = { record, durationMs, held, stop };
    trial = own;
    refused = undefined;
    emit('desired-received', `${epoch}/${generation}`, `desired state ${epoch}/${generation} is on trial`);
    log.info('trial begins', { epoch, generation, retry });
    return () => seeThrough(own);
  };

  const seeThrough = async (own: OngoingTrial): Promise<void> => {
    const { held, record, stop } = own;
    const { epoch, generation } = held.id;
    const failure = await carryThrough(parts, own.durationMs, stop.signal);
    // In line with what comes in: a message must not be judged by half a commit.
    await inLine(async () => {
      if (trial !== own) return;
      const why = failure ?? (await commit(held));
      if (why === undefined) {
        trial = undefined;
        log.info('desired state committed', { epoch, generation });
        emit('desired-committed', `${epoch}/${generation}`, `desired state ${epoch}/${generation} holds`);
        parts.onCommitted();
        return;
      }
      // What could not be kept is not at fault: it is tried again when it comes again, as after a power cut.
      await rollBack(record, failure === undefined ? 'interrupted' : 'failed', why);
      trial = undefined;
      parts.onChange();
    });
  };

  const take = async (jws: string): Promise<void> => {
    const identity = await parts.identity();
    if (identity === undefined) return;
    const { anchors, atMs } = identity;
    const accepted = await acceptDesired(jws, { anchors, atMs });
    const verdict = accepted.ok
      ? judge(accepted.held.state, accepted.held.id.digest, {
          gatewayId: identity.gatewayId,
          committed: committed?.id,
          trial: trial?.held.id,
          rolledBack: rolledBack?.entries ?? [],
          nowMs: atMs,
        })
      : ({ kind: 'refuse', ...accepted } as const);
    if (verdict.kind === 'same') {
      // What is published now is what the box holds. It stays told what was refused: whoever looks once a minute would
      // miss one that a forger published for a second. What waited for its time is withdrawn: a topic retains one state.
      clearTimeout(notYet);
      if (refused !== undefined) refused = { overAtMs: clock.nowMs(), ...refused };
      return;
    }
    // What waits for its time is put aside by a state that may take its place or holds already, by nothing else.
    if (verdict.kind === 'try' || verdict.reason === 'not-yet') clearTimeout(notYet);
    if (verdict.kind === 'try') {
      if (accepted.ok) void (await tryOut(accepted.held, false))().catch(reportDefect);
      return;
    }
    if (accepted.ok && verdict.reason === 'not-yet') {
      const waitMs = Math.min(accepted.held.state.notBefore - atMs, MAX_TIMER_MS);
      notYet = setTimeout(() => void offer(jws), waitMs);
      notYet.unref();
    }
    refuse(accepted.ok ? accepted.held.id : { digest: accepted.digest }, verdict.reason, verdict.problems);
  };

  const refuse = (
    id: { readonly digest: string; readonly epoch?: number; readonly generation?: number },
    reason: NonNullable<GatewayStatus['refused']>['reason'],
    problems: readonly Problem[],
  ): void => {
    const known = refused?.digest === id.digest && refused.reason === reason;
    refused = { ...id, reason, problems: [...problems] };
    // The retained message comes again with every connection; one event tells it.
    if (known) return;
    const sentence = problems.map(({ path, message }) => `${path} ${message}`).join('; ');
    log.warn('desired state refused', { reason, problems });
    emit('desired-refused', id.digest, `${reason}: ${sentence}`);
  };
  const inTurn = createSerialQueue();
  /** One thing at a time: a message is judged by what the one before it did. */
  const inLine = (work: () => Promise<void>): Promise<void> => inTurn(work).catch(reportDefect);
  const offered: string[] = [];
  const offer = (jws: string): Promise<void> => {
    offered.push(jws);
    if (offered.length > MAX_OFFERED) offered.shift();
    return inLine(async () => {
      const next = offered.shift();
      if (next !== undefined) await take(next);
    });
  };
  const reportDefect = (thrown: unknown): void =>
    log.error('a desired state cannot be handled', { error: asBranchboxError(thrown) });

  return {
    spec: () => (trial?.held ?? committed)?.state.spec,
    committedSpec: () => committed?.state.spec,
    gatewayId: () => (trial?.held ?? committed)?.state.gatewayId,
    snapshot: () => ({
      ...(committed === undefined ? {} : { committed: committed.id }),
      ...(trial === undefined
        ? {}
        : { trial: { ...trial.held.id, endsAtMs: trial.record.startedAtMs + trial.durationMs } }),
      ...(refused === undefined ? {} : { refused }),
    }),
    offer,
    async run(signal) {
      signal.addEventListener('abort', () => clearTimeout(notYet), { once: true });
      let triedAtMs = Number.NEGATIVE_INFINITY;
      while (!signal.aborted) {
        await clock.sleep(RETRY_CHECK_MS, signal).catch(() => undefined);
        // A trial that is cut off at its beginning has used up its retry.
        if (signal.aborted || trial !== undefined) continue;
        if (committed !== undefined && parts.controllerAwayMs() < RETRY_AFTER_MS) continue;
        const retry = retriable(rolledBack, committed?.id);
        if (retry === undefined || !isOldEnough(rolledBack, clock.nowMs())) continue;
        // One that could not even be journalled (a full disk) leaves no later record to count from.
        if (clock.monotonicMs() - triedAtMs < RETRY_AFTER_MS) continue;
        triedAtMs = clock.monotonicMs();
        log.warn('what was rolled back is tried again', {
          digest: retry.digest,
          why: committed === undefined ? 'nothing is committed yet' : 'the controller is away either way',
        });
        await inLine(async () => {
          if (trial !== undefined) return;
          void (await tryOut(decodeHeld(retry.jws, 'rolled-back.json'), true))().catch(reportDefect);
        });
      }
    },
  };
}

function isOldEnough(record: RolledBackRecord | undefined, nowMs: number): boolean {
  return nowMs - (record?.entries.at(-1)?.atMs ?? nowMs) >= RETRY_AFTER_MS;
}
