/**
 * Owns whether the signing keys of a directory are of the kinds that boxes and firmware verify, and belong to their
 * certificates: checked before the steps that take minutes, not by the step that would have signed.
 * Does not own where keys are (keys.ts), nor whether boxes believe who signed (signing.ts).
 */
import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto';
import type { Problem } from '../src/model/errors.ts';

/** PEM, as the files of NAME hold it; no key where a token holds it. */
export interface NamedKey {
  readonly name: 'db' | 'release';
  readonly key: string | undefined;
  readonly certificate: string;
}

const KINDS = {
  db: {
    isOf: ({ asymmetricKeyType: type, asymmetricKeyDetails: details }: KeyObject) =>
      type === 'rsa' && (details?.modulusLength ?? 0) >= 2048,
    words: 'RSA of 2048 bits or more',
  },
  release: {
    isOf: ({ asymmetricKeyType: type, asymmetricKeyDetails: details }: KeyObject) =>
      type === 'ec' && details?.namedCurve === 'prime256v1',
    words: 'elliptic curve P-256',
  },
} as const;

/** Each at its file. Pure. */
export function keyProblems({ name, key, certificate }: NamedKey): readonly Problem[] {
  const { isOf, words } = KINDS[name];
  const own = certificateIn(certificate);
  if (own === undefined) return [{ path: `${name}.crt`, message: 'holds no certificate in PEM' }];
  if (!isOf(own.publicKey)) return [{ path: `${name}.crt`, message: `is not of a key that is ${words}` }];
  const problem = key === undefined ? undefined : problemOf(key, own);
  return problem === undefined ? [] : [{ path: `${name}.key`, message: problem }];
}

function problemOf(pem: string, certificate: X509Certificate): string | undefined {
  // A build asks nobody. Both forms: PKCS#8's, and the older one of OpenSSL.
  if (/^-----BEGIN ENCRYPTED PRIVATE KEY-----|^Proc-Type: 4,ENCRYPTED/m.test(pem))
    return 'is under a passphrase, which nobody is asked for; put the key into a token (PKCS#11), or take the passphrase off';
  let key: KeyObject;
  try {
    key = createPrivateKey(pem);
  } catch {
    return 'holds no private key in PEM';
  }
  return certificate.checkPrivateKey(key) ? undefined : 'is not the key of its certificate';
}

function certificateIn(pem: string): X509Certificate | undefined {
  try {
    return new X509Certificate(pem);
  } catch {
    return undefined;
  }
}
