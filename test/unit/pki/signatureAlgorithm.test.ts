/** How RSASSA-PSS is said in DER (RFC 4055 3.1), and everything that is not said so. */
import { generateKeyPairSync } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { BranchboxError } from '../../../src/model/errors.ts';
import { type Der, decode, encode, integer, octets, oid, sequence, tagged } from '../../../src/pki/der.ts';
import { exportPublicKey, importPublicKey } from '../../../src/pki/keys.ts';
import { OID } from '../../../src/pki/oids.ts';
import { keyProblem, readSignatureAlgorithm } from '../../../src/pki/signatureAlgorithm.ts';

const hash = (id: string, ...parameters: Der[]): Der => sequence(oid(id), ...parameters);
const mask = (id: string, ...more: Der[]): Der => sequence(oid(OID.mgf1), hash(id), ...more);
const pss = (...fields: Der[]): Der => sequence(oid(OID.rsassaPss), sequence(...fields));
const fields = (id: string, saltBytes: number): Der[] => [
  tagged(0, hash(id)),
  tagged(1, mask(id)),
  tagged(2, integer(saltBytes)),
];
const read = (node: Der): unknown => {
  try {
    return readSignatureAlgorithm(decode(encode(node)));
  } catch (thrown) {
    return thrown instanceof BranchboxError ? thrown.code : thrown;
  }
};

describe('RSASSA-PSS', () => {
  it.each([
    [OID.sha256, 'sha256', 32],
    [OID.sha384, 'sha384', 48],
    [OID.sha512, 'sha512', 64],
    [OID.sha256, 'sha256', 222],
  ])('%s is read', (id, name, saltBytes) => {
    expect(read(pss(...fields(id, saltBytes)))).toEqual({ scheme: 'rsa-pss', hash: name, saltBytes });
  });

  it('may say the only trailer that there is', () => {
    const with1 = pss(...fields(OID.sha256, 32), tagged(3, integer(1)));
    expect(read(with1)).toMatchObject({ scheme: 'rsa-pss' });
    expect(read(pss(...fields(OID.sha256, 32), tagged(3, integer(2))))).toMatch('trailer');
  });

  const [ofHash, ofMask, ofSalt] = fields(OID.sha256, 32) as [Der, Der, Der];
  it.each<[string, Der, string]>([
    ['no parameters', sequence(oid(OID.rsassaPss)), 'how is not said'],
    ['empty ones, which mean SHA-1', pss(), 'another hash than'],
    ['a hash alone: the mask is SHA-1', pss(ofHash), 'another hash in its mask'],
    ['no salt said, which means 20', pss(ofHash, ofMask), 'a salt of 20 bytes: 32 are the least'],
    ['SHA-1', pss(...fields('1.3.14.3.2.26', 32)), 'another hash than'],
    ['SHA-224', pss(...fields('2.16.840.1.101.3.4.2.4', 32)), 'another hash than'],
    ['another mask than MGF1', pss(ofHash, tagged(1, sequence(oid('1.2.3'), hash(OID.sha256)))), 'its mask'],
    [
      'something after the parameters',
      sequence(oid(OID.rsassaPss), sequence(), integer(1)),
      'how is not said',
    ],
    ['something after the salt', pss(ofHash, ofMask, ofSalt, octets(Buffer.of(0))), 'pki/malformed'],
    [
      'something after the trailer',
      pss(ofHash, ofMask, ofSalt, tagged(3, integer(1)), integer(1)),
      'pki/malformed',
    ],
    ['a salt twice', pss(ofHash, ofMask, ofSalt, ofSalt), 'pki/malformed'],
    ['fields in another order', pss(ofMask, ofHash, ofSalt), 'pki/malformed'],
    [
      'two hashes in one field',
      pss(tagged(0, hash(OID.sha256), hash(OID.sha256)), ofMask, ofSalt),
      'pki/malformed',
    ],
    ['a hash with parameters', pss(tagged(0, hash(OID.sha256, integer(1))), ofMask, ofSalt), 'pki/malformed'],
    ['a mask with more', pss(ofHash, tagged(1, mask(OID.sha256, integer(1))), ofSalt), 'pki/malformed'],
    ['a salt that is no number', pss(ofHash, ofMask, tagged(2, octets(Buffer.of(1)))), ''],
  ])('is refused with %s', (_, node, why) => {
    const verdict = read(node);
    expect(verdict).toBeTypeOf('string');
    expect(verdict).toContain(why);
  });
});

it('a key that is for SHA-1 is none', () => {
  const words = { modulusLength: 2048, hashAlgorithm: 'sha1', mgf1HashAlgorithm: 'sha1' };
  const { publicKey } = generateKeyPairSync('rsa-pss', words);
  expect(() => importPublicKey(exportPublicKey(publicKey))).toThrow('another hash than SHA-256');
});

it('a key for one hash and salt signs with those alone, an RSA key as it likes', () => {
  const { publicKey } = generateKeyPairSync('rsa-pss', {
    modulusLength: 2048,
    hashAlgorithm: 'sha384',
    mgf1HashAlgorithm: 'sha384',
  });
  const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 }).publicKey;
  const made = (name: 'sha256' | 'sha384', saltBytes: number) =>
    ({ scheme: 'rsa-pss', hash: name, saltBytes }) as const;
  expect(keyProblem(publicKey, made('sha384', 48))).toBeUndefined();
  expect(keyProblem(publicKey, made('sha384', 40))).toContain('shorter salt');
  expect(keyProblem(publicKey, made('sha256', 48))).toContain('another hash');
  expect(keyProblem(publicKey, { scheme: 'rsa-pkcs1', hash: 'sha384' })).toContain('another way');
  expect(keyProblem(rsa, made('sha256', 32))).toBeUndefined();
});
