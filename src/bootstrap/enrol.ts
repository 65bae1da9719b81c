/**
 * Owns a certificate from key to checked answer, on disk at each step so that a power cut never enrols twice
 * where the certificate is already there. Does not own when to enrol (ownerEnrolment.ts, renew.ts).
 */
import type { Owner } from '../model/bootstrap.ts';
import { asBranchboxError, BranchboxError } from '../model/errors.ts';
import { Secret } from '../model/secret.ts';
import { type Certificate, parseCertificates, toPem } from '../pki/certificate.ts';
import { validateChain } from '../pki/chain.ts';
import { exportPublicKey, sameKey } from '../pki/keys.ts';
import { createRenewalRequestBy, createRequestBy, type RequestDemands } from '../pki/request.ts';
import type { Files, Logger } from '../system/ports.ts';
import type { TrustedClock } from './clockFloor.ts';
import type { DeviceKey, DeviceKeys } from './deviceKeys.ts';
import type { TlsIdentity } from './https.ts';
import type { CredentialPaths } from './paths.ts';

const MAX_FILE_BYTES = 64 * 1024;

/** A local identity: key and certificate on disk that fit each other and the owner. */
export interface LocalIdentity {
  readonly certificate: Certificate;
  readonly tls: TlsIdentity;
}

export interface EnrolmentAnswer {
  readonly issued: readonly Certificate[];
  readonly others: readonly Certificate[];
  /** When the certificate ends by which the server that answered just now proved itself. */
  readonly serverEndsAtMs: number;
}

export interface Enrolment {
  /**
   * What is on disk, or undefined where there is no certificate, it does not fit, or its key is lost. Throws
   * system/key-unusable where the TPM does not serve just now.
   */
  read(owner: Owner, paths: CredentialPaths): Promise<LocalIdentity | undefined>;
  /**
   * The request for the key at `paths.key`, which is made and stored first where there is none that can be read. `renewed`:
   * the certificate whose names it repeats, whatever its CA made of those that were asked for (RFC 7030 4.2.2). `demands`: what the
   * server wants in it beside those.
   */
  request(
    owner: Owner,
    paths: CredentialPaths,
    renewed?: Certificate,
    demands?: RequestDemands,
  ): Promise<Uint8Array>;
  /** Checks what the CA issued and stores it. Throws pki/* where it is not ours, and stores nothing. */
  accept(owner: Owner, paths: CredentialPaths, answer: EnrolmentAnswer): Promise<LocalIdentity>;
  /** false: it begins later than it can be by now; it was made under a clock that is wrong. */
  canHaveBegun(identity: LocalIdentity): boolean;
}

