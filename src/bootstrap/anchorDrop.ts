/**
 * Owns the end of a CA rollover on the box: an anchor that the owner no longer offers is dropped, once the box's own certificate
 * does not chain to it any more. Does not own taking the next one (anchorLearn.ts).
 *
 * That the owner's server proved itself is enough here, though not for a new anchor: dropping takes only what the box does
 * not need, and whoever has that server's key can do worse (standing.ts).
 */
import type { Owner } from '../model/bootstrap.ts';
import { type Certificate, parseCertificates, sameCertificate, toPem } from '../pki/certificate.ts';
import { validateChain } from '../pki/chain.ts';
import type { StateContext } from './context.ts';
import type { TlsIdentity } from './https.ts';
import { overUplinks } from './overUplinks.ts';
import { proveStrictly } from './ownerProof.ts';
import { estOf } from './ownerServers.ts';

/** The anchors that the owner still offers; all of them where it offers none, since that must be a mistake. Pure. */
export function anchorsOffered(
  anchors: readonly Certificate[],
  offered: readonly Certificate[],
): readonly Certificate[] {
  const kept = anchors.filter((anchor) => offered.some((one) => sameCertificate(one, anchor)));
  return kept.length === 0 ? anchors : kept;
}

/** Resolves to the owner's record afterwards. `identity`: the box's certificate. Throws where the owner cannot be asked. */
export async function dropAnchors(
  context: StateContext,
  owner: Owner,
  identity: TlsIdentity,
  signal: AbortSignal,
): Promise<Owner> {
  const { owners, uplinks, log } = context;
  const anchors = parseCertificates(owner.domainAnchorPem);
  // Only in a rollover is there anything to ask for.
  if (anchors.length < 2) return owner;
  const offered = await overUplinks(await uplinks.all(), (uplink) =>
    estOf(context, owner).cacerts(uplink, identity, signal),
  );
  const kept = anchorsOffered(anchors, offered);
  if (kept.length === anchors.length || !(await standsOn(identity, kept))) return owner;
  const next: Owner = { ...owner, domainAnchorPem: toPem(kept) };
  // First both servers prove themselves by the remaining anchors alone: a box must not lock itself out.
  await proveStrictly(context, next, identity, signal);
  await overUplinks(await uplinks.all(), (uplink) => estOf(context, next).cacerts(uplink, identity, signal));
  await owners.writeFinal(next);
  for (const { fingerprintSha256 } of anchors.filter((anchor) => !kept.includes(anchor))) {
    log.warn('a domain CA that the owner offers no more is dropped', { fingerprintSha256 });
  }
  return next;
}

/** Whether the box's own certificate chains to one of them, whether or not it has expired. */
async function standsOn(identity: TlsIdentity, anchors: readonly Certificate[]): Promise<boolean> {
  const [leaf, ...intermediates] = parseCertificates(identity.certificatePem);
  if (leaf === undefined) return false;
  try {
    await validateChain({ leaf, intermediates, anchors, atMs: leaf.notBeforeMs });
    return true;
  } catch {
    return false;
  }
}
