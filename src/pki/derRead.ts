/**
 * Owns taking a decoded DER node apart: expected tags, and the primitive types that certificates use.
 * Does not own decoding bytes (der.ts).
 */
import { type DerNode, malformed } from './der.ts';

export const TAG = {
  boolean: 0x01,
  integer: 0x02,
  bitString: 0x03,
  octets: 0x04,
  null: 0x05,
  oid: 0x06,
  enumerated: 0x0a,
  utf8: 0x0c,
  sequence: 0x30,
  set: 0x31,
  printable: 0x13,
  teletex: 0x14,
  ia5: 0x16,
  utcTime: 0x17,
  generalizedTime: 0x18,
  bmp: 0x1e,
} as const;

/** [n] EXPLICIT or constructed, and [n] IMPLICIT over a primitive. */
export const contextTag = (tag: number): number => 0xa0 | tag;
export const contextPrimitive = (tag: number): number => 0x80 | tag;

export function expectTag(node: DerNode | undefined, tag: number, what: string): DerNode {
  if (node === undefined) throw malformed(`${what} is missing`);
  if (node.tag !== tag) throw malformed(`${what} has tag ${hex(node.tag)} instead of ${hex(tag)}`);
  return node;
}

const hex = (tag: number): string => `0x${tag.toString(16).padStart(2, '0')}`;

export function childrenOf(node: DerNode | undefined, tag: number, what: string): readonly DerNode[] {
  return expectTag(node, tag, what).children;
}

/** An identifier made of a UUID has 20 octets. Arcs grow with the square of their length when read, and end up in errors. */
export const MAX_OID_OCTETS = 64;

export function readOid(node: DerNode | undefined, what: string): string {
  const { content } = expectTag(node, TAG.oid, what);
  if (content.length > MAX_OID_OCTETS) throw malformed(`${what} has an object identifier without end`);
  const arcs: bigint[] = [];
  let arc = 0n;
  let open = false;
  for (const byte of content) {
    // X.690 8.19.2: an arc does not begin with padding.
    if (!open && byte === 0x80) throw malformed(`${what} is an object identifier with padding`);
    arc = (arc << 7n) | BigInt(byte & 0x7f);
    open = (byte & 0x80) !== 0;
    if (!open) {
      arcs.push(arc);
      arc = 0n;
    }
  }
  const [head, ...rest] = arcs;
  if (open || head === undefined) throw malformed(`${what} is a truncated object identifier`);
  const first = head < 40n ? 0n : head < 80n ? 1n : 2n;
  return [first, head - first * 40n, ...rest].join('.');
}

export function readBoolean(node: DerNode | undefined, what: string): boolean {
  const { content } = expectTag(node, TAG.boolean, what);
  if (content.length !== 1 || (content[0] !== 0 && content[0] !== 0xff)) {
    throw malformed(`${what} is no DER boolean`);
  }
  return content[0] === 0xff;
}

/** Big-endian, two's complement, as encoded. */
export function readInteger(node: DerNode | undefined, what: string): Uint8Array {
  const { content } = expectTag(node, TAG.integer, what);
  if (content.length === 0) throw malformed(`${what} is an empty integer`);
  return content;
}

/** Serial number of a certificate (RFC 5280 4.1.2.2): lower-case hex, without the octet that only keeps it positive. */
export const certificateNumberOf = (node: DerNode | undefined, what: string): string =>
  Buffer.from(readInteger(node, what))
    .toString('hex')
    .replace(/^00(?=.)/, '');

/** Not negative and exact as a JavaScript number: six octets at most. */
export function readSmallInteger(node: DerNode | undefined, what: string): number {
  const content = readInteger(node, what);
  if (content.length > 6 || (content[0] ?? 0) >= 0x80) throw malformed(`${what} is out of range`);
  return content.reduce((value, byte) => value * 256 + byte, 0);
}

/** Whole octets only, as keys and signatures are. */
export function readBitString(node: DerNode | undefined, what: string): Uint8Array {
  const { content } = expectTag(node, TAG.bitString, what);
  if (content[0] !== 0) throw malformed(`${what} is no string of whole octets`);
  return content.subarray(1);
}

/** Bits by number, 0 the first. */
export function readNamedBits(node: DerNode | undefined, what: string): readonly number[] {
  const { content } = expectTag(node, TAG.bitString, what);
  const unused = content[0] ?? 8;
  if (unused > 7 || content.length > 3) throw malformed(`${what} is no string of named bits`);
  const bits: number[] = [];
  const count = (content.length - 1) * 8 - unused;
  for (let bit = 0; bit < count; bit += 1) {
    if ((((content[1 + (bit >> 3)] ?? 0) << (bit & 7)) & 0x80) !== 0) bits.push(bit);
  }
  return bits;
}

export function readOctets(node: DerNode | undefined, what: string): Uint8Array {
  return expectTag(node, TAG.octets, what).content;
}

/** Any of DirectoryString's types and IA5String. Control characters are refused: names end up on screens and in logs. */
export function readText(node: DerNode | undefined, what: string): string {
  if (node === undefined) throw malformed(`${what} is missing`);
  const text = decodeText(node, what);
  if (/[\p{Cc}\ufffd]/u.test(text)) {
    throw malformed(`${what} holds control characters or is wrongly encoded`);
  }
  return text;
}

function decodeText(node: DerNode, what: string): string {
  const bytes = Buffer.from(node.content);
  switch (node.tag) {
    case TAG.utf8:
      return bytes.toString('utf8');
    case TAG.printable:
    case TAG.ia5:
    case TAG.teletex:
      return bytes.toString('latin1');
    case TAG.bmp:
      return bytes.swap16().toString('utf16le');
    default:
      throw malformed(`${what} has tag ${hex(node.tag)}, which is no string`);
  }
}

/** RFC 5280 4.1.2.5: UTCTime YYMMDDHHMMSSZ (1950 to 2049), GeneralizedTime YYYYMMDDHHMMSSZ. */
export function readTime(node: DerNode | undefined, what: string): number {
  if (node === undefined) throw malformed(`${what} is missing`);
  const text = Buffer.from(node.content).toString('latin1');
  const utc = node.tag === TAG.utcTime;
  if (!utc && node.tag !== TAG.generalizedTime) throw malformed(`${what} is no time`);
  const match = /^(\d{2}|\d{4})(\d{2})(\d{2})(\d{2})(\d{2})(\d{2})Z$/.exec(text);
  const [, yearText = '', month = '', day = '', hour = '', minute = '', second = ''] = match ?? [];
  if (match === null || yearText.length !== (utc ? 2 : 4)) throw malformed(`${what} is no time of RFC 5280`);
  const year = utc ? (Number(yearText) < 50 ? 2000 : 1900) + Number(yearText) : Number(yearText);
  const iso = `${String(year).padStart(4, '0')}-${month}-${day}T${hour}:${minute}:${second}.000Z`;
  const atMs = Date.parse(iso);
  // Date.parse takes 30 February for 1 March.
  if (Number.isNaN(atMs) || new Date(atMs).toISOString() !== iso) throw malformed(`${what} is no real time`);
  return atMs;
}
