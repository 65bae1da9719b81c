/**
 * Owns DER in bytes: building nodes, reading untrusted bytes into nodes, strictly, with node-forge as the codec.
 * Does not own any structure made of them. No key is ever made or used here.
 */
import forge from 'node-forge';
import { BranchboxError } from '../model/errors.ts';

declare module 'node-forge' {
  namespace asn1 {
    // The published types know only the older boolean.
    function fromDer(
      bytes: string,
      options: { strict: boolean; parseAllBytes: boolean; decodeBitStrings: boolean; maxDepth: number },
    ): Asn1;
    // Context tags are numbers beyond the enumeration of universal types.
    function create(tagClass: Class, type: number, constructed: boolean, value: string | Asn1[]): Asn1;
  }
}

const { asn1 } = forge;
/** Something to be encoded. */
export type Der = forge.asn1.Asn1;

/** A certificate of ours has 1 KB; with RSA 8192 and long names others' stay far below this. */
export const MAX_DER_BYTES = 64 * 1024;
/** The deepest structure read here (a certificate's names) has 9. */
const MAX_DEPTH = 32;

const { UNIVERSAL, CONTEXT_SPECIFIC } = asn1.Class;
const { Type } = asn1;

const toBinary = (bytes: Uint8Array): string => Buffer.from(bytes).toString('latin1');
export const fromBinary = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text, 'latin1'));

export function encode(node: Der): Uint8Array {
  return fromBinary(asn1.toDer(node).getBytes());
}

export const sequence = (...children: readonly Der[]): Der =>
  asn1.create(UNIVERSAL, Type.SEQUENCE, true, [...children]);
/** SET OF in DER's order: by encoding (X.690 11.6). */
export const setOf = (...children: readonly Der[]): Der =>
  asn1.create(UNIVERSAL, Type.SET, true, sortByEncoding(children));
export const boolean = (value: boolean): Der =>
  asn1.create(UNIVERSAL, Type.BOOLEAN, false, value ? '\u00ff' : '\u0000');
export const enumerated = (value: number): Der =>
  asn1.create(UNIVERSAL, Type.ENUMERATED, false, toBinary(bytesOfNumber(value)));
export const octets = (bytes: Uint8Array): Der =>
  asn1.create(UNIVERSAL, Type.OCTETSTRING, false, toBinary(bytes));
export const oid = (dotted: string): Der =>
  asn1.create(UNIVERSAL, Type.OID, false, toBinary(encodeOid(dotted)));
export const utf8 = (text: string): Der =>
  asn1.create(UNIVERSAL, Type.UTF8, false, toBinary(Buffer.from(text, 'utf8')));
export const printable = (text: string): Der => asn1.create(UNIVERSAL, Type.PRINTABLESTRING, false, text);

/** A non-negative integer from its big-endian bytes. */
export function integer(value: number | Uint8Array): Der {
  const bytes = typeof value === 'number' ? bytesOfNumber(value) : value;
  const first = bytes[0] ?? 0;
  const content = first >= 0x80 || bytes.length === 0 ? Buffer.concat([Buffer.of(0), bytes]) : bytes;
  return asn1.create(UNIVERSAL, Type.INTEGER, false, toBinary(content));
}

function bytesOfNumber(value: number): Uint8Array {
  const hex = value.toString(16);
  return Buffer.from(hex.length % 2 === 0 ? hex : `0${hex}`, 'hex');
}

export const bitString = (bytes: Uint8Array, unusedBits = 0): Der =>
  asn1.create(UNIVERSAL, Type.BITSTRING, false, toBinary(Buffer.concat([Buffer.of(unusedBits), bytes])));

/** RFC 5280 4.1.2.5: UTCTime up to 2049, GeneralizedTime from 2050, both in Z with seconds. */
export function time(atMs: number): Der {
  const digits = new Date(atMs).toISOString().replaceAll(/[-:T]|\.\d+/g, '');
  const utc = new Date(atMs).getUTCFullYear() < 2050;
  return utc
    ? asn1.create(UNIVERSAL, Type.UTCTIME, false, digits.slice(2))
    : asn1.create(UNIVERSAL, Type.GENERALIZEDTIME, false, digits);
}

/** [tag] EXPLICIT, or IMPLICIT over a constructed type. */
export const tagged = (tag: number, ...children: readonly Der[]): Der =>
  asn1.create(CONTEXT_SPECIFIC, tag, true, [...children]);
