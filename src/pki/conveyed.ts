/**
 * Owns the signed envelope of RFC 8572's conveyed information and its owner certificate.
 * Does not own the content (redirect or onboarding information).
 */
import { BranchboxError } from '../model/errors.ts';
import { type Certificate, sameCertificate } from './certificate.ts';
import { describe, UNRESTRICTED } from './chain.ts';
import { certsOnly, MAX_CMS_BYTES, parseCertsOnly, signData } from './cms.ts';
import { verifySignedData } from './cmsVerify.ts';
import { readCms } from './cmsRead.ts';
import { encode, malformed, octets, oid, sequence, tagged } from './der.ts';
import type { Credential } from './issue.ts';
import { OID } from './oids.ts';

export type ConveyedFormat = 'json' | 'xml';

export interface Conveyed {
  readonly format: ConveyedFormat;
  readonly content: Uint8Array;
  /** undefined where nobody is known to have signed it: then only a redirect in it counts (RFC 8572 5.4). */
  readonly owner: Certificate | undefined;
}

/** RFC 8572 3.1, registered in its section 10. */
const TYPES: Readonly<Record<ConveyedFormat, string>> = { json: OID.conveyedJson, xml: OID.conveyedXml };

/**
 * Others often sign it as plain data, which RFC 8572 3.1 allows. The type does not name the encoding then, but the document does
 * by how it begins.
 */
function formatOf(contentType: string, content: Uint8Array): ConveyedFormat {
  if (contentType === TYPES.json) return 'json';
  if (contentType === TYPES.xml) return 'xml';
  if (contentType !== OID.data) throw malformed(`Content of type ${contentType} is no conveyed information`);
  const [first] = Buffer.from(content.subarray(0, 64)).toString('latin1').trimStart();
  if (first === '{') return 'json';
  if (first === '<') return 'xml';
  throw malformed('Conveyed information of type data is neither JSON nor XML');
}

export function signConveyed(options: {
  readonly content: Uint8Array;
  readonly format: ConveyedFormat;
  readonly owner: Credential;
}): Uint8Array {
  const { content, format, owner } = options;
  return signData({ contentType: TYPES[format], content, signer: owner });
}

/** Conveyed information that nobody signs: a bare redirect. */
export function wrapConveyed(content: Uint8Array, format: ConveyedFormat): Uint8Array {
  return encode(sequence(oid(TYPES[format]), tagged(0, octets(content))));
}

/** The owner-certificate artefact (RFC 8572 3.2): the owner's certificate and its chain, certs-only CMS. */
export function ownerCertificate(owner: Pick<Credential, 'certificate' | 'chain'>): Uint8Array {
  return certsOnly([owner.certificate, ...owner.chain]);
}

/**
 * Signed by a certificate of the owner-certificate artefact, and that chains to the certificate the voucher pinned.
 * The signer must be unrestricted (no extended key usage): an LDevID of the same domain, which is for TLS clients,
 * signs no onboarding information.
 */
export async function verifyConveyed(
  der: Uint8Array,
  options: {
    readonly ownerCertificate: Uint8Array;
    readonly pinnedDomainCert: Certificate;
    readonly atMs: number;
  },
): Promise<Conveyed> {
  const owners = parseCertsOnly(options.ownerCertificate);
  const { content, contentType, signer } = await verifySignedData(der, {
    contentTypes: [...Object.values(TYPES), OID.data],
    anchors: [options.pinnedDomainCert],
    atMs: options.atMs,
    extendedKeyUsage: UNRESTRICTED,
    certificates: owners,
  });
  if (!owners.some((owner) => sameCertificate(owner, signer))) {
    throw new BranchboxError('pki/mismatch', {
      message: `Conveyed information is signed by ${describe(signer)}, which is not in the owner certificate`,
    });
  }
  return { format: formatOf(contentType, content), content, owner: signer };
}

/** Content of a message whose signature, if any, was not looked at; owner is undefined. */
export function readUntrustedConveyed(der: Uint8Array): Conveyed {
  const { contentType, innerType, content } = readCms(der, MAX_CMS_BYTES);
  if (content === undefined) throw malformed('Conveyed information has no content');
  return { format: formatOf(innerType ?? contentType, content), content, owner: undefined };
}
