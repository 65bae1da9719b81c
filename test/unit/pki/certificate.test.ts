/** Certificates and requests that we write and read, held against openssl. */
import { sign } from 'node:crypto';
import { expect, it } from 'vitest';
import { parseCertificate, parseCertificates, toPem } from '../../../src/pki/certificate.ts';
import { encode, octets, oid, sequence, taggedPrimitive } from '../../../src/pki/der.ts';
import { NO_EXPIRY_MS, type Profile } from '../../../src/pki/issue.ts';
import {
  exportPrivateKey,
  generateKeyPair,
  importPrivateKey,
  publicKeyOf,
  sameKey,
  type Signer,
} from '../../../src/pki/keys.ts';
import { OID } from '../../../src/pki/oids.ts';
import {
  createRenewalRequestBy,
  createRequest,
  createRequestBy,
  parseRequest,
} from '../../../src/pki/request.ts';
import { AT_NOW, hasOpenssl, issue, makeCa, openssl, refusal, VALIDITY } from './domain.ts';

const PROFILES: readonly Profile[] = [
  { kind: 'ca', commonName: 'Sub', pathLength: 0 },
  { kind: 'idevid', serialNumber: 'BB-1', commonName: 'Branchbox x' },
  {
    kind: 'idevid',
    serialNumber: 'BB-2',
    commonName: 'Branchbox y',
    hardwareModule: { type: '1.3.6.1.4.1.99999.1', serial: Buffer.from('BB-2') },
  },
  { kind: 'ldevid', gatewayId: 'branch1' },
  {
    kind: 'server',
    commonName: 's',
    dnsNames: ['a.example'],
    ipAddresses: ['192.0.2.1', '2001:db8::1', '::'],
  },
  { kind: 'client', commonName: 'controller.service' },
  { kind: 'configuration-signing', commonName: 'config' },
  { kind: 'owner', commonName: 'owner' },
  { kind: 'voucher-signing', commonName: 'voucher' },
];

it.skipIf(!hasOpenssl).each(PROFILES)('openssl verifies our $kind certificate strictly', (profile) => {
  using tool = openssl();
  const ca = makeCa();
  const { certificate } = issue(ca, profile);
  tool.write('ca.pem', ca.certificate.pem);
  tool.write('leaf.pem', certificate.pem);
  expect(tool.run('verify', '-x509_strict', ...AT_NOW, '-CAfile', 'ca.pem', 'leaf.pem')).toBe(
    'leaf.pem: OK\n',
  );
});

it('reads back what it issued', () => {
  const [, , , ldevid, server, , config] = PROFILES.map((profile) => issue(makeCa(), profile).certificate);
  expect(ldevid?.subject.commonName).toBe('branch1');
  expect(ldevid?.extendedKeyUsage).toEqual([OID.clientAuth]);
  expect(ldevid?.isCa).toBe(false);
  expect(server?.ipAddresses).toEqual(['192.0.2.1', '2001:db8::1', '::']);
  expect(config?.extendedKeyUsage).toEqual([OID.configurationSigning]);
  expect(config?.notAfterMs).toBe(VALIDITY.notAfterMs);
});

it.skipIf(!hasOpenssl)('writes an IDevID that never ends as 99991231235959Z', () => {
  using tool = openssl();
  const profile: Profile = { kind: 'idevid', serialNumber: 'BB-1', commonName: 'x' };
  const { certificate } = issue(makeCa(), profile, { ...VALIDITY, notAfterMs: NO_EXPIRY_MS });
  expect(certificate.notAfterMs).toBe(NO_EXPIRY_MS);
  tool.write('c.der', certificate.der);
  expect(tool.run('asn1parse', '-inform', 'DER', '-in', 'c.der')).toContain(
    'GENERALIZEDTIME   :99991231235959Z',
  );
});

it('keeps order and bytes through PEM', () => {
  const list = [makeCa('One').certificate, makeCa('Two').certificate];
  expect(parseCertificates(toPem(list)).map((one) => one.fingerprintSha256)).toEqual(
    list.map((one) => one.fingerprintSha256),
  );
});

