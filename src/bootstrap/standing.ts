/**
 * Owns how this box stands with its owner: the question, what answer counts, when it is asked, and the mark on disk that
 * the agent follows. Does not own the states (service.ts) nor what a mark stops (the agent's plan).
 *
 * Only an answer of the owner's own server counts, judged as strictly as ever (peer.ts) over a connection on which this
 * box proved itself: silence, errors, and whatever is said in MQTT or by a TLS alert are a reason to ask and no more.
 */
import type { z } from 'zod';
import { decodeJson } from '../model/decode.ts';
import { type Owner, Quarantine } from '../model/bootstrap.ts';
import { PING_PATH, QuarantineAnswer, SupersededAnswer } from '../model/deviceApi.ts';
import { BranchboxError } from '../model/errors.ts';
import type { Clock, Files } from '../system/ports.ts';
import {
  type Answer,
  describeStatus,
  type Exchange,
  type Https,
  type PeerJudge,
  refused,
  type TlsIdentity,
} from './https.ts';
import type { Uplink } from './uplink.ts';

const MAX_ANSWER_BYTES = 16 * 1024;
const MAX_MARK_BYTES = 16 * 1024;
/** What no session of the agent tells (MQTT is blocked, or the agent never saw it end): once a day, spread over half of it. */
const LOOK_MS = 24 * 3_600_000;
/** Hints come from a connection that may be lost every second: a handshake costs the controller a millisecond. */
const HINT_GAP_MS = 10_000;

/**
 * Throws bootstrap/quarantined or bootstrap/superseded where the owner says so, bootstrap/refused where it says anything
 * else but yes.
 */
export async function askStanding(options: {
  readonly https: Https;
  readonly owner: Owner;
  readonly peer: PeerJudge;
  readonly uplink: Uplink;
  readonly identity: TlsIdentity;
  readonly signal: AbortSignal;
}): Promise<void> {
  const { https, owner, peer, uplink, identity, signal } = options;
  const exchange: Exchange = {
    server: owner.device,
    uplink,
    identity,
    peer,
    method: 'GET',
    path: PING_PATH,
    accept: 'application/json',
    maxBytes: MAX_ANSWER_BYTES,
  };
  const answer = await https(exchange, signal);
  if (answer.status === 200 || answer.status === 204) return;
  const why = quarantineOf(answer);
  if (why === undefined && isSuperseded(answer)) {
    throw new BranchboxError('bootstrap/superseded', {
      message: "The controller dropped the CA of this box's certificate while the box was away",
      mend: 'nothing: it enrols anew with its factory identity',
    });
  }
  if (why === undefined) throw refused(exchange, describeStatus(answer.status), answer);
  throw new BranchboxError('bootstrap/quarantined', {
    message: `The controller took its trust from this box: ${why}`,
    mend: `an operator takes it back (branchbox fleet release) or puts another box in its place (branchbox fleet replace ${owner.gatewayId})`,
    fields: { why },
  });
}

/** The controller's reason; undefined where it is no such answer. Pure. */
export const quarantineOf = (answer: Refusal): string | undefined =>
  standingOf(QuarantineAnswer, answer)?.message;

const isSuperseded = (answer: Refusal): boolean => standingOf(SupersededAnswer, answer) !== undefined;

type Refusal = Pick<Answer, 'status' | 'contentType' | 'body'>;

function standingOf<S extends z.ZodType>(
  schema: S,
  { status, contentType, body }: Refusal,
): z.output<S> | undefined {
  if (status !== 403 || contentType !== 'application/json') return undefined;
  try {
    return decodeJson(schema, Buffer.from(body).toString('utf8'), 'The answer');
  } catch {
    return undefined;
  }
}

export interface QuarantineMark {
  /** A mark that cannot be read stands all the same: it was meant once. */
  isSet(): Promise<boolean>;
  /** Keeps the time of the first. */
  set(why: string, nowMs: number): Promise<void>;
  clear(): Promise<void>;
}

export function createQuarantineMark(files: Files, path: string): QuarantineMark {
  async function read(): Promise<Quarantine | 'unreadable' | undefined> {
    try {
      const text = await files.readText(path, MAX_MARK_BYTES);
      return text === undefined ? undefined : decodeJson(Quarantine, text, path);
    } catch (thrown) {
      if (thrown instanceof BranchboxError) return 'unreadable';
      throw thrown;
    }
  }
  return {
    isSet: async () => (await read()) !== undefined,
    async set(why, nowMs) {
      const before = await read();
      if (typeof before === 'object' && before.why === why) return;
      const sinceMs = typeof before === 'object' ? before.sinceMs : nowMs;
      const mark: Quarantine = { schema: 1, sinceMs, why: why.slice(0, 1000) };
      await files.writeDurable(path, `${JSON.stringify(mark)}\n`, 0o644);
    },
    clear: () => files.remove(path),
  };
}

/** When a box in service asks how it stands. */
export interface StandingLooks {
  /** Somebody has a reason to think that it changed. */
  hint(): void;
  dueInMs(): number;
  looked(): void;
}

export function createStandingLooks(options: {
  readonly clock: Pick<Clock, 'monotonicMs'>;
  readonly random: () => number;
}): StandingLooks {
  const { clock, random } = options;
  const spread = (): number => LOOK_MS * (0.75 + random() / 2);
  let everyMs = spread();
  let atMs = clock.monotonicMs();
  let hinted = false;
  let hintableAtMs = atMs;
  return {
    hint() {
      hinted = true;
    },
    dueInMs: () => Math.max(0, (hinted ? hintableAtMs : atMs + everyMs) - clock.monotonicMs()),
    looked() {
      atMs = clock.monotonicMs();
      hintableAtMs = atMs + HINT_GAP_MS;
      everyMs = spread();
      hinted = false;
    },
  };
}
