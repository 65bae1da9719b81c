/**
 * Owns making signed data with its content inside (CMS, RFC 5652), and certs-only messages both ways.
 * Does not own verifying (cmsVerify.ts) nor what a content means.
 */
import { createHash, sign } from 'node:crypto';
import { type Certificate, readUsable } from './certificate.ts';
import { readCms } from './cmsRead.ts';
import {
  type Der,
  encode,
  integer,
  malformed,
  octets,
  oid,
  raw,
  sequence,
  setOf,
  tagged,
  taggedSetOf,
  time,
} from './der.ts';
import type { Credential } from './issue.ts';
import { OID } from './oids.ts';

/** Onboarding information with a configuration of a large site stays below this. */
export const MAX_CMS_BYTES = 1024 * 1024;

/** DER. Holds the signer's certificate and its chain. Signed by P-256 with SHA-256. */
export function signData(options: {
  readonly contentType: string;
  readonly content: Uint8Array;
  readonly signer: Credential;
  readonly signingTimeMs?: number;
}): Uint8Array {
  const { contentType, content, signer, signingTimeMs } = options;
  const digest = createHash('sha256').update(content).digest();
  const attributes = [
    sequence(oid(OID.contentType), setOf(oid(contentType))),
    sequence(oid(OID.messageDigest), setOf(octets(digest))),
    ...(signingTimeMs === undefined ? [] : [sequence(oid(OID.signingTime), setOf(time(signingTimeMs)))]),
  ];
  // RFC 5652 5.4: the signature is over the attributes as an explicit SET OF, they are sent as [0] IMPLICIT.
  const signature = sign('sha256', encode(setOf(...attributes)), signer.key);
  const signerInfo = sequence(
    integer(1),
    sequence(raw(signer.certificate.issuerDer), integer(Buffer.from(signer.certificate.number, 'hex'))),
    sequence(oid(OID.sha256)),
    taggedSetOf(0, ...attributes),
    sequence(oid(OID.ecdsaWithSha256)),
    octets(signature),
  );
  return encode(
    signedData({
      // RFC 5652 5.1: 1 for plain data, 3 for any other content type.
      version: contentType === OID.data ? 1 : 3,
      digests: [sequence(oid(OID.sha256))],
      content: sequence(oid(contentType), tagged(0, octets(content))),
      certificates: [signer.certificate, ...signer.chain],
      signers: [signerInfo],
    }),
  );
}

/** For EST's cacerts and simpleenroll (RFC 7030 4.1.3) and RFC 8572's owner certificate. DER. */
export function certsOnly(certificates: readonly Certificate[]): Uint8Array {
  const content = sequence(oid(OID.data));
  return encode(signedData({ version: 1, digests: [], content, certificates, signers: [] }));
}

function signedData(parts: {
  readonly version: number;
  readonly digests: readonly Der[];
  readonly content: Der;
  readonly certificates: readonly Certificate[];
  readonly signers: readonly Der[];
}): Der {
  const body = sequence(
    integer(parts.version),
    setOf(...parts.digests),
    parts.content,
    taggedSetOf(0, ...parts.certificates.map((certificate) => raw(certificate.der))),
    setOf(...parts.signers),
  );
  return sequence(oid(OID.signedData), tagged(0, body));
}

/**
 * In the order of the message, which says nothing: CMS keeps certificates as a set. Those of a kind that nothing here can use
 * are left out; throws where that is all of them. A signature is not looked at: servers of others hand over an owner
 * certificate in signed data with no content, and each certificate is judged by its own chain.
 */
export function parseCertsOnly(der: Uint8Array): readonly Certificate[] {
  const cms = readCms(der, MAX_CMS_BYTES);
  if (cms.contentType !== OID.signedData) throw malformed('A certs-only message is no signed data');
  const { usable, problem } = readUsable(cms.certificates);
  if (usable.length === 0 && problem !== undefined) throw problem;
  return usable;
}
