/**
 * Owns reading the firmware's lists of what it trusts (`db`) and what it no longer does (`dbx`): EFI_SIGNATURE_LISTs
 * (UEFI 2.10, 32.4.1).
 * Does not own what follows from them (secureBoot.ts). Pure.
 */
import { X509Certificate } from 'node:crypto';

/** Of efivarfs, before a variable's value. */
export const ATTRIBUTES_BYTES = 4;
const LIST_HEADER_BYTES = 28;
const OWNER_BYTES = 16;
const DIGEST_BYTES = 32;
/** Behind a digest of a certificate: since when, an EFI_TIME. */
const TIME_BYTES = 16;

/** Kinds of lists, as their GUIDs lie in memory. */
const KINDS = {
  /** EFI_CERT_X509_GUID a5c059a1-94e4-4aa7-87b5-ab155c2bf072 */
  a159c0a5e494a74a87b5ab155c2bf072: 'certificate',
  /** EFI_CERT_SHA256_GUID c1c41626-504c-4092-aca9-41f936934328 */
  '2616c4c14c509240aca941f936934328': 'program',
  /** EFI_CERT_X509_SHA256_GUID 3bd2a492-96c0-4079-b420-fcf98ef103ed */
  '92a4d23bc0967940b420fcf98ef103ed': 'certificate-digest',
} as const;
type Kind = (typeof KINDS)[keyof typeof KINDS];
const DATA_BYTES: Readonly<Record<Exclude<Kind, 'certificate'>, number>> = {
  program: DIGEST_BYTES,
  'certificate-digest': DIGEST_BYTES + TIME_BYTES,
};

export interface SignatureLists {
  readonly certificates: readonly X509Certificate[];
  /** SHA-256 of programs, as Authenticode counts it; in hex, as below. */
  readonly programs: ReadonlySet<string>;
  /** SHA-256 of what is signed of a certificate. */
  readonly certificateDigests: ReadonlySet<string>;
  /** Nothing else is in it, and it is whole. */
  readonly understood: boolean;
}

/** Of a variable as efivarfs gives it. What comes before the first bytes that make no sense still counts. */
export function parseSignatureLists(variable: Uint8Array): SignatureLists {
  const lists = Buffer.from(variable.subarray(ATTRIBUTES_BYTES));
  const certificates: X509Certificate[] = [];
  const programs = new Set<string>();
  const certificateDigests = new Set<string>();
  let understood = true;
  for (let at = 0; at < lists.length; ) {
    const list = headOf(lists, at);
    if (list === undefined) {
      understood = false;
      break;
    }
    const { kind, firstAt, entryBytes, end } = list;
    if (kind === undefined) understood = false;
    for (let entry = firstAt; kind !== undefined && entry + entryBytes <= end; entry += entryBytes) {
      const data = lists.subarray(entry + OWNER_BYTES, entry + entryBytes);
      const certificate = kind === 'certificate' ? parseCertificate(data) : undefined;
      if (certificate !== undefined) certificates.push(certificate);
      if (kind === 'program') programs.add(data.toString('hex'));
      if (kind === 'certificate-digest') certificateDigests.add(data.toString('hex', 0, DIGEST_BYTES));
    }
    at = end;
  }
  return { certificates, programs, certificateDigests, understood };
}

interface ListHead {
  /** undefined: of a kind that is passed over. */
  readonly kind: Kind | undefined;
  readonly firstAt: number;
  readonly entryBytes: number;
  readonly end: number;
}

/** undefined: not whole. */
function headOf(lists: Buffer, at: number): ListHead | undefined {
  if (lists.length - at < LIST_HEADER_BYTES) return undefined;
  const guid = lists.toString('hex', at, at + 16);
  const listBytes = lists.readUInt32LE(at + 16);
  const entryBytes = lists.readUInt32LE(at + 24);
  const end = at + listBytes;
  if (listBytes < LIST_HEADER_BYTES || end > lists.length || entryBytes <= OWNER_BYTES) return undefined;
  const kind = Object.entries(KINDS).find(([one]) => one === guid)?.[1];
  const fits = kind === undefined || kind === 'certificate' || entryBytes === OWNER_BYTES + DATA_BYTES[kind];
  const firstAt = at + LIST_HEADER_BYTES + lists.readUInt32LE(at + 20);
  return { kind: fits ? kind : undefined, firstAt, entryBytes, end };
}

/** DER; undefined where it is none. */
export function parseCertificate(der: Uint8Array): X509Certificate | undefined {
  try {
    return new X509Certificate(der);
  } catch {
    return undefined;
  }
}