it('refuses one byte too few, one too many, and BER', async () => {
  const { der } = makeCa().certificate;
  const parse = async (bytes: Uint8Array) => parseCertificate(bytes);
  expect(await refusal(parse(der.subarray(0, -1)))).toBe('pki/malformed');
  expect(await refusal(parse(Buffer.concat([der, Buffer.of(0)])))).toBe('pki/malformed');
  // The same length in three octets where two do.
  const longer = Buffer.concat([Buffer.of(0x30, 0x83, 0x00), der.subarray(2)]);
  expect(await refusal(parse(longer))).toBe('pki/malformed');
});

it.skipIf(!hasOpenssl)('openssl reads our request, and we read those of openssl', async () => {
  using tool = openssl();
  const { privateKey } = generateKeyPair();
  const request = createRequest({
    key: privateKey,
    commonName: 'c',
    serialNumber: 'S1',
    dnsNames: ['q.example'],
  });
  tool.write('r.der', request);
  expect(tool.run('req', '-inform', 'DER', '-in', 'r.der', '-verify', '-noout', '-text')).toContain(
    'DNS:q.example',
  );
  tool.run(
    'req',
    '-new',
    '-newkey',
    'rsa:2048',
    '-nodes',
    '-keyout',
    'k',
    '-out',
    'r.pem',
    '-subj',
    '/CN=their/serialNumber=9',
  );
  const theirs = parseRequest(tool.read('r.pem').toString());
  expect(theirs.subject).toEqual({ commonName: 'their', serialNumber: '9' });
  tool.run(
    'req',
    '-new',
    '-newkey',
    'rsa:1024',
    '-nodes',
    '-keyout',
    'k',
    '-out',
    'w.pem',
    '-subj',
    '/CN=weak',
  );
  const parse = async (input: string | Uint8Array) => parseRequest(input);
  expect(await refusal(parse(tool.read('w.pem').toString()))).toBe('pki/malformed');
});

it('a renewal asks for the names of its certificate alone, whatever a server wants in it (RFC 7030 4.2.2)', async () => {
  const ca = makeCa();
  const names = { dnsNames: ['held.example'], ipAddresses: [] };
  const held = issue(ca, { kind: 'server', commonName: 'held', ...names }).certificate;
  const without = issue(ca, { kind: 'ldevid', gatewayId: 'b' }).certificate;
  const { privateKey, publicKey } = generateKeyPair();
  const signer: Signer = { publicKey, sign: async (bytes) => sign('sha256', bytes, privateKey) };
  const value = octets(encode(sequence(taggedPrimitive(2, Buffer.from('wanted.example')))));
  const extensions = [{ id: OID.subjectAltName, der: encode(sequence(oid(OID.subjectAltName), value)) }];
  const asked = async (request: Promise<Uint8Array>) => parseRequest(await request).dnsNames;
  expect(await asked(createRenewalRequestBy(signer, held, { extensions }))).toEqual(['held.example']);
  expect(await asked(createRenewalRequestBy(signer, without, { extensions }))).toEqual([]);
  expect(await asked(createRequestBy(signer, { commonName: 'b', extensions }))).toEqual(['wanted.example']);
});

it('refuses a request whose signature is of another key', async () => {
  const [one, other] = [generateKeyPair(), generateKeyPair()];
  const request = Buffer.from(createRequest({ key: one.privateKey, commonName: 'c' }));
  const spki = one.publicKey.export({ type: 'spki', format: 'der' });
  other.publicKey.export({ type: 'spki', format: 'der' }).copy(request, request.indexOf(spki));
  const parse = async () => parseRequest(request);
  expect(await refusal(parse())).toBe('pki/untrusted');
});

it('takes a private key through PEM without showing it', () => {
  const { privateKey, publicKey } = generateKeyPair();
  const pem = exportPrivateKey(privateKey);
  expect(JSON.stringify({ pem })).toBe('{"pem":"[redacted]"}');
  expect(sameKey(publicKeyOf(importPrivateKey(pem)), publicKey)).toBe(true);
});
