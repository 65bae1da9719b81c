/** Vouchers and conveyed information, held against the wrong box, time, signer and domain. */
import { expect, it } from 'vitest';
import {
  signConveyed,
  ownerCertificate,
  readUntrustedConveyed,
  verifyConveyed,
  wrapConveyed,
} from '../../../src/pki/conveyed.ts';
import { BranchboxError } from '../../../src/model/errors.ts';
import { signData } from '../../../src/pki/cms.ts';
import { type Der, encode, octets, sequence, tagged, taggedPrimitive, utf8 } from '../../../src/pki/der.ts';
import { encodeName } from '../../../src/pki/name.ts';
import { OID } from '../../../src/pki/oids.ts';
import { createVoucher, readVoucher, verifyVoucher, type Voucher } from '../../../src/pki/voucher.ts';
import { DAY_MS, issue, makeCa, NOW_MS, refusal, VALIDITY } from './domain.ts';

const voucherCa = makeCa('Voucher CA');
const manufacturer = makeCa('Manufacturer CA');
const signer = issue(voucherCa, { kind: 'voucher-signing', commonName: 'voucher signer' });
const domain = makeCa('Domain CA');
const nonce = Buffer.alloc(16, 7);
const idevidIssuer = manufacturer.certificate.subjectKeyId;

const nonced: Voucher = {
  serialNumber: 'BB-1',
  assertion: 'logged',
  createdOnMs: NOW_MS,
  expiresOnMs: undefined,
  nonce,
  idevidIssuer,
  pinnedDomainCert: domain.certificate,
};
const nonceless: Voucher = { ...nonced, nonce: undefined, expiresOnMs: NOW_MS + DAY_MS };
const EXPECTED = { serialNumber: 'BB-1', idevidIssuer, nonce };
const verify = (voucher: Voucher, expected: object = {}, floorMs = NOW_MS, by = signer) =>
  verifyVoucher(createVoucher({ voucher, signer: by }), {
    anchors: [voucherCa.certificate],
    floorMs,
    expect: { ...EXPECTED, ...expected },
  });

it('pins the domain, whatever year the box believes it is', async () => {
  const voucher = await verify(nonced, {}, 0);
  expect(voucher.pinnedDomainCert.fingerprintSha256).toBe(domain.certificate.fingerprintSha256);
  expect(voucher.createdOnMs).toBe(NOW_MS);
});

it.each([
  ['another serial', nonced, { serialNumber: 'BB-2' }, 'pki/mismatch'],
  ['another issuer', nonced, { idevidIssuer: Buffer.alloc(20) }, 'pki/mismatch'],
  ['another nonce', nonced, { nonce: Buffer.alloc(16, 8) }, 'pki/mismatch'],
  ['a nonce where none was sent', nonced, { nonce: undefined }, 'pki/mismatch'],
  ['no nonce where one was sent', nonceless, {}, 'pki/mismatch'],
  ['nonceless where wanted', nonceless, { nonce: undefined }, 'accepted'],
  ['no issuer named', { ...nonced, idevidIssuer: undefined }, {}, 'accepted'],
])('%s', async (_, voucher, expected, code) => {
  expect(await refusal(verify(voucher, expected))).toBe(code);
});

const issuerId = Uint8Array.from(idevidIssuer ?? []);
const keyId = octets(issuerId);
const keyIdAs = (content: Uint8Array) => taggedPrimitive(0, content);
/** As CAs write it that name their own certificate beside their key (openssl: `keyid, issuer:always`). */
const longId = (content: Uint8Array) =>
  sequence(
    keyIdAs(content),
    tagged(1, tagged(4, encodeName({ commonName: 'Root' }))),
    taggedPrimitive(2, Buffer.alloc(20, 0x48)),
  );
it.each<[string, Der, string]>([
  ['the key identifier within its OCTET STRING', keyId, 'accepted'],
  ['the extension', sequence(keyIdAs(issuerId)), 'accepted'],
  ['the extension within its OCTET STRING', octets(encode(sequence(keyIdAs(issuerId)))), 'accepted'],
  ['the extension that names the certificate too', longId(issuerId), 'accepted'],
  ['the same within its OCTET STRING', octets(encode(longId(issuerId))), 'accepted'],
  ['the extension of another key', longId(Buffer.alloc(20, 1)), 'pki/mismatch'],
  ['the extension without a key', sequence(taggedPrimitive(2, issuerId)), 'pki/mismatch'],
  ['the key identifier in what is no OCTET STRING', utf8('x'), 'pki/mismatch'],
  ['an empty OCTET STRING', octets(new Uint8Array()), 'pki/mismatch'],
])('idevid-issuer of others is read: %s', async (_, written, code) => {
  expect(await refusal(verify({ ...nonced, idevidIssuer: encode(written) }))).toBe(code);
});
it('an idevid-issuer of nothing is nobody’s', async () => {
  expect(await refusal(verify({ ...nonced, idevidIssuer: new Uint8Array() }))).toBe('pki/mismatch');
});

