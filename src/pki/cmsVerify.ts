/**
 * Owns verifying signed data (CMS, RFC 5652): content type, signature and its signer's chain, of hostile bytes.
 * Does not own reading the form (cmsRead.ts) nor what a content means.
 */
import { BranchboxError } from '../model/errors.ts';
import { type Certificate, readUsable, sameCertificate } from './certificate.ts';
import { MAX_CERTIFICATES, validateChain } from './chain.ts';
import { MAX_CMS_BYTES } from './cms.ts';
import { type CmsSigner, readCms } from './cmsRead.ts';
import { decode, malformed } from './der.ts';
import { OID } from './oids.ts';
import { toPkijs } from './pkijsCertificate.ts';
import {
  algorithmOf,
  hashOf,
  keyProblem,
  readSignatureAlgorithm,
  type SignatureAlgorithm,
} from './signatureAlgorithm.ts';

export interface SignedContent {
  readonly contentType: string;
  readonly content: Uint8Array;
  readonly signer: Certificate;
  /** Leaf first, anchor last. */
  readonly path: readonly Certificate[];
}

export interface VerifyOptions {
  readonly contentTypes: readonly string[];
  readonly anchors: readonly Certificate[];
  /** A function is called with the content once its signature fits (but before its signer is trusted). */
  readonly atMs: number | ((content: Uint8Array) => number);
  readonly extendedKeyUsage?: string;
  /** Certificates that came beside the message (the owner certificate of RFC 8572). */
  readonly certificates?: readonly Certificate[];
  readonly maxBytes?: number;
}

/** Content type, signature and chain, or a BranchboxError. Accepts BER as others write it. */
export async function verifySignedData(der: Uint8Array, options: VerifyOptions): Promise<SignedContent> {
  const cms = readCms(der, options.maxBytes ?? MAX_CMS_BYTES);
  if (cms.contentType !== OID.signedData)
    throw malformed(`CMS content ${cms.contentType} is not signed data`);
  const contentType = cms.innerType ?? 'none';
  if (!options.contentTypes.includes(contentType)) {
    throw new BranchboxError('pki/mismatch', {
      message: `Signed content has type ${contentType}, wanted is ${options.contentTypes.join(' or ')}`,
    });
  }
  if (cms.content === undefined) throw malformed('Signed data has no content inside');
  const [how] = cms.signers;
  if (how === undefined || cms.signers.length !== 1) {
    throw malformed(`Signed data has ${cms.signers.length} signers, wanted is one`);
  }
  // Before they are read: the same one a hundred times over costs half a second, and leaves one for the chain to count.
  if (cms.certificates.length > MAX_CERTIFICATES + 1) {
    throw untrusted(
      `it came with ${cms.certificates.length} certificates, more than ${MAX_CERTIFICATES + 1}`,
    );
  }
  const { usable: own, problem } = readUsable(cms.certificates);
  const beside = (options.certificates ?? []).filter(
    (one) => !own.some((other) => sameCertificate(one, other)),
  );
  const certificates = [...own, ...beside];
  // Who is believed need not send itself along (RFC 5652 5.1: certificates may be fewer than needed).
  const known = options.anchors.filter((one) => !certificates.some((other) => sameCertificate(one, other)));
  const signer = await signerOf(
    der,
    how,
    { contentType, content: cms.content },
    [...certificates, ...known],
    problem,
  );
  const atMs = typeof options.atMs === 'number' ? options.atMs : options.atMs(cms.content);
  const path = await validateChain({
    leaf: signer,
    intermediates: certificates.filter((certificate) => !sameCertificate(certificate, signer)),
    anchors: options.anchors,
    atMs,
    ...(options.extendedKeyUsage === undefined ? {} : { extendedKeyUsage: options.extendedKeyUsage }),
  });
  return { contentType, content: cms.content, signer, path };
}

/** A signature of RSA may be named after its key, the hash beside it (RFC 3370 3.2). */
function readAlgorithm({ digest, signature, signatureDer }: CmsSigner): SignatureAlgorithm {
  const hash = hashOf(digest);
  if (hash === undefined) throw untrusted('its digest is not accepted');
  if (signature === OID.rsaEncryption) return { scheme: 'rsa-pkcs1', hash };
  // Of the others parameters say nothing; so those may be BER, as all that is around them.
  const algorithm =
    signature === OID.rsassaPss ? readSignatureAlgorithm(decode(signatureDer)) : algorithmOf(signature);
  if (typeof algorithm === 'string') throw untrusted(`it ${algorithm}`);
  // RFC 8933 3: else a weaker hash than the one that is signed with could stand for the content.
  if (algorithm.scheme === 'rsa-pss' && algorithm.hash !== hash) {
    throw untrusted('its digest is another than of RSASSA-PSS');
  }
  return algorithm;
}

