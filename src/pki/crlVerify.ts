/**
 * Owns reading a revocation list (RFC 5280 5 and 6.3) from hostile bytes, believing it only by the signature of a CA that the
 * caller names, and whether one names a certificate. Complete lists alone: a certificate that is not on one counts. The reason of
 * an entry is not read: no reason makes its certificate good.
 * Does not own making one (crl.ts), nor its dates and which of two is newer: who asks knows the time.
 */
import { BranchboxError } from '../model/errors.ts';
import type { Certificate } from './certificate.ts';
import { decode, type DerNode, malformed } from './der.ts';
import {
  certificateNumberOf,
  childrenOf,
  contextTag,
  expectTag,
  readBitString,
  readSmallInteger,
  readTime,
  TAG,
} from './derRead.ts';
import { decodeKnown, type FoundExtension, readAuthorityKeyId, readExtensions } from './extensionRead.ts';
import { describe } from './chain.ts';
import { OID } from './oids.ts';
import { fromPem, REVOCATION_LIST_LABEL, toPemBlock } from './pem.ts';
import { readSignatureAlgorithm, type SignatureAlgorithm, verifySignature } from './signatureAlgorithm.ts';

export interface SignedList {
  readonly der: Uint8Array;
  /** The CA whose certificates it is about: its name as encoded, and its key where the list names that. */
  readonly issuerDer: Uint8Array;
  readonly authorityKeyId: Uint8Array | undefined;
  /** Grows with each list of an issuer (RFC 5280 5.2.3). */
  readonly number: number;
  readonly thisUpdateMs: number;
  readonly nextUpdateMs: number;
  /** Number of a certificate, as Certificate.number, to when it was revoked. */
  readonly revoked: ReadonlyMap<string, number>;
}

/** 10,000 boxes and 1,000 servers, at 60 to 90 bytes. */
const MAX_LIST_BYTES = 1024 * 1024;
const KNOWN: ReadonlySet<string> = new Set([OID.authorityKeyIdentifier, OID.crlNumber]);
/** In a rollover there are two. */
const MAX_LISTS = 8;
/** Base64 of them, where each is as long as a list of ours gets. */
export const MAX_LISTS_CHARS = 4 * 1024 * 1024;

/** PEM with one list or some; what they say is believed after verifyRevocationList alone. Throws pki/malformed. */
export function readRevocationLists(pem: string): readonly SignedList[] {
  const ders = fromPem(pem, REVOCATION_LIST_LABEL, MAX_LISTS_CHARS);
  if (ders.length > MAX_LISTS)
    throw malformed(`${ders.length} revocation lists came, more than ${MAX_LISTS}`);
  return ders.map((der) => readParts(der).list);
}

export const renderRevocationLists = (lists: readonly SignedList[]): string =>
  lists.map(({ der }) => toPemBlock(REVOCATION_LIST_LABEL, der)).join('');

/** Throws pki/untrusted where none of these CAs signed it, pki/malformed where it is none. */
export function verifyRevocationList(der: Uint8Array, cas: readonly Certificate[]): SignedList {
  const { list, signed, algorithm, signature } = readParts(der);
  if (typeof algorithm === 'string') throw untrusted(`it ${algorithm}`);
  const issuers = cas.filter((ca) => isListOf(list, ca));
  if (issuers.length === 0) throw untrusted('none of the CAs that are believed is its issuer');
  const isSigned = issuers.some(
    ({ publicKey, keyUsage, isCa }) =>
      isCa &&
      (keyUsage === undefined || keyUsage.includes('cRLSign')) &&
      isGood(() => verifySignature(algorithm, signed, publicKey, signature)),
  );
  if (!isSigned) throw untrusted('its signature is not of its issuer');
  return list;
}

/** By name, and by key where both say which. Pure. */
export function isListOf(
  list: Pick<SignedList, 'issuerDer' | 'authorityKeyId'>,
  ca: Pick<Certificate, 'subjectDer' | 'subjectKeyId'>,
): boolean {
  if (!Buffer.from(list.issuerDer).equals(ca.subjectDer)) return false;
  const { authorityKeyId } = list;
  return (
    authorityKeyId === undefined ||
    ca.subjectKeyId === undefined ||
    Buffer.from(authorityKeyId).equals(ca.subjectKeyId)
  );
}

/**
 * Throws pki/untrusted where one of these lists names the leaf. `path`: leaf first, as validateChain found it. A list of any CA
 * on it counts: an owner's lists have the same entries, whichever of its CAs made them, so that in a rollover a box that knows
 * one CA alone knows what the other one revoked.
 */
