/**
 * Owns signed desired states: compact JWS (RFC 7515), ES256, certificates in x5c, over the exact bytes.
 * Does not own what the bytes say.
 */
import type { Certificate } from './certificate.ts';
import type { Credential } from './issue.ts';

export interface VerifiedJws {
  readonly payload: Uint8Array;
  readonly signer: Certificate;
}

export declare function signJws(payload: Uint8Array, signer: Credential): string;
/**
 * The signer chains to an anchor at `atMs` and carries our configuration-signing usage.
 * For a committed state `atMs` is when it was accepted: a signer that expired since does not undo it.
 */
export declare function verifyJws(
  jws: string,
  options: { readonly anchors: readonly Certificate[]; readonly atMs: number; readonly maxBytes?: number },
): Promise<VerifiedJws>;
