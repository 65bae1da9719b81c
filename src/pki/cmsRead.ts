/**
 * Owns taking a CMS message apart, DER or BER as others write it (indefinite lengths, octet strings in pieces).
 * Does not own verifying anything: nothing read here is trusted.
 */
import * as asn1js from 'asn1js';
import { berOf, encodedOf, implicitOctetsOf, isContext, octetsOf, oidOf, partsOf } from './berRead.ts';
import { malformed } from './der.ts';
import { OID } from './oids.ts';

export interface CmsParts {
  /** Of the outermost ContentInfo: signed data, or the content's own type where nobody signed. */
  readonly contentType: string;
  /** Type of what is inside signed data. */
  readonly innerType: string | undefined;
  /** The content octets, where there are any. */
  readonly content: Uint8Array | undefined;
  /** Each as it was encoded. */
  readonly certificates: readonly Uint8Array[];
  readonly signers: readonly CmsSigner[];
}

export interface CmsSigner {
  /** By which the signer's certificate is named, where that is not by issuer and number. */
  readonly keyId: Uint8Array | undefined;
  /** The identifier of the content's hash. */
  readonly digest: string;
  readonly signature: string;
  /** AlgorithmIdentifier of the signature, as it was encoded. */
  readonly signatureDer: Uint8Array;
}

export function readCms(bytes: Uint8Array, maxBytes: number): CmsParts {
  const [type, wrapped] = partsOf(berOf(bytes, maxBytes), 'CMS message');
  const contentType = oidOf(type);
  const [inner] = wrapped === undefined ? [] : partsOf(wrapped, 'CMS content');
  if (contentType !== OID.signedData) {
    const content = inner === undefined ? undefined : octetsOf(inner);
    return { contentType, innerType: undefined, content, certificates: [], signers: [] };
  }
  return { contentType, ...readSignedData(inner) };
}

function readSignedData(node: unknown): Omit<CmsParts, 'contentType'> {
  const [, , encapsulated, ...rest] = partsOf(node, 'Signed data');
  const [innerType, wrapped] = partsOf(encapsulated, 'Encapsulated content');
  const [content] = wrapped === undefined ? [] : partsOf(wrapped, 'Encapsulated content');
  // [0] certificates, [1] CRLs, then the SET of signers.
  const list = rest.find((part) => isContext(part, 0));
  const signers = rest.at(-1);
  if (!(signers instanceof asn1js.Set)) throw malformed('Signed data has no set of signers');
  return {
    innerType: oidOf(innerType),
    content: content === undefined ? undefined : octetsOf(content),
    // Other kinds of certificates stand under context tags of their own and are passed over.
    certificates: (list === undefined ? [] : partsOf(list, 'Certificates'))
      .filter((part) => part instanceof asn1js.Sequence)
      .map((part) => encodedOf(part)),
    signers: partsOf(signers, 'Signers').map(readSigner),
  };
}

/** RFC 5652 5.3: version, who, digest, [0] attributes, signature algorithm, signature, [1] attributes. */
function readSigner(node: unknown): CmsSigner {
  const [, who, digest, ...rest] = partsOf(node, 'Signer');
  const signature = rest.find((part) => !isContext(part, 0));
  if (!(signature instanceof asn1js.Sequence)) throw malformed('A signer names no signature algorithm');
  return {
    keyId: isContext(who, 0) ? implicitOctetsOf(who) : undefined,
    digest: oidOf(partsOf(digest, 'Digest algorithm')[0]),
    signature: oidOf(partsOf(signature, 'Signature algorithm')[0]),
    signatureDer: encodedOf(signature),
  };
}
