/**
 * Owns the disk for hypervisors: the raw one, packed, and as large as a box needs it. Does not own the raw one (disk.ts).
 */
import { rename } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { Toolbox } from './toolbox.ts';

/**
 * What the machine sees; the file takes no more for it. The raw disk ends behind slot A: started from one of that size a box
 * would find no room for slot B and its data, and end on the rescue screen.
 */
const SIZE = '8G';
/** Minutes of two cores; on a busy machine many. */
const TIMEOUT_MS = 60 * 60_000;

export async function makeQcow2(raw: string, target: string, toolbox: Toolbox): Promise<void> {
  const part = `${target}.part`;
  const convert = 'qemu-img convert -c -O qcow2 -o compression_type=zstd,compat=1.1'.split(' ');
  await toolbox.run([dirname(raw), dirname(target)], [...convert, raw, part], TIMEOUT_MS);
  await toolbox.run([dirname(target)], ['qemu-img', 'resize', '-q', part, SIZE]);
  await rename(part, target);
}
