/**
 * Owns the agent's record of desired states on disk: committed, on trial, rolled back. Each write is durable.
 * Does not own the rules (reconcile/trial).
 */
import { createHash } from 'node:crypto';
import { decodeJson } from '../model/decode.ts';
import { DESIRED_MAX_BYTES, DesiredState } from '../model/desired.ts';
import { BranchboxError } from '../model/errors.ts';
import { type Identified, RolledBackRecord, TrialRecord } from '../reconcile/trial.ts';
import type { Files, Logger } from '../system/ports.ts';
import { type AgentPaths, committedBeforePath, committedPath, rolledBackPath, trialPath } from './paths.ts';

/** Base64 of the payload, its header and certificates; and once more inside a JSON string. */
const JWS_MAX_BYTES = 2 * DESIRED_MAX_BYTES;
const RECORD_MAX_BYTES = JWS_MAX_BYTES + 1024 * 1024;

export interface HeldState {
  readonly id: Identified;
  readonly state: DesiredState;
  readonly jws: string;
}

export interface TrialStore {
  /** Where this version cannot read what a newer one committed: what was committed before that was on trial. */
  readCommitted(): Promise<HeldState | undefined>;
  /** Before another version runs. */
  putCommittedAside(): Promise<void>;
  readTrial(): Promise<TrialRecord | undefined>;
  readRolledBack(): Promise<RolledBackRecord | undefined>;
  writeTrial(record: TrialRecord): Promise<void>;
  writeRolledBack(record: RolledBackRecord): Promise<void>;
  /** Never fails. */
  removeTrial(): Promise<void>;
  /** The state first, the journal's end last: killed in between, a restart sees both and knows. Fails only by the state. */
  commit(held: HeldState): Promise<void>;
}

export const digestOf = (jws: string): string => createHash('sha256').update(jws).digest('hex');

/** Signature and signer are not looked at: for what was verified before it was written. */
export function decodeHeld(jws: string, what: string): HeldState {
  const payload = Buffer.from(jws.split('.')[1] ?? '', 'base64url').toString('utf8');
  const state = decodeJson(DesiredState, payload, what, DESIRED_MAX_BYTES);
  return { id: { epoch: state.epoch, generation: state.generation, digest: digestOf(jws) }, state, jws };
}

export function createTrialStore(files: Files, paths: AgentPaths, log: Logger): TrialStore {
  /** A record that cannot be read is as good as none, and must not keep the box from coming up. */
  const orNone = async <T>(path: string, read: () => Promise<T | undefined>): Promise<T | undefined> => {
    try {
      return await read();
    } catch (thrown) {
      if (!(thrown instanceof BranchboxError)) throw thrown;
      log.error('a record of the agent cannot be read', { path, error: thrown });
      return undefined;
    }
  };
  const committed = committedPath(paths);
  const trial = trialPath(paths);
  const rolledBack = rolledBackPath(paths);
  const before = committedBeforePath(paths);
  const readHeld = (path: string): Promise<HeldState | undefined> =>
    orNone(path, async () => {
      const jws = await files.readText(path, JWS_MAX_BYTES);
      return jws === undefined ? undefined : decodeHeld(jws.trim(), path);
    });
  /** If it stays, the next start knows by its digest that it is over. */
  const forgetTrial = (): Promise<void> =>
    files.remove(trial).catch((error: unknown) => {
      log.warn('the journal of a trial that ended cannot be removed', { path: trial, error });
    });
  return {
    async readCommitted() {
      const held = await readHeld(committed);
      if (held !== undefined || (await files.readText(committed, JWS_MAX_BYTES)) === undefined) return held;
      log.warn('what a newer firmware committed is not understood: the box holds to what was before', {
        before,
      });
      return readHeld(before);
    },
    async putCommittedAside() {
      const jws = await files.readText(committed, JWS_MAX_BYTES);
      if (jws === undefined) await files.remove(before);
      else await files.writeDurable(before, jws);
    },
    readTrial: () =>
      orNone(trial, async () => {
        const text = await files.readText(trial, RECORD_MAX_BYTES);
        return text === undefined ? undefined : decodeJson(TrialRecord, text, trial, RECORD_MAX_BYTES);
      }),
    readRolledBack: () =>
      orNone(rolledBack, async () => {
        const text = await files.readText(rolledBack, RECORD_MAX_BYTES);
        return text === undefined
          ? undefined
          : decodeJson(RolledBackRecord, text, rolledBack, RECORD_MAX_BYTES);
      }),
    writeTrial: (record) => files.writeDurable(trial, JSON.stringify(record)),
    writeRolledBack: (record) => files.writeDurable(rolledBack, JSON.stringify(record)),
    removeTrial: forgetTrial,
    async commit(held) {
      await files.writeDurable(committed, held.jws);
      await forgetTrial();
    },
  };
}
