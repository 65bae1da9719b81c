/**
 * Owns using a key that a TPM holds within this process: as a TLS client's, and to sign. Keeps to the three places that
 * a process has in a TPM.
 * Does not own making such keys nor telling why one cannot be used (bootstrap/tpmKeys.ts).
 *
 * The kernel's resource manager gives each open of /dev/tpmrm0 three transient objects (drivers/char/tpm/tpm2-space.c,
 * context_tbl), and no TPM promises more. OpenSSL's provider holds one for as long as OpenSSL holds the key, and two
 * while it loads one (the parent too). Node frees a key only at a garbage collection, which hardly comes on a box at
 * rest: so the last TLS context is kept and used again, and a collection is run before another key is loaded.
 */
import { createPrivateKey, sign } from 'node:crypto';
import { createSecureContext, type SecureContext, type SecureContextOptions } from 'node:tls';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { BranchboxError } from '../model/errors.ts';
import type { Secret } from '../model/secret.ts';

export interface TpmUse {
  /** A context with that key and these options; the same as last time, where they are the same. */
  context(options: SecureContextOptions): SecureContext;
  /** ECDSA with SHA-256, DER. Takes 50 to 200 ms of this thread on a real TPM. */
  sign(pem: Secret, bytes: Uint8Array): Uint8Array;
  /** Loads the key and drops it, and whatever was kept. */
  tryKey(pem: Secret): void;
  /** What was loaded before the TPM failed may be of no use after: the next context is a new one. */
  forget(): void;
}

/** All of it throws system/key-unusable where OpenSSL does not load the key. */
export function createTpmUse(collect: () => void = createCollector()): TpmUse {
  let kept: { readonly id: string; readonly context: SecureContext } | undefined;

  function load<T>(work: () => T): T {
    collect();
    try {
      return work();
    } catch (thrown) {
      throw unusable(thrown);
    }
  }

  return {
    context(options) {
      const id = JSON.stringify(options);
      if (kept?.id !== id) {
        kept = undefined;
        kept = { id, context: load(() => createSecureContext(options)) };
      }
      return kept.context;
    },
    sign: (pem, bytes) => load(() => Uint8Array.from(sign('sha256', bytes, createPrivateKey(pem.reveal())))),
    tryKey(pem) {
      kept = undefined;
      load(() => createPrivateKey(pem.reveal()));
    },
    forget() {
      kept = undefined;
    },
  };
}

/** The collector, which Node hides behind a flag. A run takes some 20 ms in a process of ours. */
function createCollector(): () => void {
  let collector: (() => void) | undefined;
  return () => {
    if (collector === undefined) {
      setFlagsFromString('--expose-gc');
      const found: unknown = runInNewContext('gc');
      if (!isFunction(found))
        throw new BranchboxError('internal', { message: 'Node has no collector to run' });
      collector = found;
    }
    collector();
  };
}
const isFunction = (value: unknown): value is () => void => typeof value === 'function';

/** OpenSSL's words name no key. */
function unusable(thrown: unknown): BranchboxError {
  const words = thrown instanceof Error ? thrown.message : String(thrown);
  return new BranchboxError('system/key-unusable', {
    message: `A key of this box that its TPM holds cannot be used: ${words.slice(0, 200)}`,
    mend: 'it is tried again by itself; branchbox bootstrap status says how it stands with the TPM',
  });
}
