/**
 * Owns building a disk with everything at its default: for the command, for tests, for a lab's machines.
 * Does not own the stages (ingredients.ts, assemble.ts).
 */
import { mkdir, readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { BranchboxError } from '../src/model/errors.ts';
import { type Assembled, assemble } from './assemble.ts';
import { commitTime } from './commitTime.ts';
import { ensureIngredients, type Ingredients } from './ingredients.ts';
import { ensureKeys, type Keys, readKeys } from './keys.ts';
import { oneAtATime } from './oneAtATime.ts';
import type { Variant } from './staging.ts';
import type { Making } from './trees.ts';
import { versionProblem } from './version.ts';

export interface DiskOptions {
  /** Default: that of package.json. */
  readonly version?: string;
  readonly variant?: Variant;
  /** Directory of the signing keys; default out/keys. */
  readonly keys?: string;
  /** Have test keys made in the directory that `keys` names, where it has none. */
  readonly testKeys?: boolean;
  /** Default out/image. */
  readonly out?: string;
}

export interface Disk {
  readonly made: Assembled;
  readonly ingredients: Ingredients;
  readonly keys: Keys;
  readonly out: string;
  readonly sourceDateEpoch: number;
}

const CHECKOUT = join(import.meta.dirname, '..');

/**
 * Quick where nothing changed since the last time: one bundle, 2 s. One build at a time in an output directory, `then`
 * included: what is made beside the disk is of this build too.
 */
export async function buildDisk(
  options: DiskOptions,
  making: Making,
  then: (disk: Disk) => Promise<void> = () => Promise.resolve(),
): Promise<Disk> {
  const out = resolve(options.out ?? join(CHECKOUT, 'out/image'));
  const keysDirectory = resolve(options.keys ?? join(CHECKOUT, 'out/keys'));
  // Before what takes minutes.
  if (readKeys(keysDirectory) === undefined && options.keys !== undefined && options.testKeys !== true)
    throw keysMissing(keysDirectory);
  const version = options.version ?? (await packageVersion());
  requireRoot();
  await mkdir(out, { recursive: true });
  const { say } = making;
  const { variant } = options;
  return oneAtATime('out', out, say, async () => {
    const ingredients = await ensureIngredients(making);
    // Builds into two directories share their keys.
    const keys = await oneAtATime('keys', keysDirectory, say, () =>
      ensureKeys(keysDirectory, { toolbox: ingredients.toolbox, say }),
    );
    const shared = { ingredients, keys, out, sourceDateEpoch: await commitTime(CHECKOUT, making) };
    const made = await assemble(
      { version, ...(variant === undefined ? {} : { variant }), ...shared },
      making,
    );
    const disk = { made, ...shared };
    await then(disk);
    return disk;
  });
}

/** Test keys in their place would lock a fleet out of its updates: a name misspelt, a disk that is not mounted. */
const keysMissing = (directory: string): BranchboxError =>
  new BranchboxError('system/file', {
    message: `There are no signing keys in ${directory}`,
    mend: 'Put them there (docs/image.md, "Keys"), or say --test-keys to have some made for trying.',
  });

async function packageVersion(): Promise<string> {
  const { version } = JSON.parse(await readFile(join(CHECKOUT, 'package.json'), 'utf8')) as {
    version: string;
  };
  const problem = versionProblem(version);
  if (problem === undefined) return version;
  throw new BranchboxError('model/invalid', {
    message: `The version ${JSON.stringify(version)} of package.json names no version of an image: ${problem}`,
    mend: 'Say another: npm run image -- --version VERSION.',
  });
}

function requireRoot(): void {
  if (process.platform === 'linux' && process.getuid?.() === 0) return;
  throw new BranchboxError('lab/missing-capability', {
    message: 'an image is made of mounted trees, which takes root on Linux',
    mend: 'run it as root: sudo npm run image',
  });
}
