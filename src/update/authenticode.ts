/**
 * Owns reading who signed a PE file, and by which digest a signature or a list of the firmware's names it: Microsoft's
 * Authenticode and PE/COFF specification.
 * Does not own whether anybody trusts that (secureBoot.ts). Pure. Verifies no signature.
 */
import { createHash, type X509Certificate } from 'node:crypto';
import { decode } from '../pki/der.ts';
import { childrenOf, contextTag, TAG } from '../pki/derRead.ts';
import { parseCertificate } from './signatureLists.ts';
import { exactly, MAX_SECTIONS, type PeHeaders, type ReadAt, readHeaders, SECTION_BYTES } from './uki.ts';

/** Of a PE32+ optional header. */
const PE32_PLUS = 0x20b;
const HEADERS_BYTES_AT = 60;
const CHECKSUM_AT = 64;
const CHECKSUM_BYTES = 4;
const DIRECTORIES_AT = 108;
/** The fifth data directory, of certificates. */
const SECURITY_DIRECTORY = 112 + 4 * 8;
const DIRECTORY_BYTES = 8;
const PKCS_SIGNED_DATA = 2;
const WIN_CERTIFICATE_BYTES = 8;
/** A signature with its chain is of 2 KB. */
const MAX_SIGNATURES_BYTES = 256 * 1024;
const READ_BYTES = 1024 * 1024;

/** SHA-256 in hex of what a signature covers, of a file of `sizeBytes`; undefined where it is no whole PE32+ file. */
export async function programDigest(read: ReadAt, sizeBytes: number): Promise<string | undefined> {
  const headers = await readHeaders(read);
  if (headers === undefined) return undefined;
  const { optionalAt } = headers;
  const optional = await exactly(read, optionalAt, SECURITY_DIRECTORY + DIRECTORY_BYTES);
  const sections = await rawData(read, headers);
  if (optional?.readUInt16LE(0) !== PE32_PLUS || sections === undefined) return undefined;
  const signed = optional.readUInt32LE(DIRECTORIES_AT) > 4;
  const tableBytes = signed ? optional.readUInt32LE(SECURITY_DIRECTORY + 4) : 0;
  const headersBytes = optional.readUInt32LE(HEADERS_BYTES_AT);
  const afterChecksum = optionalAt + CHECKSUM_AT + CHECKSUM_BYTES;
  const directoryAt = signed ? optionalAt + SECURITY_DIRECTORY : afterChecksum;
  const counted = sections.reduce((sum, [, length]) => sum + length, headersBytes);
  const ranges: readonly Range[] = [
    [0, optionalAt + CHECKSUM_AT],
    [afterChecksum, directoryAt - afterChecksum],
    signed
      ? [directoryAt + DIRECTORY_BYTES, headersBytes - directoryAt - DIRECTORY_BYTES]
      : [afterChecksum, headersBytes - afterChecksum],
    ...sections,
    // What is in no section, up to the signatures.
    [counted, sizeBytes - tableBytes - counted],
  ];
  const hash = createHash('sha256');
  for (const [from, length] of ranges) {
    if (length < 0 || from + length > sizeBytes) return undefined;
    for (let at = from; at < from + length; at += READ_BYTES) {
      const bytes = await exactly(read, at, Math.min(READ_BYTES, from + length - at));
      if (bytes === undefined) return undefined;
      hash.update(bytes);
    }
  }
  return hash.digest('hex');
}

/** Offset and length in the file. */
type Range = readonly [number, number];

/** In the order of the file. */
async function rawData(
  read: ReadAt,
  { sectionsAt, sections }: PeHeaders,
): Promise<readonly Range[] | undefined> {
  if (sections > MAX_SECTIONS) return undefined;
  const table = await exactly(read, sectionsAt, sections * SECTION_BYTES);
  if (table === undefined) return undefined;
  return Array.from({ length: sections }, (_, index): Range => {
    const at = index * SECTION_BYTES;
    return [table.readUInt32LE(at + 20), table.readUInt32LE(at + 16)];
  })
    .filter(([, length]) => length > 0)
    .toSorted(([a], [b]) => a - b);
}

/** All certificates of all signatures: none where it is not signed, undefined where one is not understood. */
export async function signersOf(read: ReadAt): Promise<readonly X509Certificate[] | undefined> {
  const headers = await readHeaders(read);
  if (headers === undefined) return [];
  const directory = await exactly(read, headers.optionalAt + SECURITY_DIRECTORY, 8);
  const [from, sizeBytes] = [directory?.readUInt32LE(0) ?? 0, directory?.readUInt32LE(4) ?? 0];
  if (sizeBytes === 0) return [];
  const table = sizeBytes > MAX_SIGNATURES_BYTES ? undefined : await exactly(read, from, sizeBytes);
  if (table === undefined) return undefined;
  const found: X509Certificate[] = [];
  for (let at = 0; at + WIN_CERTIFICATE_BYTES <= table.length; ) {
    const length = table.readUInt32LE(at);
    if (length < WIN_CERTIFICATE_BYTES || at + length > table.length) return undefined;
    if (table.readUInt16LE(at + 6) === PKCS_SIGNED_DATA) {
      const certificates = certificatesIn(table.subarray(at + WIN_CERTIFICATE_BYTES, at + length));
      if (certificates === undefined) return undefined;
      found.push(...certificates);
    }
    // Each begins at a multiple of eight.
    at += (length + 7) & ~7;
  }
  return found;
}

/** Of a SignedData of PKCS #7 (RFC 2315 9.1), which is no CMS: what Authenticode signs is no octet string. */
function certificatesIn(signature: Buffer): readonly X509Certificate[] | undefined {
  try {
    const [, wrapped] = childrenOf(
      decode(trimmed(signature), MAX_SIGNATURES_BYTES),
      TAG.sequence,
      'Signature',
    );
    const [signedData] = childrenOf(wrapped, contextTag(0), 'Signature content');
    const parts = childrenOf(signedData, TAG.sequence, 'Signed data');
    const list = parts.find(({ tag }) => tag === contextTag(0));
    return (list?.children ?? []).flatMap(({ bytes }) => parseCertificate(bytes) ?? []);
  } catch {
    return undefined;
  }
}

/** One DER value without the zeros that fill it up. */
function trimmed(bytes: Buffer): Buffer {
  const first = bytes[1] ?? 0;
  if (first < 0x80) return bytes.subarray(0, 2 + first);
  const octets = first & 0x7f;
  if (octets === 0 || octets > 4 || bytes.length < 2 + octets) return bytes;
  return bytes.subarray(0, 2 + octets + bytes.readUIntBE(2, octets));
}
