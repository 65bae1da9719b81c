/**
 * Owns taking a CMS message apart, DER or BER as others write it (indefinite lengths, octet strings in pieces).
 * Does not own verifying anything: nothing read here is trusted.
 */
import * as asn1js from 'asn1js';
import { malformed } from './der.ts';
import { MAX_OID_OCTETS } from './der-read.ts';

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
  /** The identifier of the content's hash. */
  readonly digest: string;
  readonly signature: string;
  /** AlgorithmIdentifier of the signature, as it was encoded. */
  readonly signatureDer: Uint8Array;
}

const SIGNED_DATA = '1.2.840.113549.1.7.2';

export function readCms(bytes: Uint8Array, maxBytes: number): CmsParts {
  if (bytes.length > maxBytes) throw malformed(`CMS of ${bytes.length} bytes is larger than ${maxBytes}`);
  const { offset, result } = parse(bytes);
  if (offset === -1 || offset !== bytes.length) throw malformed('Bytes are not one CMS message');
  const [type, wrapped] = partsOf(result, 'CMS message');
  const contentType = oidOf(type);
  const [inner] = wrapped === undefined ? [] : partsOf(wrapped, 'CMS content');
  if (contentType !== SIGNED_DATA) {
    const content = inner === undefined ? undefined : octetsOf(inner);
    return { contentType, innerType: undefined, content, certificates: [], signers: [] };
  }
  return { contentType, ...readSignedData(inner) };
}

function parse(bytes: Uint8Array): { readonly offset: number; readonly result: unknown } {
  try {
    return asn1js.fromBER(Uint8Array.from(bytes));
  } catch (cause) {
    // Nesting without end overflows the stack; that is malformed too.
    throw malformed('Bytes are not CMS', cause);
  }
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
      .map((part) => Uint8Array.from(part.valueBeforeDecodeView)),
    signers: partsOf(signers, 'Signers').map(readSigner),
  };
}

/** RFC 5652 5.3: version, who, digest, [0] attributes, signature algorithm, signature, [1] attributes. */
function readSigner(node: unknown): CmsSigner {
  const [, , digest, ...rest] = partsOf(node, 'Signer');
  const signature = rest.find((part) => !isContext(part, 0));
  if (!(signature instanceof asn1js.Sequence)) throw malformed('A signer names no signature algorithm');
  return {
    digest: oidOf(partsOf(digest, 'Digest algorithm')[0]),
    signature: oidOf(partsOf(signature, 'Signature algorithm')[0]),
    signatureDer: Uint8Array.from(signature.valueBeforeDecodeView),
  };
}

function partsOf(node: unknown, what: string): readonly unknown[] {
  if (!(node instanceof asn1js.Constructed)) throw malformed(`${what} is not made of parts`);
  const parts: readonly unknown[] = node.valueBlock.value;
  return parts.filter((part) => !(part instanceof asn1js.EndOfContent));
}

function isContext(node: unknown, tag: number): boolean {
  return node instanceof asn1js.BaseBlock && node.idBlock.tagClass === 3 && node.idBlock.tagNumber === tag;
}

function oidOf(node: unknown): string {
  if (!(node instanceof asn1js.ObjectIdentifier)) throw malformed('A CMS type is no object identifier');
  // Header and content; it is shown to a person where it is not the one that is wanted.
  if (node.valueBeforeDecodeView.byteLength > MAX_OID_OCTETS + 2) {
    throw malformed('A CMS content type is an object identifier without end');
  }
  return node.getValue();
}

function octetsOf(node: unknown): Uint8Array {
  if (!(node instanceof asn1js.OctetString)) throw malformed('A CMS content is no octet string');
  return new Uint8Array(node.getValue());
}
