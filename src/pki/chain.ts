/**
 * Owns the decision whether a certificate chains to an anchor (RFC 5280 6), at a time that the caller names.
 * Does not own revocation, nor reading certificates.
 */
import type { Certificate } from './certificate.ts';

export interface ChainOptions {
  readonly leaf: Certificate;
  /** Untrusted: what came along. */
  readonly intermediates: readonly Certificate[];
  /** Each is trusted as it is; it need not be self-signed. */
  readonly anchors: readonly Certificate[];
  /** The clock is never read here: before the clock floor is known it would lie. */
  readonly atMs: number;
  /** The leaf must name this usage itself; `anyExtendedKeyUsage` and a missing extension are refused. */
  readonly extendedKeyUsage?: string;
}

/** Leaf first, anchor last. Throws pki/untrusted, or pki/expired when the time alone is wrong. */
export declare function validateChain(options: ChainOptions): Promise<readonly Certificate[]>;