export function createEnrolment(options: {
  readonly files: Files;
  readonly keys: DeviceKeys;
  readonly clock: TrustedClock;
  /** Of this box, by its factory identity. */
  readonly serial: string;
  readonly log: Logger;
}): Enrolment {
  const { files, keys, clock, serial, log } = options;
  /**
   * RFC 7030 4.2.3: a client that is told to come again repeats its request. A server may recognise that by its bytes, which no
   * two ECDSA signatures share, so the request is kept, and the one that a server's demands made of it; a restart makes others.
   */
  const made = new Map<'plain' | 'demanded', { readonly of: string; readonly request: Uint8Array }>();

  async function readKey(path: string): Promise<DeviceKey | undefined> {
    const text = await files.readText(path, MAX_FILE_BYTES);
    if (text === undefined) return undefined;
    try {
      const key = keys.open(new Secret(text));
      await keys.prove(key);
      return key;
    } catch (thrown) {
      const { code, message } = asBranchboxError(thrown);
      if (code === 'system/key-unusable') throw thrown;
      log.warn('local key cannot be used any more, a new one is made', { path, code, problem: message });
      return undefined;
    }
  }

  /** The one that carries our key, checked, or why it cannot be used. */
  async function check(
    owner: Owner,
    { publicKey }: DeviceKey,
    issued: readonly Certificate[],
    others: readonly Certificate[],
    atMs: (leaf: Certificate) => number,
  ): Promise<{ leaf: Certificate; chain: readonly Certificate[] }> {
    const leaf = issued.find((certificate) => sameKey(certificate.publicKey, publicKey));
    if (leaf === undefined) {
      throw new BranchboxError('pki/mismatch', {
        message: 'The issued certificate is not for the key of this box',
      });
    }
    if (leaf.isCa || leaf.subject.commonName !== owner.gatewayId) {
      throw new BranchboxError('pki/mismatch', {
        message: `The issued certificate is for ${leaf.isCa ? 'a CA' : (leaf.subject.commonName ?? 'nobody')}, not for ${owner.gatewayId}`,
      });
    }
    const anchors = parseCertificates(owner.domainAnchorPem);
    const intermediates = [...issued, ...others].filter((certificate) => certificate !== leaf);
    const path = await validateChain({ leaf, intermediates, anchors, atMs: atMs(leaf) });
    // The anchor is left out: peers have it or do not believe it.
    return { leaf, chain: path.slice(1, -1) };
  }

  return {
    canHaveBegun: ({ certificate: { notBeforeMs } }) => notBeforeMs <= clock.latestStartMs(notBeforeMs),

    async read(owner, paths) {
      const stored = await readKey(paths.key);
      const text = await files.readText(paths.certificate, MAX_FILE_BYTES);
      if (stored === undefined || text === undefined) return undefined;
      try {
        const certificates = parseCertificates(text);
        // Dates are for whoever uses it: an expired one still says who we are, and begins a recovery.
        const { leaf } = await check(owner, stored, certificates, [], (found) => found.notBeforeMs);
        return { certificate: leaf, tls: { key: stored.pem, certificatePem: toPem(certificates) } };
      } catch (thrown) {
        log.warn('local certificate on disk does not fit, it is not used', {
          path: paths.certificate,
          code: asBranchboxError(thrown).code,
        });
        return undefined;
      }
    },

    async request(owner, paths, renewed, demands) {
      let key = await readKey(paths.key);
      if (key === undefined) {
        key = await keys.make();
        // Before it is used: a certificate for a key that a power cut took would be lost.
        await files.writeDurable(paths.key, key.pem.reveal(), 0o600);
      }
      const kind = demands === undefined ? 'plain' : 'demanded';
      const of = JSON.stringify([
        owner.gatewayId,
        Buffer.from(exportPublicKey(key.publicKey)).toString('base64'),
        renewed?.fingerprintSha256,
        demands?.extensions?.map(({ der }) => Buffer.from(der).toString('base64')),
      ]);
      const kept = made.get(kind);
      if (demands?.challengePassword === undefined && kept?.of === of) return kept.request;
      // A certificate in which the CA put a number of its own is not asked for again: `accept` would refuse it.
      const repeats = renewed !== undefined && (renewed.subject.serialNumber ?? serial) === serial;
      const request = repeats
        ? await createRenewalRequestBy(key, renewed, demands)
        : await createRequestBy(key, {
            commonName: owner.gatewayId,
            serialNumber: serial,
            ...demands,
          });
      // One that names its session is of no other.
      if (demands?.challengePassword === undefined) made.set(kind, { of, request });
      return request;
    },

    async accept(owner, paths, { issued, others, serverEndsAtMs }) {
      const stored = await readKey(paths.key);
      if (stored === undefined) {
        throw new BranchboxError('system/file', { message: `${paths.key} went away while enrolling` });
      }
      // The owner's server proved itself just now, so the certificate's beginning is a lower bound of the time. A clock in 1970
      // needs that where a restart lost what the voucher told. It is capped at the end of the server's certificate: a CA whose
      // clock is years ahead may not tell a box what time it is.
      const { leaf, chain } = await check(owner, stored, issued, others, ({ notBeforeMs }) =>
        Math.max(clock.nowMs(), Math.min(clock.latestStartMs(notBeforeMs), serverEndsAtMs)),
      );
      // Optional (IEEE 802.1AR 8.6): our CA names the gateway alone, others may name both. Asked of new certificates only: new
      // software must not put a box out of service whose present one has a number of its CA's own.
      if ((leaf.subject.serialNumber ?? serial) !== serial) {
        throw new BranchboxError('pki/mismatch', {
          message: `The issued certificate is for the box ${leaf.subject.serialNumber}, this box is ${serial}`,
        });
      }
      const pem = toPem([leaf, ...chain]);
      await files.writeDurable(paths.certificate, pem, 0o644);
      return { certificate: leaf, tls: { key: stored.pem, certificatePem: pem } };
    },
  };
}
