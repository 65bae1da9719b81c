/**
 * When a version is made anew and when what is there is taken: the real code of the quick stage, with steps that write a
 * few bytes in the place of those of the recipe.
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type Assembled, assemble } from '../../../image/assemble.ts';
import type { Ingredients } from '../../../image/ingredients.ts';
import { ensureKeys, type Keys } from '../../../image/keys.ts';
import { createToolbox } from '../../../image/toolbox.ts';
import type { Runner } from '../../../src/system/ports.ts';

const VERSION = '1.2.3';
const ROOT_HASH = 'ab'.repeat(32);
let directory: string;
let keys: Keys;
let ingredients: Ingredients;
/** Steps that ran, by name. */
const ran: string[] = [];

/** What each step leaves, in the words that assemble.ts gives it. */
const STEPS: Readonly<Record<string, (words: readonly string[]) => void>> = {
  'make-slot.sh': (words) => {
    const slot = words.at(-1) ?? '';
    for (const [name, text] of [
      ['root', 'files'],
      ['verity', 'hashes'],
      ['roothash', ROOT_HASH],
    ] as const)
      writeFileSync(join(slot, name), text);
  },
  'make-uki.sh': (words) => writeFileSync(words.at(-2) ?? '', 'kernel'),
  'make-disk.sh': (words) => writeFileSync(words.at(-1) ?? '', 'disk'),
};
const nothing = (): never => {
  throw new Error('not of this test');
};
const runner: Runner = {
  run: nothing,
  follow: nothing,
  async runChecked(_inTools, args) {
    const words = args.slice(args.indexOf('--') + 2).filter((word) => !/^[A-Z_0-9]+=/.test(word));
    const name = basename(words[0] ?? '');
    if (name === 'openssl')
      return execFileSync('openssl', words.slice(1), { encoding: 'utf8', stdio: 'pipe' });
    ran.push(name);
    STEPS[name]?.(words);
    return '';
  },
};
const make = async (): Promise<{ readonly made: Assembled; readonly steps: readonly string[] }> => {
  ran.length = 0;
  const made = await assemble(
    { version: VERSION, ingredients, keys, out: join(directory, 'out'), sourceDateEpoch: 1_750_000_000 },
    { runner, say: () => {} },
  );
  return { made, steps: [...ran] };
};

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), 'bbt-assemble-'));
  for (const name of ['out', 'tree', 'keys']) mkdirSync(join(directory, name));
  const [initrd, node] = ['initrd', 'node'].map((name) => join(directory, name)) as [string, string];
  for (const file of [initrd, node]) writeFileSync(file, basename(file));
  const toolbox = createToolbox(runner, join(directory, 'tools'));
  ingredients = { toolbox, tree: join(directory, 'tree'), kernelVersion: '6.12.0-amd64', initrd, node };
  keys = await ensureKeys(join(directory, 'keys'), { toolbox, say: () => {} });
});
afterAll(() => rmSync(directory, { recursive: true }));

const ALL = ['make-slot.sh', 'make-uki.sh', 'make-disk.sh'];

it('takes what is there while nothing changed, and makes it anew once a part is gone', async () => {
  const { made, steps } = await make();
  expect(steps).toEqual(ALL);
  expect(made.rootHash).toBe(ROOT_HASH);
  expect(await make()).toEqual({ made, steps: [] });

  renameSync(made.uki, `${made.uki}.away`);
  expect((await make()).steps).toEqual(ALL);
  // Each of them counts (madeBefore.test.ts).
  const note = readFileSync(join(directory, 'out', `branchbox-${VERSION}.inputs`), 'utf8');
  const { sizes } = JSON.parse(note) as { sizes: Record<string, number> };
  expect(Object.keys(sizes)).toEqual(
    [made.raw, made.root, made.verity, made.uki, made.update].map((part) => basename(part)),
  );
});
