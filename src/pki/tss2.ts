/**
 * Owns reading the PEM of a key that a TPM holds (`TSS2 PRIVATE KEY`, as openssl's TPM providers write it): that it is
 * one, and its public half, for which no TPM has to be asked.
 * Does not own using it: only the TPM that wrapped it can (bootstrap/tpmKeys.ts).
 *
 * Format: draft-woodhouse-cert-best-practice, TPMKey; within it TPM2B_PUBLIC, TPM 2.0 Library part 2, 12.2.5.
 */
import type { KeyObject } from 'node:crypto';
import type { Secret } from '../model/secret.ts';
import { decode, malformed } from './der.ts';
import { childrenOf, readOctets, readOid, TAG } from './derRead.ts';
import { importPublicKey } from './keys.ts';
import { fromPem } from './pem.ts';

const LABEL = 'TSS2 PRIVATE KEY';
/** id-loadablekey: wrapped by a storage key of the TPM, so that it takes no handle of its own there. */
const LOADABLE_KEY = '2.23.133.10.1.3';
/** TPM 2.0 Library part 2, 6.3 and 6.4. */
const TPM_ALG = { ecc: 0x0023, null: 0x0010 } as const;
const TPM_ECC_NIST_P256 = 0x0003;
/** TPMA_OBJECT fixedTPM, fixedParent, sensitiveDataOrigin: made in that TPM, and can never leave it. */
const NEVER_LEAVES = 0x32;
const COORDINATE_BYTES = 32;
/** SubjectPublicKeyInfo of P-256 up to the point's coordinates (RFC 5480 2). */
const SPKI_PREFIX = Buffer.from('3059301306072a8648ce3d020106082a8648ce3d03010703420004', 'hex');

export const isTpmKey = (pem: Secret): boolean => pem.reveal().includes(`-----BEGIN ${LABEL}-----`);

/** Throws pki/malformed, also for a key of another kind than this project makes: P-256, made in its TPM. */
export function publicKeyOfTpmKey(pem: Secret): KeyObject {
  const [der] = fromPem(pem.reveal(), LABEL);
  if (der === undefined) throw malformed('There is no key of a TPM in the PEM text');
  const fields = childrenOf(decode(der), TAG.sequence, 'TPM key');
  const type = readOid(fields[0], 'TPM key type');
  if (type !== LOADABLE_KEY) throw malformed(`A key of a TPM is of type ${type}, which is not accepted`);
  // Optional tagged fields stand between type and parent; the two at the end are always there.
  const blob = Buffer.from(readOctets(fields.at(-2), 'TPM public area'));
  let at = 2;
  const take = (count: number): number => {
    if (at + count > blob.length) throw malformed('The public area of a TPM key is truncated');
    at += count;
    return at - count;
  };
  const word = (): number => blob.readUInt16BE(take(2));
  const sized = (): Buffer => {
    const length = word();
    const from = take(length);
    return blob.subarray(from, from + length);
  };
  const algorithm = word();
  word();
  const attributes = blob.readUInt32BE(take(4));
  sized();
  const [symmetric, scheme, curve, derivation] = [word(), word(), word(), word()];
  if (
    algorithm !== TPM_ALG.ecc ||
    curve !== TPM_ECC_NIST_P256 ||
    [symmetric, scheme, derivation].some((one) => one !== TPM_ALG.null)
  ) {
    throw malformed('A key of a TPM is not accepted: it must be an EC key on P-256 without a fixed scheme');
  }
  if ((attributes & NEVER_LEAVES) !== NEVER_LEAVES) {
    throw malformed('A key of a TPM is not accepted: it was not made in that TPM, or may leave it');
  }
  const point = [sized(), sized()];
  if (at !== blob.length || point.some(({ length }) => length > COORDINATE_BYTES)) {
    throw malformed('The public area of a TPM key is not of its length');
  }
  const padded = point.map((one) => Buffer.concat([Buffer.alloc(COORDINATE_BYTES - one.length), one]));
  return importPublicKey(Buffer.concat([SPKI_PREFIX, ...padded]));
}
