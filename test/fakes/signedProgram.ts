/** Owns a PE file as firmware is given it, with signatures by certificates; and firmware's list of those it trusts. */
import { certsOnly } from '../../src/pki/cms.ts';
import type { Certificate } from '../../src/pki/certificate.ts';

const OPTIONAL_AT = 0x80 + 24;
const OPTIONAL_BYTES = 240;

/** With a `.cmdline` section that names the root; each certificate signs by itself, as far as who signed goes. */
export function makeSignedProgram(rootHash: string, signers: readonly Certificate[]): Buffer {
  const text = Buffer.from(`ro roothash=${rootHash}`);
  const head = Buffer.alloc(512);
  head.write('MZ');
  head.writeUInt32LE(0x80, 0x3c);
  head.write('PE\0\0', 0x80, 'latin1');
  head.writeUInt16LE(1, 0x80 + 6);
  head.writeUInt16LE(OPTIONAL_BYTES, 0x80 + 20);
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
    body.writeUInt32LE(body.length, OPTIONAL_AT + 112 + 32);
    body.writeUInt32LE(table.length, OPTIONAL_AT + 112 + 36);
  }
  return Buffer.concat([body, table]);
}

/** EFI_CERT_X509_GUID, or EFI_CERT_SHA256_GUID, as it lies in memory. */
const GUIDS = { x509: 'a159c0a5e494a74a87b5ab155c2bf072', sha256: '2616c4c14c509240aca941f936934328' };

/** As efivarfs has the variable: attributes, then one EFI_SIGNATURE_LIST an entry. */
export function makeDatabase(entries: readonly Uint8Array[], kind: keyof typeof GUIDS = 'x509'): Buffer {
  const lists = entries.map((entry) => {
    const head = Buffer.alloc(28);
    Buffer.from(GUIDS[kind], 'hex').copy(head);
    head.writeUInt32LE(28 + 16 + entry.length, 16);
    head.writeUInt32LE(16 + entry.length, 24);
    return Buffer.concat([head, Buffer.alloc(16), entry]);
  });
  return Buffer.concat([Buffer.from([0x27, 0, 0, 0]), ...lists]);
}
