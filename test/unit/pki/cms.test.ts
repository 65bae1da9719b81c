/** Signed data that we write and read, and what must be refused of it; openssl's is in cmsOpenssl.test.ts. */
import { describe, expect, it } from 'vitest';
import { certsOnly, signData } from '../../../src/pki/cms.ts';
import { verifySignedData } from '../../../src/pki/cmsVerify.ts';
import { OID } from '../../../src/pki/oids.ts';
import { DAY_MS, issue, makeCa, NOW_MS, refusal, VALIDITY } from './domain.ts';

const ca = makeCa();
const signer = issue(ca, { kind: 'voucher-signing', commonName: 'signer' });
const content = Buffer.from(
  'some content, long enough to be cut into pieces by a streaming writer '.repeat(200),
);
const options = { contentTypes: [OID.voucherJson], anchors: [ca.certificate], atMs: NOW_MS };
const message = signData({ contentType: OID.voucherJson, content, signer, signingTimeMs: NOW_MS });

it('verifies its own', async () => {
  const signed = await verifySignedData(message, options);
  expect(Buffer.from(signed.content)).toEqual(content);
  expect(signed.signer.subject.commonName).toBe('signer');
});

it('refuses another content type, anchor, time; a cut or longer message; no signature', async () => {
  const code = (bytes: Uint8Array, change: object = {}) =>
    refusal(verifySignedData(bytes, { ...options, ...change }));
  expect(await code(message, { contentTypes: [OID.conveyedJson] })).toBe('pki/mismatch');
  expect(await code(message, { anchors: [makeCa().certificate] })).toBe('pki/untrusted');
  expect(await code(message, { atMs: VALIDITY.notAfterMs + DAY_MS })).toBe('pki/expired');
  expect(await code(message.subarray(0, -1))).toBe('pki/malformed');
  expect(await code(Buffer.concat([message, Buffer.of(0)]))).toBe('pki/malformed');
  expect(await code(certsOnly([ca.certificate]), { contentTypes: [OID.data] })).toBe('pki/malformed');
  expect(await code(message, { maxBytes: 100 })).toBe('pki/malformed');
});

describe('an object identifier without end, which takes a second to read,', () => {
  const tlv = (tag: number, value: Uint8Array, length = Buffer.of(0x83, 0, 0, 0)): Buffer => {
    length.writeUIntBE(value.length, 1, 3);
    return Buffer.concat([Buffer.of(tag), length, value]);
  };
  const endless = tlv(6, Buffer.alloc(200_000, 0x7f));
  it.each([
    ['by itself', endless],
    ['as a relative one', tlv(0x0d, Buffer.alloc(200_000, 0x7f))],
    ['in a sequence', tlv(0x30, Buffer.concat([tlv(5, Buffer.alloc(0)), endless]))],
    ['in octets', tlv(4, endless)],
    ['in octets of octets', tlv(4, tlv(4, endless))],
    ['in bits', tlv(3, Buffer.concat([Buffer.of(0), endless]))],
    ['behind a length that is not said', Buffer.concat([Buffer.of(0x30, 0x80), endless, Buffer.of(0, 0)])],
    ['in such within octets', tlv(4, Buffer.concat([Buffer.of(0x30, 0x80), endless, Buffer.of(0, 0)]))],
    [
      'behind a tag of three octets',
      Buffer.concat([Buffer.of(0x3f, 0x81, 0x01, 0x80), endless, Buffer.of(0, 0)]),
    ],
  ])('%s is refused before it is read', async (_where, bytes) => {
    const thrown: unknown = await verifySignedData(bytes, options).catch((error: unknown) => error);
    expect(String(thrown)).toContain('an object identifier without end');
  });
});

it('refuses what takes long to read: a certificate over and over, values without end', async () => {
  const carrying = (copies: number) =>
    signData({
      contentType: OID.voucherJson,
      content,
      signer: { ...signer, chain: Array.from({ length: copies }, () => signer.certificate) },
      signingTimeMs: NOW_MS,
    });
  const said = (bytes: Uint8Array) => verifySignedData(bytes, options).catch(String);
  expect(await said(carrying(16))).toMatchObject({ contentType: OID.voucherJson });
  expect(await said(carrying(17))).toMatch(/it came with 18 certificates, more than 17/);
  const nulls = (count: number) => {
    const values = Buffer.concat(Array.from({ length: count }, () => Buffer.of(5, 0)));
    return Buffer.concat([Buffer.of(0x30, 0x82, values.length >> 8, values.length & 0xff), values]);
  };
  expect(await said(nulls(3_900))).not.toMatch(/are not one CMS message/);
  expect(await said(nulls(4_100))).toMatch(/are not one CMS message/);
});

it('refuses a content type that the signature is not over', async () => {
  // The type in the envelope is changed, the one in the signed attributes stays: .40 for .43.
  const changed = Buffer.from(message);
  const type = Buffer.from('060b2a864886f70d0109100128', 'hex');
  changed[changed.indexOf(type) + type.length - 1] = 43;
  const wanted = { ...options, contentTypes: [OID.conveyedJson] };
  expect(await refusal(verifySignedData(changed, wanted))).toBe('pki/untrusted');
});
