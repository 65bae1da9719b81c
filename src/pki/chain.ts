/**
 * Owns the decision whether a certificate chains to an anchor (RFC 5280 6), at a time that the caller names.
 * Does not own revocation, nor reading certificates.
 *
 * Two opinions must agree. Here: bounded path building, signatures, CA bits, path length, usages, names, policies, dates.
 * pkijs: the same again over the one path found. Its own path building is not used: two CAs that certify each other send it
 * round in circles, it never looks at path lengths, and its verdict on policies is wrong both ways.
 */
import { X509Certificate } from 'node:crypto';
import { BranchboxError } from '../model/errors.ts';
import { type Certificate, isSelfIssued, type KeyUsage, sameCertificate } from './certificate.ts';
import { findMisnamed } from './nameConstraints.ts';
import { OID } from './oids.ts';
import { toPkijs } from './pkijsCertificate.ts';
import { policyProblem } from './policies.ts';
import { keyProblem } from './signatureAlgorithm.ts';

export interface ChainOptions {
  readonly leaf: Certificate;
  /** Untrusted: what came along. */
  readonly intermediates: readonly Certificate[];
  /** Each is trusted as it is; it need not be self-signed. */
  readonly anchors: readonly Certificate[];
  /** The clock is never read here: before the clock floor is known it would lie. */
  readonly atMs: number;
  /**
   * A usage that the leaf itself must name (`anyExtendedKeyUsage` or none at all will not do), or `unrestricted`:
   * the leaf must name none or `anyExtendedKeyUsage`, so that a certificate issued for TLS alone signs nothing else.
   */
  readonly extendedKeyUsage?: string;
  /** Takes a leaf that names no usage at all, and so is for any (RFC 5280 4.2.1.12), if it names a host and is no CA. */
  readonly takesUnnamedUsage?: boolean;
}

export const UNRESTRICTED = 'unrestricted';
/** As `unrestricted`, for a leaf that is a CA: its key usage must allow signing certificates instead. */
export const CERTIFICATION = 'certification';

/** Leaf and anchor included. The field's hierarchies have three levels; each more costs signature checks. */
const MAX_PATH = 6;
/** Beside the one that is validated. */
export const MAX_CERTIFICATES = 16;

const UNDERSTOOD: ReadonlySet<string> = new Set([
  OID.basicConstraints,
  OID.keyUsage,
  OID.extendedKeyUsage,
  OID.subjectAltName,
  OID.subjectKeyIdentifier,
  OID.authorityKeyIdentifier,
  OID.nameConstraints,
  OID.certificatePolicies,
  OID.policyMappings,
  OID.policyConstraints,
  OID.inhibitAnyPolicy,
]);

/** Leaf first, anchor last. Throws pki/untrusted, or pki/expired when the time alone is wrong. */
export async function validateChain(options: ChainOptions): Promise<readonly Certificate[]> {
  const { leaf, atMs } = options;
  const problems: string[] = [];
  let expired: string | undefined;
  for (const path of pathsOf(options)) {
    const problem = problemOf(path, options);
    const dates = datesOf(path, atMs);
    // Dates are judged last and apart, so that "expired" is only said of what is trusted otherwise.
    const checkedAtMs = dates === undefined ? atMs : Math.max(...path.map((one) => one.notBeforeMs));
    const second = problem ?? (await secondOpinion(path, checkedAtMs));
    if (second !== undefined) problems.push(second);
    else if (dates !== undefined) expired = dates;
    else return path;
  }
  const who = describe(leaf);
  if (expired !== undefined) {
    throw new BranchboxError('pki/expired', {
      message: `The chain of ${who} is not valid at that time: ${expired}`,
    });
  }
  const reason = problems[0] ?? 'no path leads from it to an anchor that must be used';
  throw new BranchboxError('pki/untrusted', {
    message: `The certificate of ${who} is not trusted: ${reason}`,
    // It is of another authority altogether: what that means is the caller's to say.
    fields: { foreign: problems.length === 0 },
  });
}

