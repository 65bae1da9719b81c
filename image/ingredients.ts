/**
 * Owns the slow stage: what every version of the image is made of, made once and kept by a digest of its inputs.
 * Does not own what a version adds (assemble.ts).
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { mkdir, rename, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { NODE_PACKAGE } from './inventory.ts';
import { createToolbox, type Toolbox } from './toolbox.ts';
import { cachePath, ensureTree, IMAGE_TREE, type Making, TOOLS_TREE } from './trees.ts';

export interface Ingredients {
  readonly toolbox: Toolbox;
  /** Made by finish-tree.sh: root/, vmlinuz, microcode, kernel-version, packages.tsv. */
  readonly tree: string;
  readonly kernelVersion: string;
  readonly initrd: string;
  /** The Node binary that a box runs, stripped. */
  readonly node: string;
}

const read = (name: string): Buffer => readFileSync(join(import.meta.dirname, name));
const CHECKOUT = join(import.meta.dirname, '..');
/** Scripts that root and initrd both have (make-initrd.sh). */
const INITRD_SHARED = ['boot-failed', 'start-next'];
/** Linking, unpacking modules, compressing: one minute on two cores, several beside other work. */
const STEP_TIMEOUT_MS = 20 * 60_000;

export async function ensureIngredients(making: Making): Promise<Ingredients> {
  const tools = await ensureTree(TOOLS_TREE, making);
  const toolbox = createToolbox(making.runner, tools);
  const raw = await ensureTree(IMAGE_TREE, making);
  const cache = dirname(raw);

  const finishing = ['finish-tree.sh', 'prune.txt', 'modules.txt', 'microcode.txt'].map(read);
  const tree = cachePath('image-tree', [basename(raw), ...finishing], cache);
  await once(tree, making, 'the root of the image', (part) =>
    toolbox.run([cache, CHECKOUT], script('finish-tree.sh', raw, part, import.meta.dirname), STEP_TIMEOUT_MS),
  );
  const kernelVersion = readFileSync(join(tree, 'kernel-version'), 'utf8').trim();

  const initrdRecipe = readdirSync(join(import.meta.dirname, 'initrd')).sort();
  const initrdFiles = [
    ...initrdRecipe.map((name) => join('initrd', name)),
    ...INITRD_SHARED.map((name) => join('../firmware', name)),
  ].map(read);
  const initrd = cachePath('image-initrd', [basename(tree), read('make-initrd.sh'), ...initrdFiles], cache);
  await once(initrd, making, 'the initrd', (part) =>
    toolbox.run(
      [cache, CHECKOUT],
      script(
        'make-initrd.sh',
        join(tree, 'root'),
        join(tree, 'busybox'),
        kernelVersion,
        join(import.meta.dirname, 'initrd'),
        part,
      ),
      STEP_TIMEOUT_MS,
    ),
  );

  const node = cachePath('node', [readFileSync(join(CHECKOUT, NODE_PACKAGE, 'package.json'))], cache);
  await once(node, making, 'the Node binary', (part) =>
    toolbox.run(
      [cache, CHECKOUT],
      ['strip', '-o', part, join(CHECKOUT, NODE_PACKAGE, 'bin/node')],
      STEP_TIMEOUT_MS,
    ),
  );
  return { toolbox, tree, kernelVersion, initrd, node };
}

/** The words of a step of this directory. */
export const script = (name: string, ...words: readonly string[]): string[] => [
  join(import.meta.dirname, name),
  ...words,
];

/** By rename: whole or absent, and two that make the same at once do no harm. */
async function once(
  path: string,
  { say }: Making,
  what: string,
  make: (part: string) => Promise<unknown>,
): Promise<void> {
  if (existsSync(path)) return;
  say(`making ${what}, once: ${path}`);
  const part = `${path}.${process.pid}.part`;
  await mkdir(dirname(path), { recursive: true });
  try {
    await make(part);
    if (!existsSync(path)) await rename(part, path);
  } finally {
    await rm(part, { recursive: true, force: true });
  }
}
