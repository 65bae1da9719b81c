/**
 * Owns the ownership voucher (RFC 8366) as CMS-signed JSON: making one, and all checks a box does on one.
 * Does not own who gets one (the manufacturer decides) nor the clock floor (bootstrap/clock).
 */
import type { Certificate } from './certificate.ts';
import type { Credential } from './issue.ts';

export type Assertion = 'verified' | 'logged' | 'proximity';

export interface Voucher {
  readonly serialNumber: string;
  readonly assertion: Assertion;
  readonly createdOnMs: number;
  readonly expiresOnMs: number | undefined;
  readonly nonce: Uint8Array | undefined;
  /** Key identifier of the IDevID's issuer. */
  readonly idevidIssuer: Uint8Array | undefined;
  readonly pinnedDomainCert: Certificate;
}

export interface VoucherExpectation {
  readonly serialNumber: string;
  /** authorityKeyId of the box's IDevID. A voucher may leave it out; one that names it must name this. */
  readonly idevidIssuer: Uint8Array | undefined;
  /** The nonce sent. undefined: only a nonceless voucher (USB, metadata) is wanted. */
  readonly nonce: Uint8Array | undefined;
}

/** A voucher with a nonce has no expiry and the other way round (RFC 8366 5.3). CMS, DER. */
export declare function createVoucher(options: {
  readonly voucher: Omit<Voucher, 'pinnedDomainCert'> & { readonly pinnedDomainCert: Certificate };
  readonly signer: Credential;
}): Uint8Array;
/** All problems at once. Throws pki/malformed, pki/untrusted, pki/mismatch or pki/expired. */
export declare function verifyVoucher(
  der: Uint8Array,
  options: {
    readonly anchors: readonly Certificate[];
    /** No moment before this can be now. */
    readonly floorMs: number;
    readonly expect: VoucherExpectation;
  },
): Promise<Voucher>;