export function describe(certificate: Certificate): string {
  const { commonName, serialNumber } = certificate.subject;
  return `"${commonName ?? serialNumber ?? certificate.number}"`;
}

/** All ways from the leaf to an anchor, anchors tried first; each certificate once a path. */
function* pathsOf({ leaf, intermediates, anchors }: ChainOptions): Generator<readonly Certificate[]> {
  if (anchors.some((anchor) => sameCertificate(anchor, leaf))) {
    yield [leaf];
    return;
  }
  if (intermediates.length > MAX_CERTIFICATES) {
    throw new BranchboxError('pki/untrusted', {
      message: `${intermediates.length} certificates came along, more than ${MAX_CERTIFICATES} are not looked at`,
    });
  }
  yield* extend([leaf]);

  function* extend(path: readonly Certificate[]): Generator<readonly Certificate[]> {
    const last = path.at(-1);
    if (last === undefined || path.length >= MAX_PATH) return;
    for (const anchor of anchors) if (issued(anchor, last)) yield [...path, anchor];
    for (const candidate of intermediates) {
      if (path.some((one) => Buffer.from(one.spki).equals(candidate.spki))) continue;
      if (candidate.isCa && issued(candidate, last)) yield* extend([...path, candidate]);
    }
  }
}

function issued(issuer: Certificate, subject: Certificate): boolean {
  if (!Buffer.from(issuer.subjectDer).equals(subject.issuerDer)) return false;
  const { authorityKeyId } = subject;
  const { subjectKeyId } = issuer;
  if (authorityKeyId !== undefined && subjectKeyId !== undefined) {
    if (!Buffer.from(authorityKeyId).equals(subjectKeyId)) return false;
  }
  try {
    return new X509Certificate(subject.der).verify(issuer.publicKey);
  } catch {
    return false;
  }
}

type WantedUsage = Pick<ChainOptions, 'extendedKeyUsage' | 'takesUnnamedUsage'>;

function problemOf(path: readonly Certificate[], wanted: WantedUsage): string | undefined {
  const { extendedKeyUsage: usage } = wanted;
  const [leaf] = path;
  if (leaf === undefined) return 'the path is empty';
  if (leaf.keyUsage !== undefined && !usagesFor(usage).some((one) => leaf.keyUsage?.includes(one))) {
    return usage === CERTIFICATION
      ? 'its key usage does not allow certificates'
      : 'its key usage does not allow signatures';
  }
  for (const [depth, certificate] of path.entries()) {
    const problem = linkProblem(certificate, depth, path, wanted);
    if (problem !== undefined) return problem;
  }
  try {
    const misnamed = findMisnamed(path);
    if (misnamed !== undefined)
      return `${describe(misnamed)} has a name that a CA above it may not give (name constraints, RFC 5280 4.2.1.10)`;
    return policyProblem(path);
  } catch (thrown) {
    if (!(thrown instanceof BranchboxError)) throw thrown;
    return thrown.message;
  }
}

/** Key usages of a leaf, of which one is enough. Of who signs documents either is (RFC 8550 4.4.2); the other does no TLS. */
function usagesFor(usage: string | undefined): readonly KeyUsage[] {
  if (usage === CERTIFICATION) return ['keyCertSign'];
  return usage === UNRESTRICTED ? ['digitalSignature', 'nonRepudiation'] : ['digitalSignature'];
}

