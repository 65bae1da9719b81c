/**
 * Owns the question how this box stands with its owner, and what answer counts. Does not own when it is asked
 * (standingLooks.ts), the mark on disk that follows (quarantineMark.ts), nor the states (service.ts).
 *
 * Only an answer of the owner's own server counts, judged as strictly as ever (peer.ts) over a connection on which this
 * box proved itself: silence, errors, and whatever is said in MQTT or by a TLS alert are a reason to ask and no more.
 */
import type { z } from 'zod';
import { decodeJson } from '../model/decode.ts';
import type { Owner } from '../model/bootstrap.ts';
import { PING_PATH, QuarantineAnswer, SupersededAnswer } from '../model/deviceApi.ts';
import { BranchboxError } from '../model/errors.ts';
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
