import { expect, it } from 'vitest';
import { signJws, verifyJws } from '../../../src/pki/jws.ts';
import { OID } from '../../../src/pki/oids.ts';
import { DAY_MS, issue, makeCa, NOW_MS, refusal, VALIDITY } from './domain.ts';

const ca = makeCa();
const signer = issue(ca, { kind: 'configuration-signing', commonName: 'config' });
const payload = Buffer.from('{"generation": 7 }');
const options = { anchors: [ca.certificate], atMs: NOW_MS };

it('gives the exact bytes back', async () => {
  const verified = await verifyJws(signJws(payload, signer), options);
  expect(Buffer.from(verified.payload)).toEqual(payload);
  expect(verified.signer.subject.commonName).toBe('config');
});

it.each(['ldevid', 'server', 'client', 'owner', 'idevid', 'firmware-signing'] as const)(
  'a %s certificate signs none',
  async (kind) => {
    const names = {
      gatewayId: 'b',
      commonName: 'x',
      serialNumber: 'S',
      dnsNames: ['a.example'],
      ipAddresses: [],
    };
    const other = issue(ca, { kind, ...names });
    expect(await refusal(verifyJws(signJws(payload, other), options))).toBe('pki/untrusted');
  },
);

it('holds a signer to the usage that is asked for', async () => {
  const firmware = issue(ca, { kind: 'firmware-signing', commonName: 'release' });
  const asked = { ...options, extendedKeyUsage: OID.firmwareSigning };
  expect(await refusal(verifyJws(signJws(payload, firmware), asked))).toBe('accepted');
  expect(await refusal(verifyJws(signJws(payload, signer), asked))).toBe('pki/untrusted');
});

it('judges anchor, time and size', async () => {
  const jws = signJws(payload, signer);
  expect(await refusal(verifyJws(jws, { ...options, anchors: [makeCa().certificate] }))).toBe(
    'pki/untrusted',
  );
  expect(await refusal(verifyJws(jws, { ...options, atMs: VALIDITY.notAfterMs + DAY_MS }))).toBe(
    'pki/expired',
  );
  expect(await refusal(verifyJws(jws, { ...options, maxBytes: 100 }))).toBe('pki/malformed');
});

it.each([
  ['none', { alg: 'none' }],
  ['HS256', { alg: 'HS256' }],
  ['crit', { alg: 'ES256', crit: ['exp'] }],
  ['jwk', { alg: 'ES256', jwk: {} }],
])('refuses a header with %s', async (_, change) => {
  const [header = '', ...rest] = signJws(payload, signer).split('.');
  const changed: unknown = { ...JSON.parse(Buffer.from(header, 'base64url').toString()), ...change };
  const forged = [Buffer.from(JSON.stringify(changed)).toString('base64url'), ...rest].join('.');
  expect(await refusal(verifyJws(forged, options))).toBe('pki/malformed');
});

it('refuses a payload of another message, and a cut one', async () => {
  const [header, , signature] = signJws(payload, signer).split('.');
  const [, other] = signJws(Buffer.from('{"generation": 8 }'), signer).split('.');
  expect(await refusal(verifyJws([header, other, signature].join('.'), options))).toBe('pki/untrusted');
  expect(await refusal(verifyJws(signJws(payload, signer).slice(0, -1), options))).not.toBe('accepted');
});

it('refuses another spelling of the same signature bytes', async () => {
  // 64 bytes are 86 characters of base64url; the last carries four bits that decode to nothing.
  const jws = signJws(payload, signer);
  const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
  const last = alphabet.indexOf(jws.at(-1) ?? '');
  const respelled = jws.slice(0, -1) + alphabet.charAt(last ^ 1);
  expect(Buffer.from(respelled.split('.')[2] ?? '', 'base64url')).toEqual(
    Buffer.from(jws.split('.')[2] ?? '', 'base64url'),
  );
  expect(await refusal(verifyJws(respelled, options))).toBe('pki/malformed');
});
