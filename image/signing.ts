/**
 * Owns signing by the release key, wherever it is: a file, or behind PKCS#11.
 * Does not own what is signed, nor Secure Boot's signatures (make-uki.sh, make-disk.sh).
 */
import { createPrivateKey, sign } from 'node:crypto';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Certificate, parseCertificates } from '../src/pki/certificate.ts';
import { decode } from '../src/pki/der.ts';
import { childrenOf, TAG } from '../src/pki/der-read.ts';
import { completeJws, jwsToSign } from '../src/pki/jws.ts';
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

/** ECDSA-Sig-Value (RFC 3279 2.2.3) as JWS has it: r and s of P-256, 32 octets each (RFC 7518 3.4). Pure. */
export function toPlainSignature(der: Uint8Array): Uint8Array {
  const [r, s] = childrenOf(decode(der), TAG.sequence, 'ECDSA signature').map(({ content }) =>
    // Without the sign octet, and with the zeros that DER leaves out.
    Buffer.concat([Buffer.alloc(32), content]).subarray(-32),
  );
  if (r === undefined || s === undefined) throw new TypeError('An ECDSA signature has two numbers');
  return Buffer.concat([r, s]);
}
