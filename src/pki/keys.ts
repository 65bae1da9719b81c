/**
 * Owns private and public keys: making P-256 pairs, PEM in and out, and what keys of others are acceptable.
 * Does not own where a key is kept. Private keys leave as Secret only.
 */
import { createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { BranchboxError } from '../model/errors.ts';
import { Secret } from '../model/secret.ts';
import { decode } from './der.ts';
import { childrenOf, TAG } from './derRead.ts';
import { readPssParameters } from './signatureAlgorithm.ts';

export interface KeyPair {
  readonly privateKey: KeyObject;
  readonly publicKey: KeyObject;
}

export function generateKeyPair(): KeyPair {
  return generateKeyPairSync('ec', { namedCurve: 'P-256' });
}

/** PKCS#8 PEM, not encrypted. */
export function exportPrivateKey(key: KeyObject): Secret {
  return new Secret(key.export({ type: 'pkcs8', format: 'pem' }).toString());
}

/** What signs with a private key, wherever that is held. */
export interface Signer {
  readonly publicKey: KeyObject;
  /** ECDSA with SHA-256, DER. */
  sign(bytes: Uint8Array): Promise<Uint8Array>;
}

/** PKCS#8 or SEC 1 PEM. A key that a TPM holds is none (tss2.ts). */
export function importPrivateKey(pem: Secret): KeyObject {
  try {
    return createPrivateKey(pem.reveal());
  } catch {
    // The cause is dropped: nothing that has seen the key text goes into a log.
    throw new BranchboxError('pki/malformed', {
      message: 'A private key cannot be read: it is no PEM of a key that this Node can load',
    });
  }
}

/** The public half of a private key. */
export function publicKeyOf(privateKey: KeyObject): KeyObject {
  return createPublicKey(privateKey);
}

/** SubjectPublicKeyInfo, DER. */
export function exportPublicKey(key: KeyObject): Uint8Array {
  return Uint8Array.from(key.export({ type: 'spki', format: 'der' }));
}

/** From SubjectPublicKeyInfo DER; refuses keys that are too weak to be certified or trusted. */
export function importPublicKey(spki: Uint8Array): KeyObject {
  let key: KeyObject;
  try {
    key = createPublicKey({ key: Buffer.from(spki), format: 'der', type: 'spki' });
  } catch (cause) {
    throw new BranchboxError('pki/malformed', { message: 'A public key cannot be decoded', cause });
  }
  const weakness = weaknessOf(key) ?? restrictionProblem(key, spki);
  if (weakness !== undefined) throw new BranchboxError('pki/malformed', { message: weakness });
  return key;
}

/** OpenSSL takes any parameters of a key for RSASSA-PSS; here they are what a signature's may be. */
function restrictionProblem(key: KeyObject, spki: Uint8Array): string | undefined {
  if (key.asymmetricKeyType !== 'rsa-pss') return undefined;
  const [algorithm] = childrenOf(decode(spki), TAG.sequence, 'Public key');
  const [, parameters, ...more] = childrenOf(algorithm, TAG.sequence, 'Public key');
  if (more.length > 0) return 'A public key has more than one set of parameters';
  const read = parameters === undefined ? undefined : readPssParameters(parameters);
  return typeof read === 'string' ? `An RSA key for RSASSA-PSS ${read} is not accepted` : undefined;
}

const CURVES: readonly string[] = ['prime256v1', 'secp384r1', 'secp521r1'];
/** NIST SP 800-131A: nothing below 2048 bits since 2014. Above 8192 bits a check costs too much to be asked of us. */
const RSA_BITS = { min: 2048, max: 8192 };

function weaknessOf(key: KeyObject): string | undefined {
  const details = key.asymmetricKeyDetails;
  if (key.asymmetricKeyType === 'ec') {
    const curve = details?.namedCurve ?? 'unnamed';
    return CURVES.includes(curve)
      ? undefined
      : `An EC key on curve ${curve} is not accepted: P-256, P-384 or P-521`;
  }
  // Of RSASSA-PSS alone: RFC 4055 1.2.
  if (key.asymmetricKeyType === 'rsa' || key.asymmetricKeyType === 'rsa-pss') {
    const bits = details?.modulusLength ?? 0;
    if (bits >= RSA_BITS.min && bits <= RSA_BITS.max) return undefined;
    return `An RSA key of ${bits} bits is not accepted: ${RSA_BITS.min} to ${RSA_BITS.max}`;
  }
  return `A key of type ${key.asymmetricKeyType ?? 'unknown'} is not accepted: EC or RSA`;
}

export function sameKey(left: KeyObject, right: KeyObject): boolean {
  return Buffer.from(exportPublicKey(left)).equals(exportPublicKey(right));
}