function linkProblem(
  certificate: Certificate,
  depth: number,
  path: readonly Certificate[],
  { extendedKeyUsage: usage, takesUnnamedUsage }: WantedUsage,
): string | undefined {
  const who = describe(certificate);
  const unknown = certificate.criticalExtensions.find((id) => !UNDERSTOOD.has(id));
  if (unknown !== undefined) return `${who} has the critical extension ${unknown}, which is not understood`;
  // An anchor is trusted as it is: who signed it, and how, is not asked (RFC 5280 6.1.1 d).
  const { signatureAlgorithm } = certificate;
  const issuer = path[depth + 1];
  if (issuer !== undefined) {
    const reason =
      typeof signatureAlgorithm === 'string'
        ? signatureAlgorithm
        : keyProblem(issuer.publicKey, signatureAlgorithm);
    if (reason !== undefined) return `${who} ${reason}`;
  }
  const usages = certificate.extendedKeyUsage;
  const isHost = !certificate.isCa && certificate.dnsNames.length + certificate.ipAddresses.length > 0;
  if (depth === 0 && usages === undefined && takesUnnamedUsage === true && isHost) return undefined;
  if (depth === 0) return leafUsageProblem(usages, usage === CERTIFICATION ? UNRESTRICTED : usage);
  if (!certificate.isCa) return `${who} is no CA, yet it issued a certificate`;
  if (certificate.keyUsage !== undefined && !certificate.keyUsage.includes('keyCertSign')) {
    return `${who} may not sign certificates by its key usage`;
  }
  // Between this CA and the leaf. A CA's link to its own next key does not count (RFC 5280 6.1.4 l).
  const below = path.slice(1, depth).filter((one) => !isSelfIssued(one)).length;
  if (certificate.pathLength !== undefined && below > certificate.pathLength) {
    return `${who} allows ${certificate.pathLength} CAs below it, there are ${below}`;
  }
  if (!isForAny(usages) && usage !== undefined && usages?.includes(usage) !== true) {
    return `${who} is a CA for other usages only`;
  }
  return undefined;
}

/** RFC 5280 4.2.1.12: who does not wish to restrict a key says so, or has no such extension. */
const isForAny = (usages: readonly string[] | undefined): boolean =>
  usages === undefined || usages.includes(OID.anyExtendedKeyUsage);

function leafUsageProblem(
  usages: readonly string[] | undefined,
  wanted: string | undefined,
): string | undefined {
  if (wanted === undefined) return undefined;
  if (wanted === UNRESTRICTED) {
    return isForAny(usages)
      ? undefined
      : `it is issued for other usages only (extended key usage ${usages?.join(', ') ?? ''})`;
  }
  return usages?.includes(wanted) === true ? undefined : `it does not carry the extended key usage ${wanted}`;
}

function datesOf(path: readonly Certificate[], atMs: number): string | undefined {
  for (const certificate of path) {
    if (atMs < certificate.notBeforeMs) {
      return `${describe(certificate)} begins ${new Date(certificate.notBeforeMs).toISOString()}`;
    }
    if (atMs > certificate.notAfterMs) {
      return `${describe(certificate)} ended ${new Date(certificate.notAfterMs).toISOString()}`;
    }
  }
  return undefined;
}

async function secondOpinion(path: readonly Certificate[], atMs: number): Promise<string | undefined> {
  if (path.length === 1) return undefined;
  // Imported where used: it costs 70 ms and 19 MB that most commands need not pay.
  const pkijs = await import('pkijs');
  try {
    const line = path.map((certificate) => {
      const shown = toPkijs(pkijs, certificate);
      // policies.ts judges those. The signature is over the bytes as they were.
      const rest = shown.extensions?.filter(({ extnID }) => !certificate.policyExtensions.has(extnID));
      if (rest !== undefined) shown.extensions = rest;
      return shown;
    });
    const anchor = line.slice(-1);
    const engine = new pkijs.CertificateChainValidationEngine({
      trustedCerts: anchor,
      certs: line.slice(0, -1).reverse(),
      checkDate: new Date(atMs),
      findIssuer: async (certificate) => {
        const issuer = line[line.indexOf(certificate) + 1];
        return issuer !== undefined && (await certificate.verify(issuer)) ? [issuer] : [];
      },
    });
    const result = await engine.verify();
    return result.result ? undefined : result.resultMessage;
  } catch (cause) {
    return cause instanceof Error ? cause.message : 'the path cannot be read';
  }
}
