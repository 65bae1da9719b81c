/**
 * Owns whether this machine's firmware would start a boot entry: with Secure Boot on, only what a key of its variable
 * `db` signed (UEFI 2.10, 32.4 and 32.5). A loader whose entry is refused ends, and the machine then stands in its
 * firmware until somebody switches it off: such an entry must not be placed. Pure.
 * Verifies no signature: firmware does, and the bytes are those of a manifest that was believed.
 */
import { X509Certificate } from 'node:crypto';
import { decode } from '../pki/der.ts';
import { childrenOf, contextTag, TAG } from '../pki/der-read.ts';
import { exactly, type ReadAt, readHeaders } from './uki.ts';

/** Of efivarfs, before a variable's value. */
const ATTRIBUTES_BYTES = 4;
export const SECURE_BOOT = 'SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c';
export const SIGNATURE_DATABASE = 'db-d719b2cb-3d3a-4596-a3bc-dad00e67656f';
/** Shim's, where one stands before our loader: it believes keys of its own. */
export const SHIM_LIST = 'MokListRT-605dab50-e046-4300-abb6-3dd810dd8b23';

/** EFI_CERT_X509_GUID a5c059a1-94e4-4aa7-87b5-ab155c2bf072, as it lies in memory. */
const X509_LIST = 'a159c0a5e494a74a87b5ab155c2bf072';
const LIST_HEADER_BYTES = 28;
const OWNER_BYTES = 16;
/** The fifth data directory of PE32+, behind 112 bytes of optional header (Microsoft PE/COFF specification). */
const SECURITY_DIRECTORY = 112 + 4 * 8;
const PKCS_SIGNED_DATA = 2;
const WIN_CERTIFICATE_BYTES = 8;
/** A signature with its chain is of 2 KB. */
const MAX_SIGNATURES_BYTES = 256 * 1024;

/** Content of efivarfs' files; undefined: not there. */
export interface FirmwareKeys {
  readonly secureBoot: Uint8Array | undefined;
  readonly database: Uint8Array | undefined;
  readonly shim: Uint8Array | undefined;
}

/** True where Secure Boot is off too, and where it cannot be told: a shim has keys of its own, `db` may hold digests. */
export async function wouldStart(
  read: ReadAt,
  { secureBoot, database, shim }: FirmwareKeys,
): Promise<boolean> {
  if (secureBoot?.[ATTRIBUTES_BYTES] !== 1 || database === undefined || shim !== undefined) return true;
  const trusted = certificatesOf(Buffer.from(database.subarray(ATTRIBUTES_BYTES)));
  if (trusted === undefined) return true;
  const signers = await signersOf(read);
  if (signers === undefined) return true;
  return signers.some((signer) =>
    trusted.some(
      (one) => one.raw.equals(signer.raw) || (signer.checkIssued(one) && signer.verify(one.publicKey)),
    ),
  );
}

/** Of EFI_SIGNATURE_LISTs; undefined where they hold anything but certificates, or are not whole. */
function certificatesOf(lists: Buffer): readonly X509Certificate[] | undefined {
  const found: X509Certificate[] = [];
  for (let at = 0; at < lists.length; ) {
    if (lists.length - at < LIST_HEADER_BYTES) return undefined;
    const [listBytes, headerBytes, entryBytes] = [16, 20, 24].map((offset) =>
      lists.readUInt32LE(at + offset),
    ) as [number, number, number];
    const end = at + listBytes;
    const whole = listBytes >= LIST_HEADER_BYTES && end <= lists.length && entryBytes > OWNER_BYTES;
    if (!whole || lists.toString('hex', at, at + 16) !== X509_LIST) return undefined;
    for (let entry = at + LIST_HEADER_BYTES + headerBytes; entry + entryBytes <= end; entry += entryBytes) {
      const certificate = parsed(lists.subarray(entry + OWNER_BYTES, entry + entryBytes));
      if (certificate !== undefined) found.push(certificate);
    }
    at = end;
  }
  return found;
}

/** All certificates of all signatures of a PE file: none where it is not signed, undefined where one is not understood. */
async function signersOf(read: ReadAt): Promise<readonly X509Certificate[] | undefined> {
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
    return (list?.children ?? []).flatMap(({ bytes }) => parsed(bytes) ?? []);
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

function parsed(der: Uint8Array): X509Certificate | undefined {
  try {
    return new X509Certificate(der);
  } catch {
    return undefined;
  }
}