it.each<[string, (base64: string) => string]>([
  ['in lines', (base64) => base64.replaceAll(/.{64}/g, '$&\r\n')],
  ['in the alphabet of URLs, unpadded', (base64) => Buffer.from(base64, 'base64').toString('base64url')],
])('base64 of others is taken %s', (_, written) => {
  const leaves = {
    'created-on': '2026-06-01T12:00:00Z',
    assertion: 'logged',
    'serial-number': 'BB-1',
    // Where the two alphabets differ.
    nonce: written(Buffer.alloc(16, 0xfb).toString('base64')),
    'pinned-domain-cert': written(Buffer.from(domain.certificate.der).toString('base64')),
  };
  const voucher = readVoucher(Buffer.from(JSON.stringify({ 'ietf-voucher:voucher': leaves })));
  expect(voucher.nonce).toEqual(Uint8Array.from(Buffer.alloc(16, 0xfb)));
  expect(voucher.pinnedDomainCert.fingerprintSha256).toBe(domain.certificate.fingerprintSha256);
});

it.each([
  ['2016-12-31T23:59:60Z', Date.UTC(2017, 0, 1)],
  ['2016-12-31T23:59:60.25Z', Date.UTC(2017, 0, 1) + 250],
  ['2017-01-01T05:29:60+05:30', Date.UTC(2017, 0, 1)],
  ['2016-12-31T23:59:59Z', Date.UTC(2017, 0, 1) - 1000],
])('a voucher made at %s was made at that moment, a leap second being the one after it', (written, atMs) => {
  expect(readVoucher(voucherOf({ 'created-on': written })).createdOnMs).toBe(atMs);
  expect(readVoucher(voucherOf({ 'expires-on': written })).expiresOnMs).toBe(atMs);
});

it.each([
  '2016-12-30T23:59:60Z',
  '2016-12-31T23:58:60Z',
  '2016-12-31T23:59:61Z',
  '2016-12-31T23:59:60+01:00',
  '2016-02-30T23:59:60Z',
  '2016-12-31T23:59:60',
])('%s is no moment, and a voucher with it is none', (written) => {
  const read = () => readVoucher(voucherOf({ 'created-on': written }));
  expect(read).toThrow(
    expect.objectContaining({
      problems: [expect.objectContaining({ path: '$.ietf-voucher:voucher.created-on' })],
    }),
  );
});

it.each<[string, unknown, string]>([
  ['domain-cert-revocation-checks', 'false', 'neither true nor false, which stand without quotes'],
  ['domain-cert-revocation-checks', 0, 'neither true nor false, which stand without quotes'],
  ['assertion', 'agent-proximity', 'none of verified, logged, proximity'],
  ['assertion', '', 'none of verified, logged, proximity'],
])('a voucher with %s %j is none, and the leaf is named', (leaf, value, words) => {
  const problem = { path: `$.ietf-voucher:voucher.${leaf}`, message: expect.stringContaining(words) };
  const read = () => readVoucher(voucherOf({ [leaf]: value }));
  expect(read).toThrow(expect.objectContaining({ code: 'pki/malformed', problems: [problem] }));
});

it.each(['', '2016-06-01', '2016-06-01T12:00:00Z'])(
  'last-renewal-date %j is not processed (RFC 8366 5.3)',
  (written) => {
    expect(readVoucher(voucherOf({ 'last-renewal-date': written })).serialNumber).toBe('BB-1');
  },
);

const voucherOf = (leaves: object): Uint8Array =>
  Buffer.from(
    JSON.stringify({
      'ietf-voucher:voucher': {
        'created-on': '2016-06-01T12:00:00Z',
        assertion: 'logged',
        'serial-number': 'BB-1',
        'pinned-domain-cert': Buffer.from(domain.certificate.der).toString('base64'),
        ...leaves,
      },
    }),
  );

const nonceOf = (bytes: number): Uint8Array => new Uint8Array(bytes).fill(9);

it.each([8, 16, 32])('a nonce of %i bytes is good where it is the one that was sent', async (bytes) => {
  const sent = nonceOf(bytes);
  expect((await verify({ ...nonced, nonce: sent }, { nonce: sent })).nonce).toEqual(sent);
});

