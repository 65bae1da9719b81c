/**
 * Owns the controller's own keys and certificates: its servers' and its MQTT client's, certified by the signer, and
 * the bootstrap server's, certified by a local CA that no box trusts (RFC 8572 5.3: a box believes signed data only).
 * Does not own the domain's keys: those are the signer's.
 */
import { join } from 'node:path';
import { Secret } from '../model/secret.ts';
import { type Certificate, parseCertificates, toPem } from '../pki/certificate.ts';
import { issueCertificate, selfSignedCa } from '../pki/issue.ts';
import { exportPrivateKey, generateKeyPair, importPrivateKey, publicKeyOf, sameKey } from '../pki/keys.ts';
import { createRequest } from '../pki/request.ts';
import type { Clock, Files } from '../system/ports.ts';
import { createKeyFiles } from './keyholder/keyFiles.ts';
import type { IssuedCertificate, SignerClient } from './signer/client.ts';
import type { Store } from './store/store.ts';

export interface ServiceCredential {
  readonly key: Secret;
  /** Leaf first; the anchor is left out, since peers hold it. */
  readonly certificatePem: string;
  readonly notAfterMs: number;
}

export interface ServiceCredentials {
  /** EST, API, device API, MQTT. */
  readonly server: ServiceCredential;
  /** The controller as an MQTT client: `controller.service`, a name that no box can have. */
  readonly client: ServiceCredential;
  readonly bootstrapServer: ServiceCredential;
}

export const CLIENT_NAME = 'controller.service';
const BOOTSTRAP_CA = 'bootstrap-ca';
/** Beside the keys: the bootstrap server's anchor, for people. */
export const BOOTSTRAP_ANCHOR_FILE = 'bootstrap-anchor.crt';
const CLIENT_SERVICE = 'controller';
const DAY_MS = 86_400_000;
const BOOTSTRAP_LIFE_MS = 397 * DAY_MS;
const CA_LIFE_MS = 20 * 365 * DAY_MS;
/** A box's clock may be a little behind ours. */
const BACKDATE_MS = 3_600_000;
/** A new one is had when less than this part of its life is left. */
const RENEW_AT_LEFT = 1 / 3;

export interface CredentialOptions {
  readonly signer: SignerClient;
  readonly store: Store;
  readonly files: Files;
  readonly clock: Clock;
  readonly directory: string;
  readonly names: readonly string[];
  readonly addresses: readonly string[];
  /** The domain CA that signs: what another one certified is had anew, since new boxes know this one first. */
  readonly domain: Certificate;
}

/** Loads what is still good and renews the rest. Cheap where nothing is due, so it can be called every day. */
export async function ensureServiceCredentials(options: CredentialOptions): Promise<ServiceCredentials> {
  const { signer, names, addresses } = options;
  const csrOf = (key: ReturnType<typeof generateKeyPair>) => createRequest({ key: key.privateKey });
  const server = await ensure(options, 'server', (key) =>
    signer.serverCertificate({ csr: csrOf(key), dnsNames: names, ipAddresses: addresses }),
  );
  const client = await ensure(options, 'client', (key) =>
    signer.clientCertificate({ csr: csrOf(key), service: CLIENT_SERVICE }),
  );
  return { server, client, bootstrapServer: await ensureBootstrap(options) };
}

async function ensure(
  options: CredentialOptions,
  kind: 'server' | 'client',
  certify: (key: ReturnType<typeof generateKeyPair>) => Promise<IssuedCertificate>,
): Promise<ServiceCredential> {
  const known = await load(options, kind);
  if (known !== undefined) return known;
  const pair = generateKeyPair();
  const { certificate, chain } = await certify(pair);
  const certificatePem = toPem([certificate, ...chain.slice(0, -1)]);
  const key = exportPrivateKey(pair.privateKey);
  const { files, directory, clock } = options;
  await files.writeDurable(join(directory, `${kind}.key`), key.reveal(), 0o600);
  await files.writeDurable(join(directory, `${kind}.crt`), certificatePem, 0o644);
  await options.store.records.addCertificate(
    {
      fingerprintSha256: certificate.fingerprintSha256,
      number: certificate.number,
      kind,
      subject: certificate.subject.commonName ?? '',
      serial: undefined,
      notAfterMs: certificate.notAfterMs,
      pem: certificate.pem,
    },
    clock.nowMs(),
  );
  return { key, certificatePem, notAfterMs: certificate.notAfterMs };
}

/** undefined where there is none, where key and certificate do not fit, or where it is due. */
async function load(
  options: CredentialOptions,
  kind: 'server' | 'client',
): Promise<ServiceCredential | undefined> {
  const { files, directory, clock, names } = options;
  const keyPem = await files.readText(join(directory, `${kind}.key`));
  const certificatePem = await files.readText(join(directory, `${kind}.crt`));
  if (keyPem === undefined || certificatePem === undefined) return undefined;
  const key = new Secret(keyPem);
  const [leaf] = parseCertificates(certificatePem);
  if (leaf === undefined || isDue(leaf, clock.nowMs())) return undefined;
  if (!Buffer.from(leaf.issuerDer).equals(options.domain.subjectDer)) return undefined;
  if (!sameKey(publicKeyOf(importPrivateKey(key)), leaf.publicKey)) return undefined;
  if (kind === 'server' && !names.every((name) => leaf.dnsNames.includes(name))) return undefined;
  return { key, certificatePem, notAfterMs: leaf.notAfterMs };
}

async function ensureBootstrap(options: CredentialOptions): Promise<ServiceCredential> {
  const { files, directory, clock, names, addresses } = options;
  const keyFiles = createKeyFiles({ files, directory });
  const now = clock.nowMs();
  const life = (ms: number) => ({ notBeforeMs: now - BACKDATE_MS, notAfterMs: now + ms });
  const ca =
    (await keyFiles.load(BOOTSTRAP_CA)) ??
    (await keyFiles.make(BOOTSTRAP_CA, ({ privateKey }) =>
      selfSignedCa({
        commonName: 'Branchbox bootstrap server CA',
        key: privateKey,
        validity: life(CA_LIFE_MS),
        pathLength: 0,
      }),
    ));
  await files.writeDurable(join(directory, BOOTSTRAP_ANCHOR_FILE), ca.certificate.pem, 0o644);
  const known = await keyFiles.load('bootstrap');
  const good =
    known !== undefined &&
    !isDue(known.certificate, now) &&
    names.every((name) => known.certificate.dnsNames.includes(name));
  const { key, certificate } = good
    ? known
    : await keyFiles.make('bootstrap', ({ publicKey }) =>
        issueCertificate({
          profile: {
            kind: 'server',
            commonName: names[0] ?? 'localhost',
            dnsNames: names,
            ipAddresses: addresses,
          },
          publicKey,
          issuer: ca,
          validity: life(BOOTSTRAP_LIFE_MS),
        }),
      );
  return {
    key: exportPrivateKey(key),
    certificatePem: certificate.pem,
    notAfterMs: certificate.notAfterMs,
  };
}

function isDue(certificate: Certificate, nowMs: number): boolean {
  const lifeMs = certificate.notAfterMs - certificate.notBeforeMs;
  return certificate.notAfterMs - nowMs < lifeMs * RENEW_AT_LEFT;
}
