/**
 * Owns a TPM for unit tests: keys that look like those of a real one, which it alone can use. It is held against the
 * real thing by test/lab/tpmKeys.test.ts.
 */
import { sign, type KeyObject } from 'node:crypto';
import type { TpmKeys } from '../../../src/bootstrap/deviceKeys.ts';
import { BranchboxError } from '../../../src/model/errors.ts';
import { Secret } from '../../../src/model/secret.ts';
import { encode, integer, octets, oid, sequence } from '../../../src/pki/der.ts';
import { exportPrivateKey, exportPublicKey, generateKeyPair, publicKeyOf } from '../../../src/pki/keys.ts';
import { toPemBlock } from '../../../src/pki/pem.ts';
import { isTpmKey } from '../../../src/pki/tss2.ts';

export interface FakeTpm extends TpmKeys {
  broken: boolean;
  /** A key of its own as one that TLS can be spoken with here; others as they are. Fails as the TPM would. */
  unwrap(pem: Secret): Promise<Secret>;
  /** Holds a key that was made elsewhere: the PEM of the file that wraps it. */
  hold(key: KeyObject): string;
  /** As the firmware setup does it. */
  clear(): void;
}

export function createFakeTpm(): FakeTpm {
  const held = new Map<string, KeyObject>();
  const unusable = (): BranchboxError =>
    new BranchboxError('system/key-unusable', { message: 'the fake TPM does not answer' });
  const tpm: FakeTpm = {
    broken: false,
    clear: () => held.clear(),
    hold(key) {
      const pem = toPemBlock('TSS2 PRIVATE KEY', wrapped(publicKeyOf(key)));
      held.set(pem, key);
      return pem;
    },
    async unwrap(pem) {
      if (!isTpmKey(pem)) return pem;
      const key = held.get(pem.reveal());
      // What OpenSSL says is the same whatever the reason.
      if (key === undefined || tpm.broken) throw unusable();
      return exportPrivateKey(key);
    },
    async make() {
      if (tpm.broken) throw unusable();
      return new Secret(tpm.hold(generateKeyPair().privateKey));
    },
    async sign(pem, bytes) {
      await tpm.prove(pem);
      const key = held.get(pem.reveal());
      if (key === undefined) throw unusable();
      return Uint8Array.from(sign('sha256', bytes, key));
    },
    async prove(pem) {
      if (tpm.broken) throw unusable();
      if (!held.has(pem.reveal())) {
        throw new BranchboxError('bootstrap/key-lost', { message: 'made by another TPM' });
      }
    },
  };
  return tpm;
}

/** TPMKey of a P-256 key whose private half is nowhere in it. */
function wrapped(publicKey: KeyObject): Uint8Array {
  const point = Buffer.from(exportPublicKey(publicKey)).subarray(-64);
  const area = Buffer.concat([
    Buffer.from('0023000b0006007200000010001000030010', 'hex'),
    Buffer.from('0020', 'hex'),
    point.subarray(0, 32),
    Buffer.from('0020', 'hex'),
    point.subarray(32),
  ]);
  const size = Buffer.alloc(2);
  size.writeUInt16BE(area.length);
  const blob = octets(Buffer.concat([size, area]));
  return encode(sequence(oid('2.23.133.10.1.3'), integer(0x40000001), blob, octets(Buffer.alloc(8, 1))));
}
