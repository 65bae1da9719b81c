/** The validation of chains, held against issuers, usages and circles that must be refused. */
import { expect, it } from 'vitest';
import type { Certificate, KeyUsage } from '../../../src/pki/certificate.ts';
import { UNRESTRICTED, validateChain } from '../../../src/pki/chain.ts';
import { type Credential, issueCertificate, selfSignedCa } from '../../../src/pki/issue.ts';
import { generateKeyPair } from '../../../src/pki/keys.ts';
import { OID } from '../../../src/pki/oids.ts';
import { DAY_MS, issue, makeCa, NOW_MS, openssl, refusal, VALIDITY } from './domain.ts';

const root = makeCa('Root');
const sub = issue(root, { kind: 'ca', commonName: 'Sub' });
const leaf = issue(sub, { kind: 'ldevid', gatewayId: 'branch1' });
const base = {
  leaf: leaf.certificate,
  intermediates: [sub.certificate],
  anchors: [root.certificate],
  atMs: NOW_MS,
};

it('walks from leaf to anchor, in whatever order the rest came', async () => {
  const noise = [makeCa('Noise').certificate, leaf.certificate, root.certificate];
  const path = await validateChain({ ...base, intermediates: [...noise, sub.certificate] });
  expect(path.map((one) => one.subject.commonName)).toEqual(['branch1', 'Sub', 'Root']);
});

it('takes an anchor that is not self-signed, and a leaf that is the anchor', async () => {
  expect(await validateChain({ ...base, intermediates: [], anchors: [sub.certificate] })).toHaveLength(2);
  expect(await validateChain({ ...base, anchors: [leaf.certificate] })).toHaveLength(1);
});

it.each([
  ['another anchor of the same name', { anchors: [makeCa('Root').certificate] }, 'pki/untrusted'],
  ['no anchor', { anchors: [] }, 'pki/untrusted'],
  ['a missing intermediate', { intermediates: [] }, 'pki/untrusted'],
  ['another usage', { extendedKeyUsage: OID.configurationSigning }, 'pki/untrusted'],
  ['a usage where none may be', { extendedKeyUsage: UNRESTRICTED }, 'pki/untrusted'],
  ['a time after its end', { atMs: VALIDITY.notAfterMs + DAY_MS }, 'pki/expired'],
  ['1970', { atMs: 0 }, 'pki/expired'],
  ['1970 and another anchor', { atMs: 0, anchors: [makeCa('Root').certificate] }, 'pki/untrusted'],
  ['the right usage', { extendedKeyUsage: OID.clientAuth }, 'accepted'],
])('%s', async (_, change, code) => {
  expect(await refusal(validateChain({ ...base, ...change }))).toBe(code);
});

it('takes a host that names no usage for a server where that is asked for', async () => {
  const server = { extendedKeyUsage: OID.serverAuth, takesUnnamedUsage: true };
  const host = issue(sub, { kind: 'server', commonName: 'est', dnsNames: ['est.example'], ipAddresses: [] });
  const judged = (
    changed: Partial<Certificate>,
    asked: Partial<Parameters<typeof validateChain>[0]> = server,
  ) => refusal(validateChain({ ...base, ...asked, leaf: { ...host.certificate, ...changed } }));
  const unnamed = { extendedKeyUsage: undefined };
  expect(await judged(unnamed)).toBe('accepted');
  expect(await judged(unnamed, { extendedKeyUsage: OID.serverAuth })).toBe('pki/untrusted');
  expect(await judged({ extendedKeyUsage: [OID.clientAuth] })).toBe('pki/untrusted');
  expect(await judged({ ...unnamed, isCa: true })).toBe('pki/untrusted');
  // Who signs for an owner, say.
  expect(await judged({ ...unnamed, dnsNames: [] })).toBe('pki/untrusted');
});

it.each<[readonly KeyUsage[], string | undefined, string]>([
  [['nonRepudiation'], UNRESTRICTED, 'accepted'],
  [['digitalSignature', 'nonRepudiation', 'keyEncipherment'], UNRESTRICTED, 'accepted'],
  [['keyEncipherment', 'keyAgreement'], UNRESTRICTED, 'pki/untrusted'],
  [['nonRepudiation'], undefined, 'pki/untrusted'],
])('a key for %j is %s: %s', async (keyUsage, usage, code) => {
  const signer = issue(sub, { kind: 'voucher-signing', commonName: 'vouchers' });
  const asked = usage === undefined ? {} : { extendedKeyUsage: usage };
  const judged = validateChain({ ...base, ...asked, leaf: { ...signer.certificate, keyUsage } });
  expect(await refusal(judged)).toBe(code);
});

const ANY = '2.5.29.37.0';
const EMAIL = '1.3.6.1.5.5.7.3.4';
const CODE = '1.3.6.1.5.5.7.3.3';

