/**
 * Owns a PE file as firmware is given it, with signatures by certificates; and firmware's lists of what it trusts and what
 * it takes back.
 */
import { createHash } from 'node:crypto';
import { certsOnly } from '../../src/pki/cms.ts';
import type { Certificate } from '../../src/pki/certificate.ts';

const OPTIONAL_AT = 0x80 + 24;
const OPTIONAL_BYTES = 240;
const CHECKSUM_AT = OPTIONAL_AT + 64;
const DIRECTORY_AT = OPTIONAL_AT + 112 + 32;

/** With a `.cmdline` section that names the root; each certificate signs by itself, as far as who signed goes. */
export function makeSignedProgram(rootHash: string, signers: readonly Certificate[]): Buffer {
  const text = Buffer.from(`ro roothash=${rootHash}`);
  const head = Buffer.alloc(512);
  head.write('MZ');
  head.writeUInt32LE(0x80, 0x3c);
  head.write('PE\0\0', 0x80, 'latin1');
  head.writeUInt16LE(1, 0x80 + 6);
  head.writeUInt16LE(OPTIONAL_BYTES, 0x80 + 20);
  head.writeUInt16LE(0x20b, OPTIONAL_AT);
  head.writeUInt32LE(head.length, OPTIONAL_AT + 60);
  head.writeUInt32LE(0xc0ffee, CHECKSUM_AT);
  head.writeUInt32LE(16, OPTIONAL_AT + 108);
  const section = OPTIONAL_AT + OPTIONAL_BYTES;
  head.write('.cmdline', section);
  for (const [offset, value] of [
    [8, text.length],
    [16, text.length],
    [20, head.length],
  ] as const)
    head.writeUInt32LE(value, section + offset);
  const body = Buffer.concat([head, text, Buffer.alloc(-text.length & 7)]);
  const table = Buffer.concat(
    signers.map((signer) => {
      const cms = certsOnly([signer]);
      const header = Buffer.alloc(8);
      header.writeUInt32LE(8 + cms.length, 0);
      header.writeUInt16LE(0x200, 4);
      header.writeUInt16LE(2, 6);
      return Buffer.concat([header, cms, Buffer.alloc(-cms.length & 7)]);
    }),
  );
  if (table.length > 0) {
    body.writeUInt32LE(body.length, DIRECTORY_AT);
    body.writeUInt32LE(table.length, DIRECTORY_AT + 4);
  }
  return Buffer.concat([body, table]);
}

/** What a signature of it covers, in this simple layout: all but checksum, place of the signatures, and those. */
export function digestOfProgram(program: Buffer): string {
  const end = program.readUInt32LE(DIRECTORY_AT) || program.length;
  return createHash('sha256')
    .update(program.subarray(0, CHECKSUM_AT))
    .update(program.subarray(CHECKSUM_AT + 4, DIRECTORY_AT))
    .update(program.subarray(DIRECTORY_AT + 8, end))
    .digest('hex');
}

/** EFI_CERT_X509_GUID, EFI_CERT_SHA256_GUID, EFI_CERT_X509_SHA256_GUID, EFI_CERT_SHA384_GUID, as they lie in memory. */
const GUIDS = {
  x509: 'a159c0a5e494a74a87b5ab155c2bf072',
  sha256: '2616c4c14c509240aca941f936934328',
  'x509-sha256': '92a4d23bc0967940b420fcf98ef103ed',
  sha384: '07533eff9bd0fb4185b67953c4b11f83',
};

/** One EFI_SIGNATURE_LIST of entries that are of one length. */
export function makeSignatureList(entries: readonly Uint8Array[], kind: keyof typeof GUIDS): Buffer {
  const entryBytes = 16 + (entries[0]?.length ?? 0);
  const head = Buffer.alloc(28);
  Buffer.from(GUIDS[kind], 'hex').copy(head);
  head.writeUInt32LE(28 + entryBytes * entries.length, 16);
  head.writeUInt32LE(entryBytes, 24);
  return Buffer.concat([head, ...entries.map((entry) => Buffer.concat([Buffer.alloc(16, 0xab), entry]))]);
}

/** As efivarfs has the variable: attributes, then its lists. */
export const makeVariable = (lists: readonly Uint8Array[]): Buffer =>
  Buffer.concat([Buffer.from([0x27, 0, 0, 0]), ...lists]);

/** With one list an entry. */
export const makeDatabase = (entries: readonly Uint8Array[], kind: keyof typeof GUIDS = 'x509'): Buffer =>
  makeVariable(entries.map((entry) => makeSignatureList([entry], kind)));
