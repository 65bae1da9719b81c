/**
 * Owns the Debian package for a machine that is already there: its file in the output directory.
 * Does not own what is in it (make-deb.sh).
 */
import { mkdtemp, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { FIRMWARE_ROOT } from './assemble.ts';
import type { Disk } from './disk.ts';
import { script } from './ingredients.ts';
import { stage } from './staging.ts';
import { createToolbox } from './toolbox.ts';
import type { Making } from './trees.ts';

const CHECKOUT = join(import.meta.dirname, '..');
const TIMEOUT_MS = 60 * 60_000;

/** Its path. Of the working code always: a package of a variant would break a machine that somebody needs. */
export async function makePackage(disk: Disk, { runner }: Making): Promise<string> {
  const { made, ingredients, keys, out, sourceDateEpoch } = disk;
  const toolbox = createToolbox(runner, ingredients.toolbox.tree, {
    SOURCE_DATE_EPOCH: String(sourceDateEpoch),
  });
  const deb = join(out, `branchbox-${made.version}_amd64.deb`);
  const work = await mkdtemp(join(out, 'package-'));
  const part = join(work, 'deb');
  try {
    await stage(work, ingredients, keys, undefined);
    const words = [work, made.version, join(import.meta.dirname, 'packages.txt'), FIRMWARE_ROOT, part];
    await toolbox.run([out, CHECKOUT], script('make-deb.sh', ...words), TIMEOUT_MS);
    await rename(part, deb);
  } finally {
    await rm(work, { recursive: true });
  }
  return deb;
}
