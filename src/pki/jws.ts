/**
 * Owns signed desired states and firmware manifests: compact JWS (RFC 7515), ES256, certificates in x5c, over the exact bytes.
 * Does not own what the bytes say.
 */
import { sign, verify } from 'node:crypto';
import { z } from 'zod';
import { decodeJson } from '../model/decode.ts';
import { BranchboxError } from '../model/errors.ts';
import { parseBase64, toBase64 } from './base64.ts';
import { type Certificate, parseCertificate } from './certificate.ts';
import { validateChain } from './chain.ts';
import { malformed } from './der.ts';
import type { Credential } from './issue.ts';
import { OID } from './oids.ts';

export interface VerifiedJws {
  readonly payload: Uint8Array;
  readonly signer: Certificate;
}

/** The desired state's own cap of 4 MiB (model/desired.ts) in base64, and its header. */
const MAX_JWS_CHARS = 6 * 1024 * 1024;
const MAX_HEADER_BYTES = 32 * 1024;
/** ES256 is ECDSA over P-256 (RFC 7518 3.4): r and s, 32 octets each. */
const SIGNATURE_BYTES = 64;

/** Strict: `crit`, `jku`, `jwk` and their like change what a verifier trusts, and we need none of them. */
const Header = z.strictObject({
  alg: z.literal('ES256'),
  typ: z.string().max(64).optional(),
  x5c: z.array(z.base64().max(8192)).min(1).max(6),
});

export function signJws(payload: Uint8Array, signer: Credential): string {
  const signed = jwsToSign(payload, [signer.certificate, ...signer.chain]);
  return completeJws(
    signed,
    sign('sha256', Buffer.from(signed), { key: signer.key, dsaEncoding: 'ieee-p1363' }),
  );
}

/** What is signed, where the key is not in this process; `certificates`: the signer's first, then what stands above. */
export function jwsToSign(payload: Uint8Array, certificates: readonly Certificate[]): string {
  const header: z.input<typeof Header> = {
    alg: 'ES256',
    x5c: certificates.map(({ der }) => toBase64(der)),
  };
  return `${toBase64Url(Buffer.from(JSON.stringify(header)))}.${toBase64Url(payload)}`;
}

/** `signature`: r and s, 32 octets each. */
export const completeJws = (signed: string, signature: Uint8Array): string =>
  `${signed}.${toBase64Url(signature)}`;

/**
 * The signer chains to an anchor at `atMs` and carries the usage: one of ours, configuration signing where none is said.
 * For a committed state `atMs` is when it was accepted: a signer that expired since does not undo it.
 */
export async function verifyJws(
  jws: string,
  options: {
    readonly anchors: readonly Certificate[];
    readonly atMs: number;
    readonly maxBytes?: number;
    readonly extendedKeyUsage?: string;
  },
): Promise<VerifiedJws> {
  const { anchors, atMs, maxBytes = MAX_JWS_CHARS, extendedKeyUsage = OID.configurationSigning } = options;
  if (jws.length > maxBytes) throw malformed(`A JWS of ${jws.length} bytes is larger than ${maxBytes}`);
  const [headerText, payloadText, signatureText, ...more] = jws.split('.');
  if (
    headerText === undefined ||
    payloadText === undefined ||
    signatureText === undefined ||
    more.length > 0
  ) {
    throw malformed('A compact JWS has three parts');
  }
  const [leaf, ...intermediates] = readHeader(headerText);
  const payload = fromBase64Url(payloadText, 'The payload of a JWS');
  const signature = fromBase64Url(signatureText, 'The signature of a JWS');
  if (leaf === undefined) throw malformed('A JWS carries no certificate');
  if (leaf.publicKey.asymmetricKeyDetails?.namedCurve !== 'prime256v1') {
    throw malformed('A JWS with ES256 is signed by a key that is not on P-256');
  }
  const signed = Buffer.from(`${headerText}.${payloadText}`);
  const key = { key: leaf.publicKey, dsaEncoding: 'ieee-p1363' } as const;
  if (signature.length !== SIGNATURE_BYTES || !verify('sha256', signed, key, signature)) {
    throw new BranchboxError('pki/untrusted', { message: 'The signature of a JWS does not fit its content' });
  }
  await validateChain({ leaf, intermediates, anchors, atMs, extendedKeyUsage });
  return { payload, signer: leaf };
}

/** The certificate that a JWS names as its signer's, judged by nobody; undefined where it names none. */
export function jwsSigner(jws: string): Certificate | undefined {
  try {
    return readHeader(jws.split('.', 1)[0] ?? '')[0];
  } catch {
    return undefined;
  }
}

function readHeader(text: string): readonly Certificate[] {
  const bytes = fromBase64Url(text, 'The header of a JWS');
  try {
    const header = decodeJson(
      Header,
      Buffer.from(bytes).toString('utf8'),
      'The header of a JWS',
      MAX_HEADER_BYTES,
    );
    return header.x5c.map((certificate) =>
      parseCertificate(parseBase64(certificate, 'A certificate in the header of a JWS')),
    );
  } catch (cause) {
    if (cause instanceof BranchboxError && cause.code === 'model/invalid') {
      throw new BranchboxError('pki/malformed', { message: cause.message, problems: cause.problems });
    }
    throw cause;
  }
}

const toBase64Url = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64url');

/** Only what toBase64Url would write: else spare bits of the last character could differ and still verify. */
function fromBase64Url(text: string, what: string): Uint8Array {
  const bytes = Buffer.from(text, 'base64url');
  if (bytes.toString('base64url') !== text) throw malformed(`${what} is not base64url`);
  return Uint8Array.from(bytes);
}
