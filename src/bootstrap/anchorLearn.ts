/**
 * Owns the beginning of a CA rollover on the box: the owner's next CA gets into the owner's record. Does not own which one is
 * believed (rollover.ts) nor dropping the one before (anchorDrop.ts).
 */
import type { Owner } from '../model/bootstrap.ts';
import { type Certificate, parseCertificates, toPem } from '../pki/certificate.ts';
import type { StateContext } from './context.ts';
import { anchorsAfter } from './rollover.ts';

/** On disk before a certificate of the next CA is: the agent reads its anchors from the owner's record. */
export async function learnAnchors(
  context: StateContext,
  owner: Owner,
  offered: readonly Certificate[],
): Promise<Owner> {
  const { owners, clock, log } = context;
  const anchors = parseCertificates(owner.domainAnchorPem);
  const after = await anchorsAfter({ anchors, offered, atMs: clock.nowMs() });
  if (after.length === anchors.length) return owner;
  const next: Owner = { ...owner, domainAnchorPem: toPem(after) };
  if (await owners.isFinal()) await owners.writeFinal(next);
  else await owners.writePending(next);
  for (const anchor of after.slice(anchors.length)) {
    log.warn('the domain CA vouches for its next one, both are trusted now', {
      fingerprintSha256: anchor.fingerprintSha256,
    });
  }
  return next;
}
