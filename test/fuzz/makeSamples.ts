/**
 * Owns making the signed samples that mutants are made of: `samples.json` is what it wrote once, so that a seed means
 * the same inputs on every machine. To make them anew: `npm run fuzz -- --make-samples`. No key is kept but of two recipients, to
 * whom nothing else belongs.
 * Does not own samples without a signature (samples.ts).
 */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Certificate } from '../../src/pki/certificate.ts';
import { certsOnly } from '../../src/pki/cms.ts';
import { ownerCertificate, signConveyed, wrapConveyed } from '../../src/pki/conveyed.ts';
import { createRevocationList } from '../../src/pki/crl.ts';
import { type Credential, issueCertificate } from '../../src/pki/issue.ts';
import { signJws } from '../../src/pki/jws.ts';
import { exportPrivateKey, generateKeyPair } from '../../src/pki/keys.ts';
import { OID } from '../../src/pki/oids.ts';
import { createRequest } from '../../src/pki/request.ts';
import { createVoucher } from '../../src/pki/voucher.ts';
import {
  createAuthorities,
  DAY_MS,
  GATEWAY,
  HOST,
  issued,
  NOW_MS,
  ownerRecord,
  SERIAL,
} from '../unit/bootstrap/authorities.ts';
import { onboarding, redirect } from '../unit/bootstrap/servers.ts';
import type { Samples } from './samples.ts';

/** What a gateway calls its key in an order. */
export const WIREGUARD_KEY = Buffer.alloc(32, 7).toString('base64');
export const NONCE = Buffer.alloc(32, 9);

export function makeSamples(): Samples {
  const all = createAuthorities();
  const { domain, idevid, manufacturer, voucherSigner, ownerSigner } = all;
  const signing = issued(domain, { kind: 'configuration-signing', commonName: 'config' });
  const release = issued(domain, { kind: 'firmware-signing', commonName: 'release' });
  const ldevid = issued(domain, { kind: 'ldevid', gatewayId: GATEWAY });
  const recipient = issued(manufacturer, { kind: 'idevid', serialNumber: SERIAL, commonName: 'recipient' });
  const between = caUnder(domain, 'Test Issuing CA');
  // As 802.1AR has it optionally: the maker's number among the alternative names, too.
  const moduleIdevid = issued(manufacturer, {
    kind: 'idevid',
    commonName: 'module',
    serialNumber: SERIAL,
    hardwareModule: { type: '1.3.6.1.4.1.32473.1', serial: Buffer.from(SERIAL) },
  });
  const below = issued(between, {
    kind: 'server',
    commonName: HOST,
    dnsNames: [HOST],
    ipAddresses: ['192.0.2.1'],
  });
  const voucher = {
    serialNumber: SERIAL,
    assertion: 'verified',
    createdOnMs: NOW_MS,
    expiresOnMs: undefined,
    nonce: NONCE,
    idevidIssuer: idevid.certificate.authorityKeyId,
    pinnedDomainCert: domain.certificate,
  } as const;
  const trustAnchor = Buffer.from(certsOnly([domain.certificate])).toString('base64');
  const elsewhere = { address: 'other.example', port: 8443, 'trust-anchor': trustAnchor };
  const onboardingJson = onboarding(ownerRecord(all, 8443));
  const base64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64');
  const json = (value: unknown): Buffer => Buffer.from(JSON.stringify(value));
  const order = { schema: 1, order: 'factory-reset', gatewayId: GATEWAY, wireguardPublicKey: WIREGUARD_KEY };
  const moveOrder = {
    ...order,
    order: 'move',
    serial: SERIAL,
    idevidSpkiSha256: idevid.certificate.spkiSha256,
    generation: 7,
    notAfterMs: NOW_MS,
    withinS: 900,
    domainAnchorPem: domain.certificate.pem,
    conveyedInformation: base64(
      signConveyed({ content: onboardingJson, format: 'json', owner: ownerSigner }),
    ),
    ownerCertificate: base64(ownerCertificate(ownerSigner)),
  };
  const digest = 'ab'.repeat(32);
  const parts = ['root', 'verity', 'uki'].map((role) => ({
    role,
    file: role,
    sizeBytes: 1024,
    sha256: digest,
  }));
  const manifest = {
    schema: 1,
    product: 'branchbox',
    arch: 'x86-64',
    version: '1.2.3',
    builtAtMs: NOW_MS,
    rootHash: digest,
    parts,
  };
  return {
    manufacturer: base64(manufacturer.certificate.der),
    domain: base64(domain.certificate.der),
    idevid: base64(idevid.certificate.der),
    moduleIdevid: base64(moduleIdevid.certificate.der),
    ldevid: base64(ldevid.certificate.der),
    between: base64(between.certificate.der),
    below: base64(below.certificate.der),
    voucher: base64(createVoucher({ voucher, signer: voucherSigner })),
    noncelessVoucher: base64(
      createVoucher({
        voucher: { ...voucher, nonce: undefined, expiresOnMs: NOW_MS + 90 * DAY_MS },
        signer: voucherSigner,
      }),
    ),
    ownerCertificate: base64(ownerCertificate(ownerSigner)),
    conveyed: base64(signConveyed({ content: onboardingJson, format: 'json', owner: ownerSigner })),
    signedRedirect: base64(
      signConveyed({ content: redirect([elsewhere]), format: 'json', owner: ownerSigner }),
    ),
    bareRedirect: base64(wrapConveyed(redirect([elsewhere]), 'json')),
    certsOnly: base64(certsOnly([ldevid.certificate, between.certificate])),
    request: base64(
      createRequest({
        key: generateKeyPair().privateKey,
        commonName: GATEWAY,
        dnsNames: [HOST],
        ipAddresses: ['::1'],
      }),
    ),
    revocations: base64(
      createRevocationList({
        issuer: domain,
        number: 7,
        thisUpdateMs: NOW_MS,
        nextUpdateMs: NOW_MS + DAY_MS,
        revoked: [
          { number: '0a', revokedAtMs: NOW_MS, reason: 'certificateHold' },
          { number: 'ff01', revokedAtMs: NOW_MS, reason: 'keyCompromise' },
        ],
      }).der,
    ),
    jws: signJws(json({ generation: 1 }), signing),
    order: signJws(json(order), signing),
    moveOrder: signJws(json(moveOrder), signing),
    manifest: signJws(json(manifest), release),
    recipient: base64(recipient.certificate.der),
    recipientKey: base64(recipient.key.export({ type: 'pkcs8', format: 'der' })),
    ...byOpenssl(voucherSigner, recipient.certificate),
  };
}

