/**
 * Owns what a certificate is to the rest of Branchbox, and reading one from DER or PEM.
 * Does not own issuing (issue.ts) nor trust: a parsed certificate is believed only after chain.ts.
 */
import type { KeyObject } from 'node:crypto';

export interface CertificateName {
  readonly commonName: string | undefined;
  /** Attribute 2.5.4.5, not the certificate's own number. */
  readonly serialNumber: string | undefined;
}

export interface Certificate {
  readonly der: Uint8Array;
  readonly pem: string;
  readonly subject: CertificateName;
  readonly issuer: CertificateName;
  /** Names as encoded, for comparing. */
  readonly subjectDer: Uint8Array;
  readonly issuerDer: Uint8Array;
  /** The certificate's number as hexadecimal, lower case, as issued. */
  readonly number: string;
  readonly publicKey: KeyObject;
  readonly spki: Uint8Array;
  /** SHA-256 as lower-case hexadecimal. */
  readonly spkiSha256: string;
  readonly fingerprintSha256: string;
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
  readonly isCa: boolean;
  /** undefined where the certificate has no such extension. */
  readonly keyUsage: readonly KeyUsage[] | undefined;
  readonly extendedKeyUsage: readonly string[] | undefined;
  readonly dnsNames: readonly string[];
  readonly ipAddresses: readonly string[];
  readonly subjectKeyId: Uint8Array | undefined;
  readonly authorityKeyId: Uint8Array | undefined;
}

/** In the order of the bits of RFC 5280 4.2.1.3. */
export const KEY_USAGES = [
  'digitalSignature',
  'nonRepudiation',
  'keyEncipherment',
  'dataEncipherment',
  'keyAgreement',
  'keyCertSign',
  'cRLSign',
  'encipherOnly',
  'decipherOnly',
] as const;
export type KeyUsage = (typeof KEY_USAGES)[number];

/** One certificate from DER, or from PEM that holds exactly one. Throws pki/malformed. */
export declare function parseCertificate(input: Uint8Array | string): Certificate;
/** All certificates of a PEM file, in its order. Throws pki/malformed; an empty file is an empty list. */
export declare function parseCertificates(pem: string): readonly Certificate[];
export declare function toPem(certificates: readonly Certificate[]): string;
