/** Keys that a TPM holds, as files: one of openssl's provider, and all that is none of ours. */
import { createPublicKey } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { Secret } from '../../../src/model/secret.ts';
import { exportPrivateKey, generateKeyPair, sameKey } from '../../../src/pki/keys.ts';
import { toPemBlock } from '../../../src/pki/pem.ts';
import { isTpmKey, publicKeyOfTpmKey } from '../../../src/pki/tss2.ts';

/** Made by openssl 3.5 with tpm2-openssl 1.3.0 in a swtpm that is gone, and the public half that it printed. */
const BASE64 =
  'MIHwBgZngQUKAQOgAwEBAQIEQAAAAQRYAFYAIwALAAYAcgAAABAAEAADABAAIHqisVZ0o6t6U+Ie9+0BDimtB5WS5CXI3/OFHpX2avEcACCXQFRu' +
  'swCFKRGp+h79k9Q/NReB9lcXPYu75ROZzo375ASBgAB+ACBeF5Jvk5Bwd8pmV4gcZBMPDmjyhakzgN/j/GHYAtGKtgAQWeLpDELhLST1pBRal9hF' +
  'U9mBYc1YqMIxxTE3SCRcHSDa0XyIl15wSwzSMlZlWXG3xvj1yEIlrhtPbasPD/+Deu1n1jjsKdmALDIhU9bDlcHDCOtraOXWtilR';
const PUBLIC = `-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEeqKxVnSjq3pT4h737QEOKa0HlZLk
Jcjf84UelfZq8RyXQFRuswCFKRGp+h79k9Q/NReB9lcXPYu75ROZzo375A==
-----END PUBLIC KEY-----
`;

const pemOf = (der: Uint8Array): Secret => new Secret(toPemBlock('TSS2 PRIVATE KEY', der));
const good = (): Buffer => Buffer.from(BASE64, 'base64');
/** The key with some octets of it replaced, found by what stands there. */
function changed(from: string, to: string): Secret {
  const der = good();
  const at = der.indexOf(Buffer.from(from, 'hex'));
  expect(at).toBeGreaterThan(0);
  der.set(Buffer.from(to, 'hex'), at);
  return pemOf(der);
}
const codeOf = (pem: Secret): string => {
  try {
    publicKeyOfTpmKey(pem);
    return 'taken';
  } catch (thrown) {
    return thrown instanceof Error && 'code' in thrown ? String(thrown.code) : String(thrown);
  }
};

describe('a key that a TPM holds', () => {
  it('is told by its label, and its public half is read without a TPM', () => {
    expect(isTpmKey(pemOf(good()))).toBe(true);
    expect(isTpmKey(exportPrivateKey(generateKeyPair().privateKey))).toBe(false);
    expect(sameKey(publicKeyOfTpmKey(pemOf(good())), createPublicKey(PUBLIC))).toBe(true);
  });

  it.each([
    ['of another kind (RSA)', changed('0023000b00060072', '0001000b00060072')],
    ['on another curve', changed('0010001000030010', '0010001000040010')],
    ['that may leave its TPM', changed('0023000b00060072', '0023000b00060070')],
    ['that was not made in its TPM', changed('0023000b00060072', '0023000b00060052')],
    ['of another type', changed('6781050a0103', '6781050a0105')],
    ['whose point is on no curve', changed('7aa2b156', '7aa2b157')],
    ['whose public area is too short for what it says', changed('001000207aa2', '001000407aa2')],
    ['that is cut', pemOf(good().subarray(0, 100))],
    ['that is none', new Secret('-----BEGIN TSS2 PRIVATE KEY-----\n')],
    ['in software', exportPrivateKey(generateKeyPair().privateKey)],
  ])('%s is refused', (_, pem) => {
    expect(codeOf(pem)).toBe('pki/malformed');
  });
});
