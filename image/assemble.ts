/**
 * Owns the quick stage: one version of the image out of what is there already: slot, signed kernel, disk.
 * Does not own the slow stage (ingredients.ts) nor what is published beside the disk (build.ts).
 */
import { copyFile, mkdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { bundle } from './bundle.ts';
import { type Ingredients, script } from './ingredients.ts';
import type { Keys } from './keys.ts';
import { putPayload, putUnits } from './payload.ts';
import { createToolbox } from './toolbox.ts';
import type { Making } from './trees.ts';

/** Deliberately broken, for tests of going back. */
export type Variant = 'agent-fails' | 'panics';

export interface AssembleOptions {
  readonly version: string;
  readonly variant?: Variant;
  readonly ingredients: Ingredients;
  readonly keys: Keys;
  /** Holds what is made: branchbox-VERSION.raw, .root, .verity, .efi. */
  readonly out: string;
  /** Seconds since 1970: the time of everything in it. */
  readonly sourceDateEpoch: number;
}

export interface Assembled {
  readonly version: string;
  readonly raw: string;
  readonly root: string;
  readonly verity: string;
  readonly uki: string;
  /** 64 hexadecimal digits. */
  readonly rootHash: string;
}

const CHECKOUT = join(import.meta.dirname, '..');
/** A version is a part of file names, of a kernel's file name with a counter (`+`), and of os-release. */
const VERSION = /^[0-9A-Za-z][0-9A-Za-z.~-]{0,31}$/;

/** What is said to every kernel. The root hash makes the command line that of one root alone. Pure. */
export const commandLine = (rootHash: string): string =>
  [
    `roothash=${rootHash}`,
    'ro',
    // A kernel that panics restarts, so that the boot loader's counting can go back.
    'panic=10',
    'console=tty0',
    'console=ttyS0,115200',
    // From the board where it has one; the root is the same for every box.
    'systemd.machine_id=firmware',
  ].join(' ');

export async function assemble(options: AssembleOptions, { runner, say }: Making): Promise<Assembled> {
  const { version, variant, ingredients, keys, out, sourceDateEpoch } = options;
  if (!VERSION.test(version)) throw new TypeError(`"${version}" is no version: letters, digits, . ~ -`);
  const { tree } = ingredients;
  const toolbox = createToolbox(runner, ingredients.toolbox.tree, {
    SOURCE_DATE_EPOCH: String(sourceDateEpoch),
  });
  const work = join(out, `work-${version}`);
  await rm(work, { recursive: true, force: true });
  await mkdir(join(work, 'slot'), { recursive: true });
  const visible = [tree, CHECKOUT, out, keys.directory];
  const step = (name: string, ...words: readonly string[]): Promise<string> =>
    toolbox.run(visible, script(name, ...words));
  const timed = async <T>(what: string, doing: Promise<T>): Promise<T> => {
    const startMs = performance.now();
    const result = await doing;
    say(`${version}: ${what} in ${((performance.now() - startMs) / 1000).toFixed(1)} s`);
    return result;
  };

  await timed('bundle', stage(join(work, 'staged'), ingredients, variant));
  const slot = join(work, 'slot');
  await timed(
    'root and hashes',
    step(
      'make-slot.sh',
      join(tree, 'root'),
      version,
      join(work, 'staged'),
      join(CHECKOUT, 'firmware/root'),
      slot,
    ),
  );
  const rootHash = (await readFile(join(slot, 'roothash'), 'utf8')).trim();
  const initrds = [join(work, 'initrd')];
  // Beside the checkout's own paths, a step sees `out` alone.
  await copyFile(ingredients.initrd, join(work, 'initrd'));
  if (variant === 'panics') {
    await step('make-panic.sh', join(work, 'panic'));
    initrds.push(join(work, 'panic'));
  }
  const uki = join(work, 'uki.efi');
  await step('make-uki.sh', tree, version, commandLine(rootHash), keys.directory, uki, ...initrds);
  const disk = join(work, 'disk.raw');
  await timed(
    'disk',
    step('make-disk.sh', join(import.meta.dirname, 'repart.d'), slot, uki, version, keys.directory, disk),
  );

  const named = (extension: string): string => join(out, `branchbox-${version}.${extension}`);
  const made: Assembled = {
    version,
    rootHash,
    raw: named('raw'),
    root: named('root'),
    verity: named('verity'),
    uki: named('efi'),
  };
  await rename(join(slot, 'root'), made.root);
  await rename(join(slot, 'verity'), made.verity);
  await rename(uki, made.uki);
  await rename(disk, made.raw);
  await rm(work, { recursive: true });
  return made;
}

/** The payload and units of a version, as directories that make-slot.sh lays over the tree. */
async function stage(target: string, { node }: Ingredients, variant: Variant | undefined): Promise<void> {
  const { directory } = await bundle('src/cli/main.ts', 'branchbox', join(target, 'bundle'));
  await putPayload(directory, join(target, 'payload'));
  await copyFile(node, join(target, 'payload/node'));
  await putUnits(join(target, 'units'));
  if (variant === 'agent-fails') {
    const dropIns = join(target, 'units/branchbox-agent.service.d');
    await mkdir(dropIns, { recursive: true });
    await writeFile(join(dropIns, 'variant.conf'), '[Service]\nExecStart=\nExecStart=/usr/bin/false\n');
  }
  await stat(join(target, 'payload/branchbox.mjs'));
}
