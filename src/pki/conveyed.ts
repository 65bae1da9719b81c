/**
 * Owns the signed envelope of RFC 8572's conveyed information and its owner certificate.
 * Does not own the content (redirect or onboarding information: src/model/bootstrap.ts).
 */
import type { Certificate } from './certificate.ts';
import type { Credential } from './issue.ts';

export interface Conveyed {
  readonly format: 'json' | 'xml';
  readonly content: Uint8Array;
  /** undefined where nobody signed it: then only a redirect in it counts (RFC 8572 5.4). */
  readonly owner: Certificate | undefined;
}

export declare function signConveyed(options: {
  readonly content: Uint8Array;
  readonly format: 'json' | 'xml';
  readonly owner: Credential;
}): Uint8Array;
/** Conveyed information that nobody signs: a bare redirect. */
export declare function wrapConveyed(content: Uint8Array, format: 'json' | 'xml'): Uint8Array;
/** The owner-certificate artefact: the owner's certificate and its chain, certs-only CMS. */
export declare function ownerCertificate(owner: Credential): Uint8Array;
/** Signed by the owner certificate, and that chains to the certificate the voucher pinned. */
export declare function verifyConveyed(
  der: Uint8Array,
  options: {
    readonly ownerCertificate: Uint8Array;
    readonly pinnedDomainCert: Certificate;
    readonly atMs: number;
  },
): Promise<Conveyed>;
/** Content of a message whose signature, if any, was not looked at; owner is undefined. */
export declare function readUntrustedConveyed(der: Uint8Array): Promise<Conveyed>;
