/**
 * Owns BER as others write CMS (indefinite lengths, octet strings in pieces), read by asn1js, and taking the nodes apart.
 * Does not own any structure made of them (cmsRead.ts, envelopedRead.ts).
 */
import * as asn1js from 'asn1js';
import { malformed } from './der.ts';
import { MAX_OID_OCTETS } from './derRead.ts';

const CONSTRUCTED = 0x20;
const BIT_STRING = 0x03;
const OCTET_STRING = 0x04;
const OBJECT_IDENTIFIER = 0x06;
const RELATIVE_OID = 0x0d;
/** X.690 8.1.3.6: the length of what ends with two zeros. */
const INDEFINITE = 0x80;

/**
 * asn1js' own limit of 10,000 took it half a second of a busy processor. A certificate has some 75 values, a recipient of
 * what is encrypted 25, what comes in pieces one each.
 */
const MAX_VALUES = 4_000;

/** Exactly one value, and nothing after it. */
export function berOf(bytes: Uint8Array, maxBytes: number): unknown {
  if (bytes.length > maxBytes) throw malformed(`CMS of ${bytes.length} bytes is larger than ${maxBytes}`);
  checkIdentifiers(bytes);
  const { offset, result } = parse(bytes);
  if (offset === -1 || offset !== bytes.length) throw malformed('Bytes are not one CMS message');
  return result;
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
export function headerAt(
  bytes: Uint8Array,
  start: number,
): { tag: number; contentAt: number; endAt: number } {
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
    return asn1js.fromBER(Uint8Array.from(bytes), { maxNodes: MAX_VALUES });
  } catch (cause) {
    // Nesting without end overflows the stack; that is malformed too.
    throw malformed('Bytes are not CMS', cause);
  }
}

export function partsOf(node: unknown, what: string): readonly unknown[] {
  if (!(node instanceof asn1js.Constructed)) throw malformed(`${what} is not made of parts`);
  const parts: readonly unknown[] = node.valueBlock.value;
  return parts.filter((part) => !(part instanceof asn1js.EndOfContent));
}

export function isContext(node: unknown, tag: number): boolean {
  return node instanceof asn1js.BaseBlock && node.idBlock.tagClass === 3 && node.idBlock.tagNumber === tag;
}

export function oidOf(node: unknown): string {
  if (!(node instanceof asn1js.ObjectIdentifier)) throw malformed('A CMS type is no object identifier');
  // Header and content; it is shown to a person where it is not the one that is wanted.
  if (node.valueBeforeDecodeView.byteLength > MAX_OID_OCTETS + 2) {
    throw malformed('A CMS content type is an object identifier without end');
  }
  return node.getValue();
}

export function octetsOf(node: unknown): Uint8Array {
  if (!(node instanceof asn1js.OctetString)) throw malformed('A CMS content is no octet string');
  return new Uint8Array(node.getValue());
}

/** The whole node, as it was encoded. */
export function encodedOf(node: unknown): Uint8Array {
  if (!(node instanceof asn1js.BaseBlock)) throw malformed('A part of CMS is missing');
  return Uint8Array.from(node.valueBeforeDecodeView);
}

/** [n] IMPLICIT OCTET STRING, in one piece or in several. */
export function implicitOctetsOf(node: unknown): Uint8Array {
  if (node instanceof asn1js.Primitive) return Uint8Array.from(node.valueBlock.valueHexView);
  return Uint8Array.from(Buffer.concat(partsOf(node, 'CMS content in pieces').map(octetsOf)));
}
