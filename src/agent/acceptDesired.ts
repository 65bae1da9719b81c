/**
 * Owns taking a desired-state message in: signature, signer, content. All before anything changes.
 * Does not own whether it is to be tried (reconcile/trial) nor trying it.
 */
import { tryDecode } from '../model/decode.ts';
import { DESIRED_MAX_BYTES, DesiredState } from '../model/desired.ts';
import { asBranchboxError, type Problem } from '../model/errors.ts';
import type { Certificate } from '../pki/certificate.ts';
import { verifyJws } from '../pki/jws.ts';
import type { RefusedReason } from '../reconcile/trial.ts';
import { digestOf, type HeldState } from './trialStore.ts';

export type Acceptance =
  | { readonly ok: true; readonly held: HeldState }
  | {
      readonly ok: false;
      readonly digest: string;
      readonly reason: RefusedReason;
      readonly problems: readonly Problem[];
    };

/** `atMs`: the signer's validity is judged by this time. */
export async function acceptDesired(
  jws: string,
  options: { readonly anchors: readonly Certificate[]; readonly atMs: number },
): Promise<Acceptance> {
  const digest = digestOf(jws);
  const refuse = (reason: RefusedReason, problems: readonly Problem[]): Acceptance => ({
    ok: false,
    digest,
    reason,
    problems,
  });
  let payload: Uint8Array;
  try {
    ({ payload } = await verifyJws(jws, options));
  } catch (thrown) {
    const error = asBranchboxError(thrown);
    const reason = error.code === 'pki/malformed' ? 'malformed' : 'untrusted';
    const within = error.problems.map(({ path, message }) => ({
      path: path.replace(/^\$/, '$signature'),
      message,
    }));
    return refuse(reason, [{ path: '$signature', message: error.message }, ...within]);
  }
  if (payload.length > DESIRED_MAX_BYTES) {
    return refuse('malformed', [{ path: '$', message: `is larger than ${DESIRED_MAX_BYTES} bytes` }]);
  }
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(payload));
  } catch {
    return refuse('malformed', [{ path: '$', message: 'is not JSON in UTF-8' }]);
  }
  const decoded = tryDecode(DesiredState, value);
  if (!decoded.ok) return refuse('malformed', decoded.problems);
  const { epoch, generation } = decoded.value;
  return { ok: true, held: { id: { epoch, generation, digest }, state: decoded.value, jws } };
}
