/**
 * Owns the ownership voucher (RFC 8366) as CMS-signed JSON: making one, and all checks a box does on one.
 * Does not own who gets one (the manufacturer decides) nor the clock floor (bootstrap/clockFloor).
 */
import { z } from 'zod';
import { decodeJson } from '../model/decode.ts';
import { BranchboxError, type Problem } from '../model/errors.ts';
import { DateAndTime, momentOf } from '../model/dateAndTime.ts';
import { yangBinary } from '../model/yangBinary.ts';
import { fromBase64, toBase64 } from './base64.ts';
import { type Certificate, parseCertificate } from './certificate.ts';
import { UNRESTRICTED } from './chain.ts';
import { signData } from './cms.ts';
import { verifySignedData } from './cmsVerify.ts';
import { decode, malformed } from './der.ts';
import { TAG } from './derRead.ts';
import { readAuthorityKeyId } from './extensionRead.ts';
import type { Credential } from './issue.ts';
import { OID } from './oids.ts';

/** RFC 8366 8.3. */
export const VOUCHER_MEDIA_TYPE = 'application/voucher-cms+json';
export const ASSERTIONS = ['verified', 'logged', 'proximity'] as const;
export type Assertion = (typeof ASSERTIONS)[number];

export interface Voucher {
  readonly serialNumber: string;
  readonly assertion: Assertion;
  readonly createdOnMs: number;
  readonly expiresOnMs: number | undefined;
  readonly nonce: Uint8Array | undefined;
  /** Key identifier of the IDevID's issuer. */
  readonly idevidIssuer: Uint8Array | undefined;
  readonly pinnedDomainCert: Certificate;
  /** The manufacturer demands that whoever takes it looks up whether that certificate was revoked. */
  readonly demandsRevocationChecks?: boolean;
}

export interface VoucherExpectation {
  readonly serialNumber: string;
  /** authorityKeyId of the box's IDevID. A voucher may leave it out; one that names it must name this. */
  readonly idevidIssuer: Uint8Array | undefined;
  /** The nonce sent. undefined: only a nonceless voucher (USB, metadata) is wanted. */
  readonly nonce: Uint8Array | undefined;
}

/** RFC 8366 5.3: nonce of 8 to 32 octets. */
export const NONCE_BYTES = { min: 8, max: 32 };
/** One of ours has 2 KB; with a chain of RSA 8192, or another voucher inside, ten times that. The dearest 64 take 0.2 s. */
const MAX_VOUCHER_BYTES = 32 * 1024;

const Base64 = yangBinary(16 * 1024);

/**
 * Other leaves are passed over: RFC 8995 and others augment the model, and last-renewal-date "is not processed" (RFC 8366 5.3). An
 * assertion must be known to be acceptable before anything of a voucher is used (the same), so a newer one is refused.
 */
const VoucherDocument = z.object({
  'ietf-voucher:voucher': z.object({
    'created-on': DateAndTime,
    'expires-on': DateAndTime.optional(),
    assertion: z.enum(
      ASSERTIONS,
      `none of ${ASSERTIONS.join(', ')}, which alone are acceptable here (RFC 8366 5.3)`,
    ),
    'serial-number': z.string().min(1).max(256),
    'idevid-issuer': Base64.optional(),
    'pinned-domain-cert': Base64,
    'domain-cert-revocation-checks': z
      .boolean('neither true nor false, which stand without quotes (RFC 7951 6.3)')
      .optional(),
    nonce: Base64.optional(),
  }),
});

/** A voucher with a nonce has no expiry and the other way round (RFC 8366 5.3). CMS, DER. */
export function createVoucher(options: {
  readonly voucher: Voucher;
  readonly signer: Credential;
}): Uint8Array {
  const { voucher, signer } = options;
  if ((voucher.nonce === undefined) === (voucher.expiresOnMs === undefined)) {
    throw new BranchboxError('pki/mismatch', {
      message: 'A voucher has either a nonce or an expiry, and one of them (RFC 8366 5.3)',
    });
  }
  if (voucher.nonce !== undefined && !isNonce(voucher.nonce)) {
    throw malformed(`A nonce has ${NONCE_BYTES.min} to ${NONCE_BYTES.max} bytes (RFC 8366 5.3)`);
  }
  const document: z.input<typeof VoucherDocument> = {
    'ietf-voucher:voucher': {
      'created-on': dateAndTime(voucher.createdOnMs),
      ...(voucher.expiresOnMs === undefined ? {} : { 'expires-on': dateAndTime(voucher.expiresOnMs) }),
      assertion: voucher.assertion,
      'serial-number': voucher.serialNumber,
      ...(voucher.idevidIssuer === undefined ? {} : { 'idevid-issuer': toBase64(voucher.idevidIssuer) }),
      'pinned-domain-cert': toBase64(voucher.pinnedDomainCert.der),
      'domain-cert-revocation-checks': voucher.demandsRevocationChecks ?? false,
      ...(voucher.nonce === undefined ? {} : { nonce: toBase64(voucher.nonce) }),
    },
  };
  return signData({
    contentType: OID.voucherJson,
    content: Buffer.from(JSON.stringify(document)),
    signer,
    signingTimeMs: voucher.createdOnMs,
  });
}

/**
 * All problems at once. Throws pki/malformed, pki/untrusted, pki/mismatch or pki/expired.
 * The signer's chain is judged at created-on, or at the floor where that is later: a box whose clock says 1970
 * can judge it, and a key that expired before the floor cannot date itself back.
 */
