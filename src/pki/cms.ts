/**
 * Owns CMS (RFC 5652): signed data with its content inside, and certs-only messages.
 * Does not own what a content means.
 */
import type { Certificate } from './certificate.ts';
import type { Credential } from './issue.ts';

export interface SignedContent {
  readonly contentType: string;
  readonly content: Uint8Array;
  readonly signer: Certificate;
  /** Leaf first, anchor last. */
  readonly path: readonly Certificate[];
}

/** DER. Holds the signer's certificate and its chain. */
export declare function signData(options: {
  readonly contentType: string;
  readonly content: Uint8Array;
  readonly signer: Credential;
  readonly signingTimeMs?: number;
}): Uint8Array;
/** Signature, content type and chain, or a BranchboxError. Accepts BER as others write it. */
export declare function verifySignedData(
  der: Uint8Array,
  options: {
    readonly contentTypes: readonly string[];
    readonly anchors: readonly Certificate[];
    readonly atMs: number | ((content: Uint8Array) => number);
    readonly extendedKeyUsage?: string;
    /** Certificates that came beside the message (the owner certificate of RFC 8572). */
    readonly certificates?: readonly Certificate[];
    readonly maxBytes?: number;
  },
): Promise<SignedContent>;
/** For EST's cacerts and simpleenroll (RFC 7030 4.1.3) and RFC 8572's owner certificate. DER. */
export declare function certsOnly(certificates: readonly Certificate[]): Uint8Array;
export declare function parseCertsOnly(der: Uint8Array): readonly Certificate[];