/** [tag] IMPLICIT SET OF, in DER's order. */
export const taggedSetOf = (tag: number, ...children: readonly Der[]): Der =>
  asn1.create(CONTEXT_SPECIFIC, tag, true, sortByEncoding(children));
/** [tag] IMPLICIT over a primitive type. */
export const taggedPrimitive = (tag: number, content: Uint8Array): Der =>
  asn1.create(CONTEXT_SPECIFIC, tag, false, toBinary(content));
/** DER made before, put in as it is. */
export const raw = (der: Uint8Array): Der => parse(der, MAX_DER_BYTES);

function sortByEncoding(children: readonly Der[]): Der[] {
  return children
    .map((node) => ({ node, bytes: encode(node) }))
    .sort((a, b) => Buffer.compare(a.bytes, b.bytes))
    .map(({ node }) => node);
}

function encodeOid(dotted: string): Uint8Array {
  const [first = 0n, second = 0n, ...rest] = dotted.split('.').map(BigInt);
  const out: number[] = [];
  for (const arc of [first * 40n + second, ...rest]) {
    const digits = [Number(arc & 0x7fn)];
    // BigInt: an arc from a UUID has 128 bits, and forge's own codec goes through a double.
    for (let left = arc >> 7n; left > 0n; left >>= 7n) digits.unshift(Number(left & 0x7fn) | 0x80);
    out.push(...digits);
  }
  return Uint8Array.from(out);
}

/** A node read from bytes; derRead.ts has what takes it apart. */
export interface DerNode {
  /** The identifier octet: class, constructed bit and number. */
  readonly tag: number;
  readonly children: readonly DerNode[];
  /** Content octets of a primitive node; empty for a constructed one. */
  readonly content: Uint8Array;
  /** The whole node as it was encoded. */
  readonly bytes: Uint8Array;
}

export function malformed(message: string, cause?: unknown): BranchboxError {
  return new BranchboxError('pki/malformed', cause === undefined ? { message } : { message, cause });
}

/** Untrusted bytes: exactly one value, nothing after it, DER to the last bit. */
export function decode(der: Uint8Array, maxBytes = MAX_DER_BYTES): DerNode {
  return nodeOf(parse(der, maxBytes), der, 0);
}

function parse(der: Uint8Array, maxBytes: number): Der {
  if (der.length > maxBytes) throw malformed(`DER of ${der.length} bytes is larger than ${maxBytes}`);
  const binary = toBinary(der);
  let node: Der;
  try {
    node = asn1.fromDer(binary, {
      strict: true,
      parseAllBytes: true,
      decodeBitStrings: false,
      maxDepth: MAX_DEPTH,
    });
  } catch (cause) {
    throw malformed('Bytes are not DER', cause);
  }
  // forge's strict mode still reads BER (long lengths, padded integers): only what it would write itself is DER.
  if (asn1.toDer(node).getBytes() !== binary) throw malformed('Bytes are BER, not DER');
  return node;
}

const CONSTRUCTED = 0x20;

/**
 * `der` has the node at `at`. Its bytes are cut from there: encoding each node anew would take time by the depth, and
 * DER has one encoding.
 */
function nodeOf(node: Der, der: Uint8Array, at: number): DerNode {
  const first = der[at + 1] ?? 0;
  // X.690 8.1.3: of the long form, the low bits say how many octets of length follow.
  const lengthOctets = first < 0x80 ? 0 : first & 0x7f;
  const contentAt = at + 2 + lengthOctets;
  const length =
    lengthOctets === 0 ? first : der.subarray(at + 2, contentAt).reduce((sum, octet) => sum * 256 + octet, 0);
  const composed = Array.isArray(node.value);
  const children: DerNode[] = [];
  let childAt = contentAt;
  for (const child of Array.isArray(node.value) ? node.value : []) {
    const read = nodeOf(child, der, childAt);
    children.push(read);
    childAt += read.bytes.length;
  }
  return {
    tag: node.tagClass | node.type | (node.constructed ? CONSTRUCTED : 0),
    children,
    content: composed || typeof node.value !== 'string' ? new Uint8Array() : contentOf(node, node.value),
    bytes: Uint8Array.from(der.subarray(at, contentAt + length)),
  };
}

function contentOf(node: Der, value: string): Uint8Array {
  // forge hands a BMPString over as text; everything else as one character per byte.
  if (node.tagClass === UNIVERSAL && node.type === Type.BMPSTRING) {
    return Uint8Array.from(Buffer.from(value, 'utf16le').swap16());
  }
  return fromBinary(value);
}