export async function verifyVoucher(
  der: Uint8Array,
  options: {
    readonly anchors: readonly Certificate[];
    /** No moment before this can be now. */
    readonly floorMs: number;
    readonly expect: VoucherExpectation;
  },
): Promise<Voucher> {
  const { anchors, floorMs, expect } = options;
  const { content } = await verifySignedData(der, {
    contentTypes: [OID.voucherJson],
    anchors,
    atMs: (signed) => Math.max(floorMs, readVoucher(signed).createdOnMs),
    extendedKeyUsage: UNRESTRICTED,
    maxBytes: MAX_VOUCHER_BYTES,
  });
  const voucher = readVoucher(content);
  const mismatches = mismatchesOf(voucher, expect);
  const expiries = expiriesOf(voucher, floorMs);
  if (mismatches.length + expiries.length > 0) {
    throw new BranchboxError(mismatches.length > 0 ? 'pki/mismatch' : 'pki/expired', {
      message: `The voucher for ${voucher.serialNumber} is not for this box now`,
      problems: [...mismatches, ...expiries],
    });
  }
  return voucher;
}

/** What a voucher says, its signature not looked at: for showing one, never for acting on it. */
export function readVoucher(content: Uint8Array): Voucher {
  const what = 'A voucher';
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(content);
  } catch (cause) {
    throw malformed(`${what} is not UTF-8`, cause);
  }
  const document = decodeJson(VoucherDocument, text, what, MAX_VOUCHER_BYTES, 'pki/malformed');
  const fields = document['ietf-voucher:voucher'];
  const nonce = fields.nonce === undefined ? undefined : fromBase64(fields.nonce);
  return {
    serialNumber: fields['serial-number'],
    assertion: fields.assertion,
    createdOnMs: momentOf(fields['created-on']) ?? Number.NaN,
    expiresOnMs: fields['expires-on'] === undefined ? undefined : momentOf(fields['expires-on']),
    nonce,
    idevidIssuer: fields['idevid-issuer'] === undefined ? undefined : fromBase64(fields['idevid-issuer']),
    pinnedDomainCert: parseCertificate(fromBase64(fields['pinned-domain-cert'])),
    demandsRevocationChecks: fields['domain-cert-revocation-checks'] ?? false,
  };
}

function mismatchesOf(voucher: Voucher, expect: VoucherExpectation): readonly Problem[] {
  const problems: Problem[] = [];
  const add = (leaf: string, message: string) => problems.push({ path: `$.${leaf}`, message });
  if (voucher.serialNumber !== expect.serialNumber) {
    add('serial-number', `is ${voucher.serialNumber}, this box is ${expect.serialNumber}`);
  }
  if (voucher.idevidIssuer !== undefined && !namesIssuer(voucher.idevidIssuer, expect.idevidIssuer)) {
    add('idevid-issuer', "is not the issuer of this box's IDevID");
  }
  if (voucher.demandsRevocationChecks === true) {
    // RFC 8366 5.3: MUST be looked up. A box has no list of a domain that it does not know yet: not checked is not good.
    add('domain-cert-revocation-checks', 'asks for a check that a box cannot make');
  }
  if (voucher.nonce !== undefined && voucher.expiresOnMs !== undefined) {
    add('expires-on', 'stands beside a nonce (RFC 8366 5.3)');
  }
  if (expect.nonce === undefined) {
    if (voucher.nonce !== undefined) add('nonce', 'answers a request that was not made here');
    if (voucher.expiresOnMs === undefined) add('expires-on', 'is missing from a voucher without a nonce');
  } else if (voucher.nonce === undefined) {
    add('nonce', 'is missing: the voucher may be an old one');
  } else if (!isNonce(voucher.nonce) || !sameBytes(voucher.nonce, expect.nonce)) {
    add('nonce', 'is not the one that was sent');
  }
  if (voucher.expiresOnMs !== undefined && voucher.expiresOnMs <= voucher.createdOnMs) {
    add('expires-on', 'is not after created-on');
  }
  return problems;
}

function expiriesOf(voucher: Voucher, floorMs: number): readonly Problem[] {
  if (voucher.expiresOnMs === undefined || voucher.expiresOnMs > floorMs) return [];
  const ended = dateAndTime(voucher.expiresOnMs);
  return [{ path: '$.expires-on', message: `was ${ended}, and it is ${dateAndTime(floorMs)} at least` }];
}

/**
 * RFC 8366 calls this "the Authority Key Identifier OCTET STRING", which is read in several ways in the field: the key identifier
 * alone (what we write) or the whole AuthorityKeyIdentifier, which may also name the issuer's certificate; each as it is or within
 * the OCTET STRING that it stands in. The key is what counts.
 */
function namesIssuer(named: Uint8Array, issuer: Uint8Array | undefined): boolean {
  if (issuer === undefined) return false;
  if (sameBytes(named, issuer)) return true;
  try {
    const node = decode(named);
    const isWithin = node.tag === TAG.octets;
    if (isWithin && sameBytes(node.content, issuer)) return true;
    const keyId = readAuthorityKeyId(isWithin ? decode(node.content) : node);
    return keyId !== undefined && sameBytes(keyId, issuer);
  } catch (thrown) {
    if (!(thrown instanceof BranchboxError)) throw thrown;
    return false;
  }
}

const isNonce = (nonce: Uint8Array): boolean =>
  nonce.length >= NONCE_BYTES.min && nonce.length <= NONCE_BYTES.max;
const sameBytes = (left: Uint8Array, right: Uint8Array): boolean => Buffer.from(left).equals(right);
/** Seconds: yang:date-and-time allows fractions, not every reader does. */
const dateAndTime = (atMs: number): string => new Date(atMs).toISOString().replace(/\.\d{3}Z$/, 'Z');