/** Whose signature it is; pkijs verifies it, what pkijs leaves out is checked around it. */
async function signerOf(
  der: Uint8Array,
  how: CmsSigner,
  signedOver: Pick<SignedContent, 'contentType' | 'content'>,
  certificates: readonly Certificate[],
  /** Why one of the message's certificates is not among them. */
  problem: BranchboxError | undefined,
): Promise<Certificate> {
  const algorithm = readAlgorithm(how);
  // Imported where used: it costs 70 ms and 19 MB that most commands need not pay.
  const pkijs = await import('pkijs');
  try {
    const outer = pkijs.ContentInfo.fromBER(Uint8Array.from(der));
    const signed = new pkijs.SignedData({ schema: outer.content });
    signed.certificates = certificates.map((one) => toPkijs(pkijs, one));
    const [info] = signed.signerInfos;
    if (info === undefined) throw malformed('Signed data has no signer');
    // pkijs takes a key identifier for the SHA-1 of the key. It is whatever the certificate says (RFC 5652 5.3), and that is made
    // in other ways too (RFC 7093). Nobody signs who is named, so that this one can be named the other way.
    const named = certificates.findIndex(({ subjectKeyId }) => isSame(subjectKeyId, how.keyId));
    const shown = signed.certificates[named];
    if (shown instanceof pkijs.Certificate) {
      const { issuer, serialNumber } = shown;
      info.sid = new pkijs.IssuerAndSerialNumber({ issuer, serialNumber });
    }
    const unfitAttributes = attributesProblem(info.signedAttrs?.attributes, signedOver);
    if (unfitAttributes !== undefined) throw untrusted(unfitAttributes);
    const result = await signed.verify({ signer: 0, checkChain: false, extendedMode: true });
    const index = signed.certificates.findIndex((one) => one === result.signerCertificate);
    const signer = certificates[index];
    if (result.signatureVerified !== true || signer === undefined)
      throw untrusted('it does not fit the content');
    const unfit = keyProblem(signer.publicKey, algorithm);
    if (unfit !== undefined) throw untrusted(`it ${unfit}`);
    return signer;
  } catch (cause) {
    if (cause instanceof BranchboxError) throw cause;
    if (problem !== undefined && isSignerMissing(cause)) throw problem;
    throw untrusted(messageOf(cause));
  }
}

interface Attribute {
  readonly type: string;
  readonly values: readonly unknown[];
}

/** DER of a SET OF, which is what a signature with attributes is over (RFC 5652 5.4). */
const TAG_OF_ATTRIBUTES = 0x31;

/** Why the signature cannot be of this content. Pure. */
function attributesProblem(
  attributes: readonly Attribute[] | undefined,
  { contentType, content }: Pick<SignedContent, 'contentType' | 'content'>,
): string | undefined {
  if (attributes === undefined) {
    // RFC 5652 5.3: of plain data alone they may be left out.
    if (contentType !== OID.data)
      return `it is without attributes, over content of type ${contentType} (RFC 5652 5.3)`;
    // Else a signature that was made over attributes could be taken for one of them as content (RFC 8933, security).
    if (content[0] === TAG_OF_ATTRIBUTES) return 'its content may be the attributes of another message';
    return undefined;
  }
  const typed = attributes.filter((attribute) => attribute.type === OID.contentType);
  const digests = attributes.filter((attribute) => attribute.type === OID.messageDigest);
  const value = typed[0]?.values[0];
  if (
    typed.length !== 1 ||
    digests.length !== 1 ||
    typed[0]?.values.length !== 1 ||
    digests[0]?.values.length !== 1
  ) {
    return 'it is not over exactly one content type and one digest (RFC 5652 11)';
  }
  return isObjectIdentifier(value) && value.getValue() === contentType
    ? undefined
    : 'it is over another content type';
}

function isObjectIdentifier(value: unknown): value is { getValue(): string } {
  return (
    typeof value === 'object' && value !== null && 'getValue' in value && typeof value.getValue === 'function'
  );
}

const isSame = (left: Uint8Array | undefined, right: Uint8Array | undefined): boolean =>
  left !== undefined && right !== undefined && Buffer.from(left).equals(right);

/** As pkijs says that no certificate is the one that the signature names. */
const isSignerMissing = (cause: unknown): boolean =>
  typeof cause === 'object' && cause !== null && 'code' in cause && cause.code === 3;

function messageOf(cause: unknown): string {
  // pkijs throws its own results, which are no Errors everywhere.
  if (typeof cause === 'object' && cause !== null && 'message' in cause) return String(cause.message);
  return 'it cannot be read';
}

function untrusted(reason: string): BranchboxError {
  return new BranchboxError('pki/untrusted', {
    message: `The signature of signed data is refused: ${reason}`,
  });
}
