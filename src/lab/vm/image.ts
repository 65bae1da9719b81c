/**
 * Owns which image a lab's machines run: the disk, the tools tree that it was made in, and the keys that signed it,
 * noted in the lab when it comes up. Does not own making it (image/build.ts).
 */
import { z } from 'zod';
import type { Making } from '../../../image/trees.ts';
import { decodeJson } from '../../model/decode.ts';
import { BranchboxError } from '../../model/errors.ts';
import type { Files } from '../../system/ports.ts';
import type { LabPaths } from '../paths.ts';

const MachineImage = z.strictObject({
  /** The disk as it is downloaded, unpacked. Never written. */
  raw: z.string(),
  /** The signed kernel that the disk boots, as a file of its own. */
  unifiedKernel: z.string(),
  /** The Debian 13 tree with QEMU, swtpm and the recipe's tools. */
  tools: z.string(),
  /** PEM files of the key that the firmware trusts: with it the lab's add-on is signed. */
  secureBoot: z.strictObject({ key: z.string(), certificate: z.string() }),
});
export type MachineImage = z.output<typeof MachineImage>;

/**
 * The image of the checkout, by its own test keys; made where there is none in `out`, or another: of other sources, signed
 * by other keys, or broken on purpose. A machine of the lab would not start from it.
 */
export async function prepareImage(making: Making, out?: string): Promise<MachineImage> {
  // esbuild and the recipe are loaded only here: `lab exec` must not pay for them.
  const { buildDisk } = await import('../../../image/disk.ts');
  const { made, ingredients, keys } = await buildDisk(out === undefined ? {} : { out }, making);
  return {
    raw: made.raw,
    unifiedKernel: made.uki,
    tools: ingredients.toolbox.tree,
    secureBoot: keys.db,
  };
}

export const noteImage = (
  files: Pick<Files, 'writeDurable'>,
  paths: LabPaths,
  image: MachineImage,
): Promise<void> => files.writeDurable(paths.machineImage, `${JSON.stringify(image)}\n`);

export async function notedImage(files: Pick<Files, 'readText'>, paths: LabPaths): Promise<MachineImage> {
  const text = await files.readText(paths.machineImage);
  if (text !== undefined) return decodeJson(MachineImage, text, paths.machineImage);
  throw new BranchboxError('internal', { message: `lab ${paths.lab} has a machine and no image for it` });
}
