/**
 * Owns signing by the release key, wherever it is: a file, or behind PKCS#11.
 * Does not own what is signed, nor Secure Boot's signatures (make-uki.sh, make-disk.sh).
 */
import { createPrivateKey, sign } from 'node:crypto';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { asBranchboxError, BranchboxError } from '../src/model/errors.ts';
import { FirmwareManifest } from '../src/model/firmware.ts';
import { type Certificate, parseCertificates } from '../src/pki/certificate.ts';
import { decode } from '../src/pki/der.ts';
import { childrenOf, TAG } from '../src/pki/derRead.ts';
import { completeJws, jwsToSign } from '../src/pki/jws.ts';
import { verifyManifest } from '../src/update/manifest.ts';
import type { Keys } from './keys.ts';
import type { Toolbox } from './toolbox.ts';

export interface ReleaseSigner {
  readonly certificates: readonly Certificate[];
  /** ECDSA with SHA-256, in DER, as openssl verifies it. */
  sign(data: Uint8Array): Promise<Uint8Array>;
}

/** `toolbox` with signingEnvironment(); `scratch`: a directory that a step may see, for data on its way to a token. */
export async function createReleaseSigner(
  { release, directory }: Keys,
  toolbox: Toolbox,
  scratch: string,
): Promise<ReleaseSigner> {
  const certificates = parseCertificates(await readFile(release.certificate, 'utf8'));
  if (!release.key.startsWith('pkcs11:')) {
    const key = createPrivateKey(await readFile(release.key));
    return { certificates, sign: (data) => Promise.resolve(sign('sha256', data, key)) };
  }
  return {
    certificates,
    async sign(data) {
      const own = await mkdtemp(join(scratch, 'sign-'));
      try {
        await writeFile(join(own, 'data'), data);
        // The PIN is in a file that the URI names: never among the words of a command.
        const words = ['openssl', 'dgst', '-sha256', '-sign', release.key, '-out', join(own, 'signature')];
        await toolbox.run([directory, own, import.meta.dirname], [...words, join(own, 'data')]);
        return await readFile(join(own, 'signature'));
      } finally {
        await rm(own, { recursive: true });
      }
    },
  };
}

export async function signJwsBy(signer: ReleaseSigner, payload: Uint8Array): Promise<string> {
  const signed = jwsToSign(payload, signer.certificates);
  return completeJws(signed, toPlainSignature(await signer.sign(Buffer.from(signed))));
}

/**
 * The time that a manifest names, at which a box judges who signed it: that of the commit, or where the keys were made
 * after it, the first at which they are good. The same keys and commit give the same. Pure.
 */
export function signedAtMs(
  commitTimeMs: number,
  signers: readonly Certificate[],
  anchors: readonly Certificate[],
): number {
  const above = anchors.filter(({ subjectDer }) =>
    signers.some(({ issuerDer }) => Buffer.from(issuerDer).equals(subjectDer)),
  );
  return Math.max(commitTimeMs, ...[...signers, ...above].map(({ notBeforeMs }) => notBeforeMs));
}

/**
 * Of an update's manifest, looked at as a box of this build will: keys that do not belong together would be noticed
 * there alone, when no box takes an update any more. Throws `system/file`.
 */
export async function signUpdateBy(
  signer: ReleaseSigner,
  manifest: Uint8Array,
  anchors: readonly Certificate[],
): Promise<string> {
  const jws = await signJwsBy(signer, manifest);
  const { arch } = FirmwareManifest.parse(JSON.parse(Buffer.from(manifest).toString()));
  await verifyManifest(jws, { anchors, arch }).catch((cause: unknown) => {
    throw new BranchboxError('system/file', {
      message: `No box would believe what these keys sign: ${asBranchboxError(cause).message}`,
      mend: 'release.crt must be of release.key, be issued by a CA of release-anchors.pem, and carry the extended key usage (docs/image.md).',
      cause,
    });
  });
  return jws;
}

/** ECDSA-Sig-Value (RFC 3279 2.2.3) as JWS has it: r and s of P-256, 32 octets each (RFC 7518 3.4). Pure. */
export function toPlainSignature(der: Uint8Array): Uint8Array {
  const [r, s] = childrenOf(decode(der), TAG.sequence, 'ECDSA signature').map(({ content }) =>
    // Without the sign octet, and with the zeros that DER leaves out.
    Buffer.concat([Buffer.alloc(32), content]).subarray(-32),
  );
  if (r === undefined || s === undefined) throw new TypeError('An ECDSA signature has two numbers');
  return Buffer.concat([r, s]);
}