export function refuseRevoked(who: string, path: readonly Certificate[], lists: readonly SignedList[]): void {
  const [leaf, ...cas] = path;
  if (leaf === undefined) return;
  for (const list of lists) {
    const revokedAtMs = list.revoked.get(leaf.number);
    if (revokedAtMs === undefined || !cas.some((ca) => isListOf(list, ca))) continue;
    throw new BranchboxError('pki/untrusted', {
      message: `${who} showed the certificate ${describe(leaf)} that its owner revoked ${new Date(revokedAtMs).toISOString().slice(0, 10)}: whoever has its key may be answering in the place of the controller`,
      mend: 'find out who answers there: a controller whose certificate was revoked has another one since, or makes it at its start',
    });
  }
}

interface Parts {
  readonly list: SignedList;
  readonly signed: Uint8Array;
  readonly algorithm: SignatureAlgorithm | string;
  readonly signature: Uint8Array;
}

function readParts(der: Uint8Array): Parts {
  const what = 'Revocation list';
  const [body, algorithm, signature, ...more] = childrenOf(decode(der, MAX_LIST_BYTES), TAG.sequence, what);
  const fields = [...childrenOf(body, TAG.sequence, what)];
  if (more.length > 0) throw malformed(`${what} has more than a body and its signature`);
  // RFC 5280 5.1.2.1: without a version it has no extensions, and so no number.
  if (readSmallInteger(fields.shift(), what) !== 1) throw malformed('A revocation list is not version 2');
  const [inner, issuer, thisUpdate, nextUpdate, ...rest] = fields;
  if (algorithm === undefined || inner === undefined || !Buffer.from(inner.bytes).equals(algorithm.bytes)) {
    throw malformed(`${what} names two different signature algorithms (RFC 5280 5.1.1.2)`);
  }
  const entries = rest[0]?.tag === TAG.sequence ? rest.shift()?.children : [];
  const extensions = decodeKnown(
    readUncritical(childrenOf(rest.shift(), contextTag(0), what)[0], what),
    KNOWN,
  );
  if (rest.length > 0) throw malformed(`${what} has fields that it does not have (RFC 5280 5.1)`);
  const times = {
    thisUpdateMs: readTime(thisUpdate, 'thisUpdate'),
    nextUpdateMs: readTime(nextUpdate, 'nextUpdate'),
  };
  if (times.nextUpdateMs < times.thisUpdateMs) throw malformed(`${what} ends before it begins`);
  const revoked = new Map<string, number>();
  for (const entry of entries ?? []) {
    const { number, revokedAtMs } = readEntry(entry);
    revoked.set(number, revokedAtMs);
  }
  const keyId = extensions.get(OID.authorityKeyIdentifier);
  const list: SignedList = {
    der,
    issuerDer: expectTag(issuer, TAG.sequence, 'Issuer of a revocation list').bytes,
    authorityKeyId: keyId && readAuthorityKeyId(keyId),
    number: readSmallInteger(extensions.get(OID.crlNumber), 'Number of a revocation list'),
    ...times,
    revoked,
  };
  return {
    list,
    signed: expectTag(body, TAG.sequence, what).bytes,
    algorithm: readSignatureAlgorithm(algorithm),
    signature: readBitString(signature, 'Signature of a revocation list'),
  };
}

function readEntry(node: DerNode): { readonly number: string; readonly revokedAtMs: number } {
  const what = 'Revoked certificate';
  const [number, revokedAt, extensions, ...more] = childrenOf(node, TAG.sequence, what);
  if (more.length > 0) throw malformed(`${what} has fields that it does not have (RFC 5280 5.1.2.6)`);
  // A critical one (certificateIssuer) would make it the certificate of another CA.
  if (extensions !== undefined) readUncritical(extensions, what);
  return {
    number: certificateNumberOf(number, what),
    revokedAtMs: readTime(revokedAt, what),
  };
}

/** Any critical one is not understood: a list that is not complete, or not of one CA, says so (RFC 5280 5.2.4, 5.2.5). */
function readUncritical(node: DerNode | undefined, what: string): readonly FoundExtension[] {
  const found = readExtensions(node, `Extensions of ${what}`);
  const critical = found.find(({ isCritical }) => isCritical);
  if (critical === undefined) return found;
  throw malformed(`${what} has the critical extension ${critical.id}, which is not understood`);
}

/** Node throws where a signature is none at all. */
function isGood(verified: () => boolean): boolean {
  try {
    return verified();
  } catch {
    return false;
  }
}

const untrusted = (why: string): BranchboxError =>
  new BranchboxError('pki/untrusted', {
    message: `The revocation list is not believed: ${why}`,
    mend: 'see whether the signer still has the CA that boxes know: one that was made anew is believed by no box from before',
  });
