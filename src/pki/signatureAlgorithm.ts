/**
 * Owns which signature algorithms count in certificates, revocation lists, CMS and requests, and verifying a bare signature by one.
 * Does not own chains (chain.ts) nor CMS (cmsVerify.ts). SHA-1 and weaker hashes are accepted from nobody.
 *
 * RSASSA-PSS (RFC 4055) says in its parameters how it was made, and a verifier does as they say. So they are read to the last
 * bit: one hash, also in the mask; a salt of at least the hash's length. Shorter ones are refused (RFC 4055 3.1 and RFC 8017
 * 9.1 give a signature its strength by the salt, and nobody makes them); longer ones are what OpenSSL before 3.1 makes unless
 * it is told otherwise.
 */
import { constants, type KeyObject, verify } from 'node:crypto';
import { type DerNode, malformed } from './der.ts';
import { childrenOf, contextTag, expectTag, readOid, readSmallInteger, TAG } from './derRead.ts';
import { OID } from './oids.ts';

export type SignatureHash = 'sha256' | 'sha384' | 'sha512';
export type SignatureAlgorithm =
  | { readonly scheme: 'ecdsa' | 'rsa-pkcs1'; readonly hash: SignatureHash }
  | ({ readonly scheme: 'rsa-pss' } & PssParameters);

export interface PssParameters {
  readonly hash: SignatureHash;
  readonly saltBytes: number;
}

const HASH_BYTES: Readonly<Record<SignatureHash, number>> = { sha256: 32, sha384: 48, sha512: 64 };

const ALGORITHMS: ReadonlyMap<string, SignatureAlgorithm> = new Map<string, SignatureAlgorithm>([
  [OID.ecdsaWithSha256, { scheme: 'ecdsa', hash: 'sha256' }],
  [OID.ecdsaWithSha384, { scheme: 'ecdsa', hash: 'sha384' }],
  [OID.ecdsaWithSha512, { scheme: 'ecdsa', hash: 'sha512' }],
  [OID.sha256WithRsa, { scheme: 'rsa-pkcs1', hash: 'sha256' }],
  [OID.sha384WithRsa, { scheme: 'rsa-pkcs1', hash: 'sha384' }],
  [OID.sha512WithRsa, { scheme: 'rsa-pkcs1', hash: 'sha512' }],
]);

const HASHES: ReadonlyMap<string, SignatureHash> = new Map<string, SignatureHash>([
  [OID.sha256, 'sha256'],
  [OID.sha384, 'sha384'],
  [OID.sha512, 'sha512'],
]);

/** The hash of an identifier, where it is one that counts. */
export const hashOf = (id: string): SignatureHash | undefined => HASHES.get(id);

/** Of an identifier that needs no parameters. */
export const algorithmOf = (id: string): SignatureAlgorithm | string =>
  ALGORITHMS.get(id) ?? `is signed with ${id}, which is not accepted`;

/** An AlgorithmIdentifier. A string says why it does not count, as the rest of a sentence: "is signed with …". */
export function readSignatureAlgorithm(node: DerNode | undefined): SignatureAlgorithm | string {
  const [id, parameters, ...more] = childrenOf(node, TAG.sequence, 'Signature algorithm');
  const name = readOid(id, 'Signature algorithm');
  if (name !== OID.rsassaPss) return algorithmOf(name);
  // RFC 4055 3.1: in a signature parameters must be there.
  if (parameters === undefined || more.length > 0) {
    return 'is signed with RSASSA-PSS, and how is not said in its parameters';
  }
  const read = readPssParameters(parameters);
  if (typeof read === 'string') return `is signed with RSASSA-PSS ${read}`;
  if (read.saltBytes < HASH_BYTES[read.hash]) {
    return `is signed with RSASSA-PSS and a salt of ${read.saltBytes} bytes: ${HASH_BYTES[read.hash]} are the least`;
  }
  return { scheme: 'rsa-pss', ...read };
}

/** RSASSA-PSS-params, or why not. What is left out is SHA-1 (RFC 4055 3.1). */
export function readPssParameters(node: DerNode): PssParameters | string {
  const fields = [...childrenOf(node, TAG.sequence, 'RSASSA-PSS')];
  const next = (tag: number): DerNode | undefined => {
    if (fields[0]?.tag !== contextTag(tag)) return undefined;
    const [value, ...more] = fields.shift()?.children ?? [];
    if (value === undefined || more.length > 0)
      throw malformed('RSASSA-PSS has a field that is not one value');
    return value;
  };
  const hashId = next(0);
  const mask = next(1);
  const salt = next(2);
  const trailer = next(3);
  if (fields.length > 0) throw malformed('RSASSA-PSS has fields that it does not have (RFC 4055 3.1)');
  const hash = hashId === undefined ? undefined : readHash(hashId);
  if (hash === undefined) return 'and another hash than SHA-256, SHA-384 or SHA-512';
  if (mask === undefined || readMask(mask) !== hash)
    return 'and another hash in its mask than of the content';
  // RFC 4055 3.1: a verifier takes it whether it is said or not, and it is 1.
  if (trailer !== undefined && readSmallInteger(trailer, 'RSASSA-PSS trailer') !== 1) {
    return 'and a trailer that is not known';
  }
  return { hash, saltBytes: salt === undefined ? 20 : readSmallInteger(salt, 'RSASSA-PSS salt') };
}

function readMask(node: DerNode): SignatureHash | undefined {
  const [id, hash, ...more] = childrenOf(node, TAG.sequence, 'RSASSA-PSS mask');
  if (hash === undefined || more.length > 0) throw malformed('RSASSA-PSS has a mask that is not one hash');
  return readOid(id, 'RSASSA-PSS mask') === OID.mgf1 ? readHash(hash) : undefined;
}

/** RFC 4055 2.1: parameters of a hash are NULL or not there, and both are taken. */
function readHash(node: DerNode): SignatureHash | undefined {
  const [id, nothing, ...more] = childrenOf(node, TAG.sequence, 'RSASSA-PSS hash');
  if (more.length > 0 || (nothing !== undefined && expectTag(nothing, TAG.null, 'Hash').content.length > 0)) {
    throw malformed('RSASSA-PSS has a hash with parameters (RFC 4055 2.1)');
  }
  return hashOf(readOid(id, 'RSASSA-PSS hash'));
}

/** Why a key may not have signed so: an RSA key may be for RSASSA-PSS alone, and for one hash (RFC 4055 1.2, 3.3). */
export function keyProblem(key: KeyObject, algorithm: SignatureAlgorithm): string | undefined {
  if (key.asymmetricKeyType !== 'rsa-pss') return undefined;
  if (algorithm.scheme !== 'rsa-pss') return 'is signed in another way than its key is for (RSASSA-PSS)';
  const { hashAlgorithm, saltLength = 0 } = key.asymmetricKeyDetails ?? {};
  if (hashAlgorithm === undefined) return undefined;
  return hashAlgorithm === algorithm.hash && algorithm.saltBytes >= saltLength
    ? undefined
    : 'is signed with another hash or a shorter salt than its key is for (RFC 4055 3.3)';
}

/** For what pkijs does not verify: a request, by the key in it, and a revocation list. */
export function verifySignature(
  algorithm: SignatureAlgorithm,
  signed: Uint8Array,
  key: KeyObject,
  signature: Uint8Array,
): boolean {
  if (keyProblem(key, algorithm) !== undefined) return false;
  if (algorithm.scheme !== 'rsa-pss') return verify(algorithm.hash, signed, key, signature);
  const { hash, saltBytes: saltLength } = algorithm;
  return verify(hash, signed, { key, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength }, signature);
}
