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

const CONSTRUCTED = 0x20;
const BIT_STRING = 0x03;
const OCTET_STRING = 0x04;
const OBJECT_IDENTIFIER = 0x06;
const RELATIVE_OID = 0x0d;
/** X.690 8.1.3.6: the length of what ends with two zeros. */
const INDEFINITE = 0x80;
const SIGNED_DATA = '1.2.840.113549.1.7.2';

export function readCms(bytes: Uint8Array, maxBytes: number): CmsParts {
  if (bytes.length > maxBytes) throw malformed(`CMS of ${bytes.length} bytes is larger than ${maxBytes}`);
  checkIdentifiers(bytes);
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

/**
 * asn1js makes an object of every arc of an object identifier: one of a few hundred KB takes a second of a processor. So they
 * are measured first, header by header; what is no BER is left to asn1js to refuse.
 */
function checkIdentifiers(bytes: Uint8Array): void {
  for (let at = 0; at < bytes.length; ) {
    const { tag, contentAt, endAt } = headerAt(bytes, at);
    if ((tag === OBJECT_IDENTIFIER || tag === RELATIVE_OID) && endAt - contentAt > MAX_OID_OCTETS) {
      throw malformed('A CMS message has an object identifier without end');
    }
    // asn1js also reads what a string holds where that looks like one value.
    const insideAt = tag === BIT_STRING ? contentAt + 1 : contentAt;
    const isDeeper =
      (tag & CONSTRUCTED) !== 0 ||
      ((tag === OCTET_STRING || tag === BIT_STRING) && isOneValue(bytes.subarray(insideAt, endAt)));
    at = isDeeper ? insideAt : endAt;
  }
}

/** `endAt` of an indefinite length: where its content begins. */
function headerAt(bytes: Uint8Array, start: number): { tag: number; contentAt: number; endAt: number } {
  const tag = bytes[start] ?? 0;
  let at = start + 1;
  // X.690 8.1.2.4: numbers from 31 on follow in octets of their own.
  if ((tag & 0x1f) === 0x1f) {
    while ((bytes[at] ?? 0) >= 0x80) at += 1;
    at += 1;
  }
  const first = bytes[at] ?? 0;
  const contentAt = at + 1 + (first > INDEFINITE ? first & 0x7f : 0);
  let length = first < INDEFINITE ? first : 0;
  for (const octet of bytes.subarray(at + 1, contentAt)) length = length * 256 + octet;
  return { tag, contentAt, endAt: contentAt + length };
}

function isOneValue(bytes: Uint8Array): boolean {
  const { tag, contentAt, endAt } = headerAt(bytes, 0);
  if (endAt === bytes.length) return bytes.length > 0;
  const isIndefinite =
    (tag & CONSTRUCTED) !== 0 && contentAt === endAt && bytes[contentAt - 1] === INDEFINITE;
  return isIndefinite && bytes.at(-1) === 0 && bytes.at(-2) === 0;
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