it.each([0, 7, 33])(
  'a nonce of %i bytes is none (RFC 8366 5.3): it is not written, nor taken of others',
  async (bytes) => {
    const sent = nonceOf(bytes);
    expect(() => createVoucher({ voucher: { ...nonced, nonce: sent }, signer })).toThrow('8 to 32 bytes');
    const leaves = {
      'created-on': '2026-06-01T12:00:00Z',
      assertion: 'logged',
      'serial-number': 'BB-1',
      nonce: Buffer.from(sent).toString('base64'),
      'pinned-domain-cert': Buffer.from(domain.certificate.der).toString('base64'),
    };
    const document = Buffer.from(JSON.stringify({ 'ietf-voucher:voucher': leaves }));
    const theirs = signData({ contentType: OID.voucherJson, content: document, signer });
    const anchors = [voucherCa.certificate];
    const judged = verifyVoucher(theirs, { anchors, floorMs: NOW_MS, expect: { ...EXPECTED, nonce: sent } });
    await expect(judged).rejects.toMatchObject({ code: 'pki/mismatch', problems: [{ path: '$.nonce' }] });
  },
);

it('judges the end of a nonceless voucher by the floor', async () => {
  expect(await refusal(verify(nonceless, { nonce: undefined }, NOW_MS + 2 * DAY_MS))).toBe('pki/expired');
});

it('is no voucher where its signer had ended by the floor, whenever it says that it was made', async () => {
  const afterEndMs = VALIDITY.notAfterMs + DAY_MS;
  expect(await refusal(verify(nonced, {}, VALIDITY.notAfterMs))).toBe('accepted');
  expect(await refusal(verify(nonced, {}, afterEndMs))).toBe('pki/expired');
});

it('is none that ended before it was made, under a clock in 1970 either', async () => {
  const content = voucherOf({ 'created-on': '2026-06-01T12:00:00Z', 'expires-on': '2026-05-31T12:00:00Z' });
  const theirs = signData({ contentType: OID.voucherJson, content, signer });
  const expected = { ...EXPECTED, nonce: undefined };
  const judged = verifyVoucher(theirs, { anchors: [voucherCa.certificate], floorMs: 0, expect: expected });
  await expect(judged).rejects.toMatchObject({ code: 'pki/mismatch', problems: [{ path: '$.expires-on' }] });
});

it('is none where it is nested without end: whoever reads it must not run out of stack', () => {
  const content = `{"ietf-voucher:voucher":{"created-on":${'['.repeat(10_000)}${']'.repeat(10_000)}}}`;
  expect(() => readVoucher(Buffer.from(content))).toThrow('A voucher is nested deeper than 64 levels');
});

it('tells every problem', async () => {
  const problems = await verify(nonced, { serialNumber: 'BB-2', nonce: Buffer.alloc(16) }).catch(
    (thrown: unknown) =>
      thrown instanceof BranchboxError ? thrown.problems.map((problem) => problem.path) : [],
  );
  expect(problems).toEqual(['$.serial-number', '$.nonce']);
});

it('is signed under the voucher anchor, by no IDevID and no TLS certificate', async () => {
  const idevid = issue(manufacturer, { kind: 'idevid', serialNumber: 'BB-9', commonName: 'x' });
  const tls = issue(voucherCa, { kind: 'client', commonName: 'x' });
  expect(await refusal(verify(nonced, {}, NOW_MS, idevid))).toBe('pki/untrusted');
  expect(await refusal(verify(nonced, {}, NOW_MS, tls))).toBe('pki/untrusted');
});

const owner = issue(domain, { kind: 'owner', commonName: 'owner' });
const content = Buffer.from('{"ietf-sztp-conveyed-info:onboarding-information":{}}');
const conveyed = {
  ownerCertificate: ownerCertificate(owner),
  pinnedDomainCert: domain.certificate,
  atMs: NOW_MS,
};

it('conveys what the owner signed', async () => {
  const result = await verifyConveyed(signConveyed({ content, format: 'json', owner }), conveyed);
  expect(result.format).toBe('json');
  expect(Buffer.from(result.content)).toEqual(content);
});

it('refuses an LDevID as owner, another owner, another domain, and no signature', async () => {
  const signed = signConveyed({ content, format: 'xml', owner });
  const box = issue(domain, { kind: 'ldevid', gatewayId: 'b' });
  const byBox = signConveyed({ content, format: 'json', owner: box });
  const code = (der: Uint8Array, change: object = {}) =>
    refusal(verifyConveyed(der, { ...conveyed, ...change }));
  expect(await code(byBox, { ownerCertificate: ownerCertificate(box) })).toBe('pki/untrusted');
  const second = issue(domain, { kind: 'owner', commonName: 'second' });
  expect(await code(signed, { ownerCertificate: ownerCertificate(second) })).toBe('pki/mismatch');
  expect(await code(signed, { pinnedDomainCert: makeCa('Domain CA').certificate })).toBe('pki/untrusted');
  const bare = wrapConveyed(content, 'json');
  expect(await code(bare)).toBe('pki/malformed');
  expect(readUntrustedConveyed(bare)).toMatchObject({ format: 'json', owner: undefined });
});
