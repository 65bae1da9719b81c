/**
 * Owns PKCS#10 certificate requests: making one, and reading one with its self-signature verified.
 * Does not own what becomes of the names asked for: the CA assigns names and takes none from a request.
 */
import type { KeyObject } from 'node:crypto';
import type { CertificateName } from './certificate.ts';

export interface CertificateRequest {
  readonly subject: CertificateName;
  readonly publicKey: KeyObject;
  readonly spki: Uint8Array;
  readonly dnsNames: readonly string[];
  readonly ipAddresses: readonly string[];
  readonly challengePassword: string | undefined;
}

export declare function createRequest(options: {
  readonly key: KeyObject;
  readonly commonName?: string;
  readonly serialNumber?: string;
  readonly dnsNames?: readonly string[];
  readonly ipAddresses?: readonly string[];
}): Uint8Array;
/** DER, or PEM. Throws pki/malformed; pki/untrusted where the signature does not fit the key in it. */
export declare function parseRequest(input: Uint8Array | string): CertificateRequest;
