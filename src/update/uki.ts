/**
 * Owns reading, from a unified kernel image, which root it starts: the `roothash=` of its `.cmdline` section (UAPI.5).
 * A UKI is a PE file (Microsoft PE/COFF specification). Does not own whether it is signed: the machine's firmware does.
 */

/** `length` bytes, or fewer at the end. */
export type ReadAt = (offset: number, length: number) => Promise<Uint8Array>;

const PE_POINTER_OFFSET = 0x3c;
const HEADER_BYTES = 24;
const SECTION_BYTES = 40;
const MAX_SECTIONS = 96;
const MAX_CMDLINE_BYTES = 64 * 1024;

/** 64 hex digits; undefined where the file is no UKI, is cut short, or names none. */
export async function readRootHash(read: ReadAt): Promise<string | undefined> {
  const pointer = await exactly(read, PE_POINTER_OFFSET, 4);
  const start = pointer?.readUInt32LE(0);
  if (start === undefined) return undefined;
  const header = await exactly(read, start, HEADER_BYTES);
  if (header === undefined || header.toString('latin1', 0, 4) !== 'PE\0\0') return undefined;
  const sections = header.readUInt16LE(6);
  if (sections > MAX_SECTIONS) return undefined;
  const table = await exactly(read, start + HEADER_BYTES + header.readUInt16LE(20), sections * SECTION_BYTES);
  for (let at = 0; table !== undefined && at < table.length; at += SECTION_BYTES) {
    if (table.toString('latin1', at, at + 8) !== '.cmdline') continue;
    const sizeBytes = Math.min(table.readUInt32LE(at + 8), table.readUInt32LE(at + 16));
    if (sizeBytes > MAX_CMDLINE_BYTES) return undefined;
    const text = await exactly(read, table.readUInt32LE(at + 20), sizeBytes);
    return text === undefined ? undefined : rootHashOf(text.toString('latin1'));
  }
  return undefined;
}

/** Of a kernel's command line. */
export function rootHashOf(commandLine: string): string | undefined {
  return /(?:^|[\s\0])roothash=([0-9a-f]{64})(?=$|[\s\0])/.exec(commandLine)?.[1];
}

async function exactly(read: ReadAt, offset: number, length: number): Promise<Buffer | undefined> {
  const bytes = await read(offset, length);
  return bytes.length === length ? Buffer.from(bytes) : undefined;
}
