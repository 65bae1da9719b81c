/**
 * Owns a box's last word to the owner that it left: that the move it was ordered is done. Best effort: the box is the
 * next owner's by then, whatever is answered, and by nobody.
 *
 * Said by the certificate that the owner before gave it, to that owner's own server alone, judged as strictly as ever: so
 * the next owner, who never had that key, can neither say it nor keep it from being said. It names the order and nothing
 * of the next owner. The answer counts for nothing: the owner before has no say any more, not even to quarantine.
 */
import type { Owner } from '../model/bootstrap.ts';
import { MOVED_PATH, type MovedWord } from '../model/deviceApi.ts';
import { BranchboxError } from '../model/errors.ts';
import type { ServiceContext } from './context.ts';
import { describeStatus, type Exchange, refused, type TlsIdentity } from './https.ts';
import { renderProblem } from './renderStatus.ts';
import { overUplinks } from './overUplinks.ts';
import { ownerPeer } from './ownerServers.ts';

const TRIES = 3;
const PAUSE_MS = 2_000;
/** For all of it: an owner before who does not answer must not hold up the journal of the next one's box. */
const LIMIT_MS = 15_000;
const MAX_ANSWER_BYTES = 1024;

/** What is needed to say it; had before the next owner's takes its place on disk, and kept in memory alone. */
export interface Farewell {
  readonly owner: Owner;
  readonly tls: TlsIdentity;
}

/** undefined where the disk has nothing of the owner before any more, or the key cannot be used now. */
export async function prepareFarewell(
  { owners, enrolment, ldevid }: Pick<ServiceContext, 'owners' | 'enrolment' | 'ldevid'>,
  next: Owner,
): Promise<Farewell | undefined> {
  const owner = await owners.read();
  if (owner === undefined || JSON.stringify(owner) === JSON.stringify(next)) return undefined;
  try {
    const identity = await enrolment.read(owner, ldevid);
    return identity === undefined ? undefined : { owner, tls: identity.tls };
  } catch (thrown) {
    if (thrown instanceof BranchboxError) return undefined;
    throw thrown;
  }
}

/** Resolves with undefined once it was taken, else with why not, for people; rejects at the signal alone. */
export async function sayFarewell(
  context: ServiceContext,
  { owner, tls }: Farewell,
  generation: number,
  signal: AbortSignal,
): Promise<string | undefined> {
  const limit = AbortSignal.timeout(LIMIT_MS);
  const within = AbortSignal.any([signal, limit]);
  const word: MovedWord = { generation };
  let problem = '';
  for (let attempt = 1; attempt <= TRIES; attempt += 1) {
    try {
      await overUplinks(await context.uplinks.all(), async (uplink) => {
        const exchange: Exchange = {
          server: owner.device,
          uplink,
          identity: tls,
          peer: ownerPeer(owner, context),
          method: 'POST',
          path: MOVED_PATH,
          accept: 'application/json',
          body: { contentType: 'application/json', text: JSON.stringify(word) },
          maxBytes: MAX_ANSWER_BYTES,
        };
        const answer = await context.https(exchange, within);
        if (answer.status !== 204) throw refused(exchange, describeStatus(answer.status), answer);
      });
      return undefined;
    } catch (thrown) {
      signal.throwIfAborted();
      if (limit.aborted) return `${owner.device.host} did not answer in time`;
      if (!(thrown instanceof BranchboxError)) throw thrown;
      problem = renderProblem(thrown);
      if (thrown.code !== 'bootstrap/unreachable') break;
      if (attempt < TRIES) await context.waker.wait(PAUSE_MS, signal);
    }
  }
  return problem;
}
