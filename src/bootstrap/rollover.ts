/**
 * Owns which CAs of its owner a box believes while the owner changes from one to the next: what the enrolment server
 * offers beside the CA that the voucher pinned, judged by that one's signature. Does not own fetching (est.ts)
 * nor the owner's record (anchorLearn.ts, anchorDrop.ts).
 *
 * RFC 7030 4.1.3 and RFC 4210 4.4: `cacerts` holds the new CA and NewWithOld, the new key certified by the old one. That
 * the server proved itself is not enough: its key is not the CA's.
 */
import type { Certificate } from '../pki/certificate.ts';
import { isSelfIssued, sameCertificate } from '../pki/certificate.ts';
import { CERTIFICATION, validateChain } from '../pki/chain.ts';
import { OID } from '../pki/oids.ts';

/**
 * None is dropped: what an old CA signed (the committed desired state) is judged at the time when it was taken, and one
 * that ended vouches for nothing after that. A CA lives for decades, so this many are a mistake or an attack.
 */
const MAX_ANCHORS = 4;

/** Those of before, then those that one of them vouches for. Never fails: what is not vouched for is not taken. */
export async function anchorsAfter(options: {
  readonly anchors: readonly Certificate[];
  /** Untrusted. */
  readonly offered: readonly Certificate[];
  readonly atMs: number;
}): Promise<readonly Certificate[]> {
  const { anchors, offered, atMs } = options;
  const after = [...anchors];
  for (const next of offered) {
    if (after.length >= MAX_ANCHORS) break;
    const isNew = !after.some((anchor) => sameCertificate(anchor, next) || sameKeyAs(anchor, next));
    if (!isNew || !isRoot(next) || atMs < next.notBeforeMs || atMs > next.notAfterMs) continue;
    const links = offered.filter((link) => isLinkTo(link, next));
    for (const link of links) {
      // By those of before alone: two new ones do not vouch for each other.
      if (await isVouchedFor(link, anchors, atMs)) {
        after.push(next);
        break;
      }
    }
  }
  return after;
}

const sameBytes = (left: Uint8Array, right: Uint8Array): boolean => Buffer.from(left).equals(right);
const sameKeyAs = (left: Certificate, right: Certificate): boolean => sameBytes(left.spki, right.spki);
const isRoot = (certificate: Certificate): boolean => certificate.isCa && isSelfIssued(certificate);

/**
 * A CA below another one must not become a root by signing itself. It has a limit on its path, its names or its policies, or is no
 * CA for this, and never its issuer's own name: a link with that is by the same CA (RFC 5280 3.2), which may have a limit as roots
 * have one.
 */
const isLinkTo = (link: Certificate, next: Certificate): boolean =>
  !sameCertificate(link, next) &&
  link.isCa &&
  (link.pathLength === undefined || (isSelfIssued(link) && isWithin(next, link.pathLength))) &&
  (isSelfIssued(link) || !isNarrowed(link)) &&
  sameKeyAs(link, next) &&
  sameBytes(link.subjectDer, next.subjectDer);

/** What an anchor says of that itself binds nobody (RFC 5280 6.1.1 d). */
const isNarrowed = ({ nameConstraintsDer, policyExtensions }: Certificate): boolean =>
  nameConstraintsDer !== undefined || NARROWING.some((id) => policyExtensions.has(id));
const NARROWING = [OID.policyConstraints, OID.policyMappings, OID.inhibitAnyPolicy];

/** Not for more than what was certified. */
const isWithin = ({ pathLength }: Certificate, certified: number): boolean =>
  pathLength !== undefined && pathLength <= certified;

async function isVouchedFor(
  link: Certificate,
  anchors: readonly Certificate[],
  atMs: number,
): Promise<boolean> {
  try {
    await validateChain({
      leaf: link,
      intermediates: [],
      anchors,
      atMs,
      extendedKeyUsage: CERTIFICATION,
    });
    return true;
  } catch {
    return false;
  }
}
