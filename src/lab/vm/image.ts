/**
 * Owns which image a lab's machines run: the disk, the tools tree that it was made in, and the keys that signed it,
 * noted in the lab when it comes up. Does not own making it (image/build.ts).
 */
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { join, relative } from 'node:path';
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

const CHECKOUT = join(import.meta.dirname, '../../..');
/** What an image is made of; the lab's own code is not in it. */
const SOURCES = ['src', 'firmware', 'image', 'package-lock.json'];
const NOT_IN_IT = /^src\/(lab\/|cli\/lab)/;

/** The image of the checkout; made where there is none, or an older one than its sources. */
export async function prepareImage(making: Making): Promise<MachineImage> {
  // esbuild and the recipe are loaded only here: `lab exec` must not pay for them.
  const [{ assemble }, { ensureIngredients }, { ensureKeys }] = await Promise.all([
    import('../../../image/assemble.ts'),
    import('../../../image/ingredients.ts'),
    import('../../../image/keys.ts'),
  ]);
  const out = join(CHECKOUT, 'out/image');
  await mkdir(out, { recursive: true });
  const ingredients = await ensureIngredients(making);
  const keys = await ensureKeys(join(CHECKOUT, 'out/keys'), {
    toolbox: ingredients.toolbox,
    say: making.say,
  });
  const { version } = JSON.parse(readFileSync(join(CHECKOUT, 'package.json'), 'utf8')) as { version: string };
  const raw = join(out, `branchbox-${version}.raw`);
  if (!existsSync(raw) || statSync(raw).mtimeMs < newestSourceMs()) {
    making.say(`making the image, version ${version}`);
    const sourceDateEpoch = Math.floor(newestSourceMs() / 1000);
    await assemble({ version, ingredients, keys, out, sourceDateEpoch }, making);
  }
  return {
    raw,
    unifiedKernel: join(out, `branchbox-${version}.efi`),
    tools: ingredients.toolbox.tree,
    secureBoot: keys.db,
  };
}

function newestSourceMs(): number {
  const files = SOURCES.flatMap((source) => {
    const at = join(CHECKOUT, source);
    if (!statSync(at).isDirectory()) return [source];
    return readdirSync(at, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => relative(CHECKOUT, join(entry.parentPath, entry.name)));
  });
  const times = files
    .filter((file) => !NOT_IN_IT.test(file))
    .map((file) => statSync(join(CHECKOUT, file)).mtimeMs);
  return Math.max(...times);
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
