/**
 * Owns telling a file that may be an app's image, as `docker save` writes one, from a file that cannot be one: by the
 * headers of its tar, read one at a time, and never by what follows them.
 * Does not own what is in the image: the engine of the box loads it.
 */
import { type FileHandle, open } from 'node:fs/promises';

/** What lists the images of an archive; without it there is nothing to load. */
const MANIFEST = 'manifest.json';
const BLOCK_BYTES = 512;
/** An image has at most 127 layers, of some files each. What has more is the engine's to judge. */
const MAX_ENTRIES = 4096;
/** gzip, bzip2, xz, Zstandard: Docker Engine loads these as well. What is in them would have to be unpacked to be seen. */
const COMPRESSED = ['1f8b', '425a68', 'fd377a585a00', '28b52ffd'];

export const HOW_MADE = 'save the image by its name: docker save IMAGE > app.tar';

/** Why the file can be no image's archive; undefined where it may be one. Throws what the file system does. */
export async function whyNoImageArchive(path: string): Promise<string | undefined> {
  const file = await open(path);
  try {
    const stats = await file.stat();
    if (!stats.isFile()) return 'it is no regular file';
    return await look(file, stats.size);
  } finally {
    await file.close();
  }
}

async function look(file: FileHandle, sizeBytes: number): Promise<string | undefined> {
  if (sizeBytes === 0) return 'it is empty';
  const block = Buffer.alloc(BLOCK_BYTES);
  let offset = 0;
  for (let entries = 0; entries < MAX_ENTRIES; entries += 1) {
    const { bytesRead } = await file.read(block, 0, BLOCK_BYTES, offset);
    const start = block.subarray(0, bytesRead).toString('hex');
    if (offset === 0 && COMPRESSED.some((magic) => start.startsWith(magic))) return undefined;
    const header = bytesRead === BLOCK_BYTES ? readTarHeader(block) : undefined;
    if (offset === 0 && header === undefined) return 'it is no tar';
    if (header === undefined) return `it is a tar without ${MANIFEST}, which lists the images`;
    if (header.name.replace(/^\.\//, '') === MANIFEST || header.sizeBytes === 'large') return undefined;
    offset += BLOCK_BYTES * (1 + Math.ceil(header.sizeBytes / BLOCK_BYTES));
    if (offset > sizeBytes) return 'it is a tar that was cut short';
  }
  return undefined;
}

/** Of a ustar or GNU tar (POSIX.1, pax); undefined of what is none, and of the empty block at its end. Pure. */
function readTarHeader(
  block: Uint8Array,
): { readonly name: string; readonly sizeBytes: number | 'large' } | undefined {
  const field = (start: number, length: number): string =>
    (
      Buffer.from(block.subarray(start, start + length))
        .toString('latin1')
        .split('\0', 1)[0] ?? ''
    ).trim();
  const octal = (text: string): number => (/^[0-7]+$/.test(text) ? Number.parseInt(text, 8) : Number.NaN);
  // The sum is over a header whose own field of it is blank.
  const sum = block.reduce((total, byte, at) => total + (at >= 148 && at < 156 ? 0x20 : byte), 0);
  if (octal(field(148, 8)) !== sum) return undefined;
  // Links, devices, directories and pipes (types 1 to 6) have no content, whatever their size says.
  const sizeBytes = /[1-6]/.test(field(156, 1)) ? 0 : octal(field(124, 12));
  const name = field(0, 100);
  // From 8 GiB on GNU writes it in binary, with the uppermost bit set.
  if (((block[124] ?? 0) & 0x80) !== 0) return { name, sizeBytes: 'large' };
  return Number.isNaN(sizeBytes) ? undefined : { name, sizeBytes };
}
