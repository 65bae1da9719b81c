/**
 * Owns the one interface to keys of this box, wherever they are held: made, read back from their PEM, signed with,
 * decrypted with, proved to be usable; in software here, in the TPM where there is one that can (tpmKeys.ts).
 * Does not own where the PEM is kept (factory.ts, enrol.ts), nor TLS (https.ts, system/tpmUse.ts).
 */
import { sign } from 'node:crypto';
import { BranchboxError } from '../model/errors.ts';
import type { KeyHolder, TpmReadiness } from '../model/keyHolder.ts';
import type { Secret } from '../model/secret.ts';
import { type Recipient, recipientOf } from '../pki/keyEncryption.ts';
import { exportPrivateKey, generateKeyPair, importPrivateKey, type Signer } from '../pki/keys.ts';
import { isTpmKey, publicKeyOfTpmKey } from '../pki/tss2.ts';
import type { Logger } from '../system/ports.ts';

export interface DeviceKey extends Signer, Recipient {
  readonly holder: KeyHolder;
  /** As it stands on the disk: PKCS#8, or wrapped by the TPM and worth nothing without it. */
  readonly pem: Secret;
}

export interface DeviceKeys {
  /** Where the next key is made, and why there. */
  readiness(): TpmReadiness['holding'];
  /** In the TPM where that works, else in software; never fails for want of a TPM. */
  make(): Promise<DeviceKey>;
  /** Asks no TPM. Throws pki/malformed. */
  open(pem: Secret): DeviceKey;
  /**
   * That the key can be used, asked once of each. Throws bootstrap/key-lost where it never will be again, or not until
   * the box has its TPM back; system/key-unusable where trying again can help.
   */
  prove(key: DeviceKey): Promise<void>;
  /** The next proof asks the TPM again. */
  doubt(): void;
}

/** Of the box's TPM (tpmKeys.ts). */
export interface TpmKeys {
  /** P-256, `TSS2 PRIVATE KEY` PEM. Throws system/key-unusable with the TPM's words. */
  make(): Promise<Secret>;
  /** ECDSA with SHA-256, DER. Once a certificate: a TPM is slow and serves one at a time. */
  sign(pem: Secret, bytes: Uint8Array): Promise<Uint8Array>;
  /** Throws bootstrap/key-lost where this TPM did not wrap that key, system/key-unusable where trying again can help. */
  prove(pem: Secret): Promise<void>;
}

/** `tpm`: undefined where no key can be held or used by one. */
export function createDeviceKeys(options: {
  readonly readiness: TpmReadiness;
  readonly tpm: TpmKeys | undefined;
  /** A key of the TPM was needed while that did not answer at this process's start. */
  readonly onMissed?: (() => void) | undefined;
  readonly log: Logger;
}): DeviceKeys {
  const { tpm, log } = options;
  let readiness = options.readiness.holding;
  const proved = new Set<string>();

  const missed = (): BranchboxError => {
    if (!options.readiness.mayPass) return lost(readiness.why);
    options.onMissed?.();
    return new BranchboxError('system/key-unusable', {
      message: `A key of this box is held by its TPM. ${readiness.why}`,
      mend: 'this process looks again at its next start, and ends itself for that after some minutes; where that changes nothing, look at the hardware',
    });
  };

  const open: DeviceKeys['open'] = (pem) => {
    if (!isTpmKey(pem)) return softwareKey(pem);
    return {
      holder: 'tpm',
      pem,
      publicKey: publicKeyOfTpmKey(pem),
      sign: async (bytes) => {
        if (tpm === undefined) throw missed();
        return tpm.sign(pem, bytes);
      },
      agree: signsAlone,
      decrypt: signsAlone,
    };
  };

  return {
    readiness: () => readiness,
    open,
    async make() {
      if (tpm !== undefined && readiness.next === 'tpm') {
        try {
          const key = open(await tpm.make());
          // A key that this process cannot use is none, though its TPM made it.
          await tpm.prove(key.pem);
          return key;
        } catch (thrown) {
          if (!(thrown instanceof BranchboxError)) throw thrown;
          // A box without a certificate is worth less than a key in a file. The next start tries the TPM again.
          readiness = {
            next: 'software',
            why: `The TPM made no key: ${thrown.message}`.slice(0, 400),
            unusedTpm: true,
          };
          log.warn('the TPM makes no key, one is made in software', {
            code: thrown.code,
            problem: thrown.message,
          });
        }
      }
      return softwareKey(exportPrivateKey(generateKeyPair().privateKey));
    },
    async prove({ holder, pem }) {
      if (holder === 'software' || proved.has(pem.reveal())) return;
      if (tpm === undefined) throw missed();
      await tpm.prove(pem);
      proved.add(pem.reveal());
    },
    doubt: () => proved.clear(),
  };
}

function softwareKey(pem: Secret): DeviceKey {
  const key = importPrivateKey(pem);
  return {
    holder: 'software',
    pem,
    ...recipientOf(key),
    sign: async (bytes) => Uint8Array.from(sign('sha256', bytes, key)),
  };
}

/** A TPM holds a key to what it was made for (firmware/tpm-make-key), which is TLS and requests. */
const signsAlone = async (): Promise<never> => {
  throw new BranchboxError('pki/mismatch', {
    message:
      'What came is encrypted to the key of this box, which its TPM holds, and which may sign and not decrypt',
    mend: 'have it sent without encryption: what is signed is believed without',
  });
};

const lost = (why: string): BranchboxError =>
  new BranchboxError('bootstrap/key-lost', {
    message: `A key of this box is held by its TPM, which cannot be used: ${why}`,
    mend: 'give the box its TPM back',
  });
