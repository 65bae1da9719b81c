/**
 * Owns reading, from a unified kernel image, which root it starts: the `roothash=` of its `.cmdline` section (UAPI.5).
 * A UKI is a PE file (Microsoft PE/COFF specification). Does not own by whom it is signed (secureBoot.ts).
 */

/** `length` bytes, or fewer at the end. */
export type ReadAt = (offset: number, length: number) => Promise<Uint8Array>;

const PE_POINTER_OFFSET = 0x3c;
const HEADER_BYTES = 24;
export const SECTION_BYTES = 40;
export const MAX_SECTIONS = 96;
const MAX_CMDLINE_BYTES = 64 * 1024;

export interface PeHeaders {
  /** Offset of the optional header in the file, and of the section table behind it. */
  readonly optionalAt: number;
  readonly sectionsAt: number;
  readonly sections: number;
}

/** undefined where the file is no PE file, or is cut short. */
export async function readHeaders(read: ReadAt): Promise<PeHeaders | undefined> {
  const pointer = await exactly(read, PE_POINTER_OFFSET, 4);
  const start = pointer?.readUInt32LE(0);
  if (start === undefined) return undefined;
  const header = await exactly(read, start, HEADER_BYTES);
  if (header === undefined || header.toString('latin1', 0, 4) !== 'PE\0\0') return undefined;
  const optionalAt = start + HEADER_BYTES;
  const sections = header.readUInt16LE(6);
  return { optionalAt, sectionsAt: optionalAt + header.readUInt16LE(20), sections };
}

/** 64 hex digits; undefined where the file is no UKI, is cut short, or names none. */
export async function readRootHash(read: ReadAt): Promise<string | undefined> {
  const headers = await readHeaders(read);
  if (headers === undefined || headers.sections > MAX_SECTIONS) return undefined;
  const table = await exactly(read, headers.sectionsAt, headers.sections * SECTION_BYTES);
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

/** undefined where there are fewer. */
export async function exactly(read: ReadAt, offset: number, length: number): Promise<Buffer | undefined> {
  const bytes = await read(offset, length);
  return bytes.length === length ? Buffer.from(bytes) : undefined;
}