function caUnder(issuer: Credential, commonName: string): Credential {
  const { privateKey, publicKey } = generateKeyPair();
  const validity = { notBeforeMs: NOW_MS - DAY_MS, notAfterMs: NOW_MS + 900 * DAY_MS };
  const certificate = issueCertificate({ profile: { kind: 'ca', commonName }, publicKey, issuer, validity });
  return { key: privateKey, certificate, chain: [] };
}

type ByOpenssl =
  | 'rsaRequest'
  | 'berSigned'
  | 'pssSigned'
  | 'rsaRecipient'
  | 'rsaRecipientKey'
  | 'enveloped'
  | 'authEnveloped'
  | 'rsaEnveloped';

/**
 * As others write them: a request with an RSA key and attributes, signed data in BER (of indefinite length) and by RSASSA-PSS,
 * and that encrypted to the box and to the RSA key.
 */
function byOpenssl(signer: Credential, box: Certificate): Pick<Samples, ByOpenssl> {
  const directory = mkdtempSync(join(tmpdir(), 'bbt-fuzz-'));
  const openssl = (...words: readonly string[]): string =>
    execFileSync('openssl', words, { cwd: directory, stdio: 'pipe' }).toString('base64');
  try {
    writeFileSync(join(directory, 'key'), exportPrivateKey(signer.key).reveal(), { mode: 0o600 });
    writeFileSync(join(directory, 'crt'), signer.certificate.pem);
    writeFileSync(join(directory, 'content'), 'somebody else’s content');
    const subject = [
      '-subj',
      '/CN=box/serialNumber=1',
      '-addext',
      'subjectAltName=DNS:a.example,IP:2001:db8::1',
    ];
    openssl(
      'req',
      '-new',
      '-newkey',
      'rsa:2048',
      '-nodes',
      '-keyout',
      'rsa',
      ...subject,
      '-outform',
      'DER',
      '-out',
      'csr',
    );
    const signed = ['-signer', 'crt', '-inkey', 'key', '-econtent_type', OID.voucherJson, '-outform', 'DER'];
    openssl('cms', '-sign', '-stream', '-nodetach', '-binary', '-in', 'content', ...signed, '-out', 'cms');
    const pss = (flag: string) => [flag, 'rsa_padding_mode:pss', flag, 'rsa_pss_saltlen:32'];
    const root = ['-subj', '/CN=pss', '-days', '900', '-out', 'pss.crt', ...pss('-sigopt')];
    openssl('req', '-new', '-x509', '-key', 'rsa', ...root);
    const byRsa = ['-signer', 'pss.crt', '-inkey', 'rsa', ...signed.slice(4), ...pss('-keyopt')];
    openssl('cms', '-sign', '-nodetach', '-binary', '-in', 'content', ...byRsa, '-out', 'pss.cms');
    writeFileSync(join(directory, 'box.crt'), box.pem);
    const encrypt = (to: string, out: string, ...how: readonly string[]) =>
      openssl(
        'cms',
        '-encrypt',
        '-binary',
        '-in',
        'cms',
        '-outform',
        'DER',
        '-recip',
        to,
        '-out',
        out,
        ...how,
      );
    encrypt('box.crt', 'ec.cms', '-aes-256-cbc', '-stream', '-keyopt', 'ecdh_kdf_md:sha256');
    encrypt('box.crt', 'gcm.cms', '-aes-128-gcm', '-keyid');
    encrypt(
      'pss.crt',
      'rsa.cms',
      '-aes-128-cbc',
      '-keyopt',
      'rsa_padding_mode:oaep',
      '-keyopt',
      'rsa_oaep_md:sha256',
    );
    openssl('x509', '-in', 'pss.crt', '-outform', 'DER', '-out', 'rsa.crt.der');
    openssl('pkcs8', '-topk8', '-nocrypt', '-in', 'rsa', '-outform', 'DER', '-out', 'rsa.der');
    const read = (name: string): string => readFileSync(join(directory, name)).toString('base64');
    return {
      rsaRequest: read('csr'),
      berSigned: read('cms'),
      pssSigned: read('pss.cms'),
      rsaRecipient: read('rsa.crt.der'),
      rsaRecipientKey: read('rsa.der'),
      enveloped: read('ec.cms'),
      authEnveloped: read('gcm.cms'),
      rsaEnveloped: read('rsa.cms'),
    };
  } finally {
    rmSync(directory, { recursive: true });
  }
}
