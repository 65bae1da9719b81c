/**
 * Owns the controller's own keys and certificates: its servers' and its MQTT client's, certified by the signer.
 * The bootstrap server's is of the domain too: a box that asks believes signed data only (RFC 8572 5.3), and one that has a
 * voucher tells its progress to nobody else. Does not own the domain's keys: those are the signer's.
 */
import { join } from 'node:path';
import { BranchboxError } from '../model/errors.ts';
import { Secret } from '../model/secret.ts';
import { type Certificate, parseCertificates, toPem } from '../pki/certificate.ts';
import { exportPrivateKey, generateKeyPair, importPrivateKey, publicKeyOf, sameKey } from '../pki/keys.ts';
import { createRequest } from '../pki/request.ts';
import type { Clock, Files, Logger } from '../system/ports.ts';
import type { IssuedCertificate, SignerClient } from './signer/client.ts';
import type { Store } from './store/store.ts';

export interface ServiceCredential {
  readonly key: Secret;
  /** Leaf first; the anchor is left out, since peers hold it. */
  readonly certificatePem: string;
  readonly notAfterMs: number;
}

export interface ServiceCredentials {
  /** SZTP, EST, API, device API, MQTT. */
  readonly server: ServiceCredential;
  /** The controller as an MQTT client: `controller.service`, a name that no box can have. */
  readonly client: ServiceCredential;
}

export const CLIENT_NAME = 'controller.service';
const CLIENT_SERVICE = 'controller';
/** A new one is had when less than this part of its life is left. */
const RENEW_AT_LEFT = 1 / 3;

export interface CredentialOptions {
  readonly signer: SignerClient;
  readonly store: Store;
  readonly files: Files;
  readonly clock: Clock;
  readonly log: Logger;
  readonly directory: string;
  readonly names: readonly string[];
  readonly addresses: readonly string[];
  /** The domain CA that signs: what another one certified is had anew, since new boxes know this one first. */
  readonly domain: Certificate;
}

/**
 * Loads what is still good and renews the rest. Cheap where nothing is due, so it can be called every day. `without`: the
 * number of a certificate that is not to be used any more. One that is revoked for good is none to use either, also where it
 * came back by a copy of the directory.
 */
export async function ensureServiceCredentials(
  options: CredentialOptions,
  without?: string,
): Promise<ServiceCredentials> {
  const { signer, names, addresses } = options;
  const revoked = (await signer.revokedForGood()).map(({ number }) => number);
  const unusable = new Set(without === undefined ? revoked : [...revoked, without]);
  const csrOf = (key: ReturnType<typeof generateKeyPair>) => createRequest({ key: key.privateKey });
  const server = await ensure(options, unusable, 'server', (key) =>
    signer.serverCertificate({ csr: csrOf(key), dnsNames: names, ipAddresses: addresses }),
  );
  const client = await ensure(options, unusable, 'client', (key) =>
    signer.clientCertificate({ csr: csrOf(key), service: CLIENT_SERVICE }),
  );
  return { server, client };
}

async function ensure(
  options: CredentialOptions,
  unusable: ReadonlySet<string>,
  kind: 'server' | 'client',
  certify: (key: ReturnType<typeof generateKeyPair>) => Promise<IssuedCertificate>,
): Promise<ServiceCredential> {
  const known = await load(options, unusable, kind);
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

/** undefined where there is none whole, where key and certificate do not fit, where it is due or not to be used. */
async function load(
  options: CredentialOptions,
  unusable: ReadonlySet<string>,
  kind: 'server' | 'client',
): Promise<ServiceCredential | undefined> {
  const { clock, names } = options;
  const held = await readWhole(options, `${kind}.key`, (pem) => {
    const key = new Secret(pem);
    return { key, publicKey: publicKeyOf(importPrivateKey(key)) };
  });
  const certified = await readWhole(options, `${kind}.crt`, (certificatePem) => {
    return { certificatePem, leaf: parseCertificates(certificatePem)[0] };
  });
  if (held === undefined || certified === undefined) return undefined;
  const { leaf, certificatePem } = certified;
  if (leaf === undefined || isDue(leaf, clock.nowMs()) || unusable.has(leaf.number)) {
    return undefined;
  }
  if (!Buffer.from(leaf.issuerDer).equals(options.domain.subjectDer)) return undefined;
  if (!sameKey(held.publicKey, leaf.publicKey)) return undefined;
  if (kind === 'server' && !names.every((name) => leaf.dnsNames.includes(name))) return undefined;
  return { key: held.key, certificatePem, notAfterMs: leaf.notAfterMs };
}

/** undefined where it is not there, or damaged: that is put aside, since a new one is had for the asking. */
async function readWhole<T>(
  { files, directory, log }: CredentialOptions,
  name: string,
  read: (text: string) => T,
): Promise<T | undefined> {
  const path = join(directory, name);
  try {
    const text = await files.readText(path);
    return text === undefined ? undefined : read(text);
  } catch (thrown) {
    // An unreadable disk sector as well as a text that is none.
    if (!(thrown instanceof BranchboxError)) throw thrown;
    const damaged = await files.readBytes(path).catch(() => undefined);
    log.error('a file of the controller is damaged, its key and certificate are made anew', {
      path,
      problem: thrown.message,
      ...(damaged !== undefined && { aside: `${path}.damaged` }),
    });
    if (damaged !== undefined) await files.writeDurable(`${path}.damaged`, damaged, 0o600);
    return undefined;
  }
}

function isDue(certificate: Certificate, nowMs: number): boolean {
  const lifeMs = certificate.notAfterMs - certificate.notBeforeMs;
  return certificate.notAfterMs - nowMs < lifeMs * RENEW_AT_LEFT;
}