it.each<[readonly string[] | undefined, readonly string[] | undefined, string]>([
  [[ANY], undefined, 'accepted'],
  [[OID.clientAuth, ANY], undefined, 'accepted'],
  [undefined, [ANY], 'accepted'],
  [[OID.serverAuth], undefined, 'pki/untrusted'],
  [[OID.serverAuth], [ANY], 'pki/untrusted'],
  [[EMAIL], undefined, 'pki/untrusted'],
  [[CODE], undefined, 'pki/untrusted'],
  [[ANY], [OID.serverAuth], 'pki/untrusted'],
  [[], undefined, 'pki/untrusted'],
])('who signs documents, for %j below a CA for %j: %s', async (ofSigner, ofCa, code) => {
  const signer = issue(sub, { kind: 'voucher-signing', commonName: 'vouchers' });
  const judged = validateChain({
    ...base,
    leaf: { ...signer.certificate, extendedKeyUsage: ofSigner },
    intermediates: [{ ...sub.certificate, extendedKeyUsage: ofCa }],
    extendedKeyUsage: UNRESTRICTED,
  });
  expect(await refusal(judged)).toBe(code);
});

it('a leaf must name the usage that is asked for, be it for any; a CA for any may issue it', async () => {
  const asked = { ...base, extendedKeyUsage: OID.clientAuth };
  const any = { ...leaf.certificate, extendedKeyUsage: [ANY] };
  expect(await refusal(validateChain({ ...asked, leaf: any }))).toBe('pki/untrusted');
  const intermediates = [{ ...sub.certificate, extendedKeyUsage: [ANY] }];
  expect(await refusal(validateChain({ ...asked, intermediates }))).toBe('accepted');
});

it('refuses an issuer that is no CA', async () => {
  const box = issue(leaf, { kind: 'configuration-signing', commonName: 'forged' });
  const intermediates = [leaf.certificate, sub.certificate];
  expect(await refusal(validateChain({ ...base, leaf: box.certificate, intermediates }))).toBe(
    'pki/untrusted',
  );
});

it('refuses a CA below one that allows none', async () => {
  const narrow = issue(root, { kind: 'ca', commonName: 'Narrow', pathLength: 0 });
  const below = issue(narrow, { kind: 'ca', commonName: 'Below' });
  const box = issue(below, { kind: 'ldevid', gatewayId: 'b' });
  const intermediates = [below.certificate, narrow.certificate];
  expect(await refusal(validateChain({ ...base, leaf: box.certificate, intermediates }))).toBe(
    'pki/untrusted',
  );
  const direct = issue(narrow, { kind: 'ldevid', gatewayId: 'b' });
  expect(await refusal(validateChain({ ...base, leaf: direct.certificate, intermediates }))).toBe('accepted');
});

it('counts no link of a CA to its own next key as a CA below it', async () => {
  const rootOf = (commonName: string): Credential => {
    const { privateKey } = generateKeyPair();
    const certificate = selfSignedCa({ commonName, key: privateKey, validity: VALIDITY, pathLength: 0 });
    return { key: privateKey, certificate, chain: [] };
  };
  const old = rootOf('Flat');
  for (const [next, verdict] of [
    [rootOf('Flat'), 'accepted'],
    [rootOf('Another'), 'pki/untrusted'],
  ] as const) {
    const box = issue(next, { kind: 'ldevid', gatewayId: 'b' });
    const link = issueCertificate({
      profile: { kind: 'ca', commonName: next.certificate.subject.commonName ?? '', pathLength: 0 },
      publicKey: next.certificate.publicKey,
      issuer: old,
      validity: VALIDITY,
    });
    const chain = { leaf: box.certificate, intermediates: [link], anchors: [old.certificate] };
    expect(await refusal(validateChain({ ...base, ...chain }))).toBe(verdict);
    // The same by openssl, which knows nothing of ours.
    using tool = openssl();
    tool.write('old', old.certificate.pem);
    tool.write('link', link.pem);
    tool.write('box', box.certificate.pem);
    const at = ['-attime', String(NOW_MS / 1000)];
    const verify = () => tool.run('verify', ...at, '-CAfile', 'old', '-untrusted', 'link', 'box');
    if (verdict === 'accepted') expect(verify()).toContain('OK');
    else expect(verify).toThrow(/path length constraint exceeded/);
  }
});

it('ends on two CAs that certify each other', async () => {
  const [one, two] = [makeCa('One'), makeCa('Two')];
  const crossed = [
    { of: one, by: two, commonName: 'One' },
    { of: two, by: one, commonName: 'Two' },
  ].map(({ of, by, commonName }) =>
    issueCertificate({
      profile: { kind: 'ca', commonName },
      publicKey: of.certificate.publicKey,
      issuer: by,
      validity: VALIDITY,
    }),
  );
  const box = issue(one, { kind: 'ldevid', gatewayId: 'b' });
  expect(await refusal(validateChain({ ...base, leaf: box.certificate, intermediates: crossed }))).toBe(
    'pki/untrusted',
  );
});
