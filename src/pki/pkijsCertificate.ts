/**
 * Owns a certificate as pkijs takes it.
 * Does not own judging one.
 */
import type * as Pkijs from 'pkijs';
import type { Certificate } from './certificate.ts';
import { OID } from './oids.ts';

/**
 * A key that is for RSASSA-PSS alone is shown as an RSA key: Web Cryptography imports no other. What it is for is looked at
 * in signatureAlgorithm.ts; the bytes that its issuer signed stay as they were.
 */
export function toPkijs(pkijs: typeof Pkijs, certificate: Certificate): Pkijs.Certificate {
  const shown = pkijs.Certificate.fromBER(Uint8Array.from(certificate.der));
  if (shown.subjectPublicKeyInfo.algorithm.algorithmId === OID.rsassaPss) {
    shown.subjectPublicKeyInfo.algorithm = new pkijs.AlgorithmIdentifier({ algorithmId: OID.rsaEncryption });
  }
  return shown;
}
