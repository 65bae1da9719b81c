/** What of an earlier build is taken as it is: all of it, of the size that was noted, or nothing. */
import { mkdirSync, mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { madeBefore, noteMade } from '../../../image/madeBefore.ts';

const ROOT_HASH = 'ab'.repeat(32);
const NAMES = ['raw', 'root', 'verity', 'efi', 'update.jws'] as const;
let directory: string;
let note: string;
let parts: readonly string[];
const before = (inputs = 'digest'): Promise<string | undefined> => madeBefore(note, inputs, parts);

beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), 'bbt-made-'));
  note = join(directory, 'inputs');
  parts = NAMES.map((name) => join(directory, name));
  for (const part of parts) writeFileSync(part, part);
  await noteMade(note, { inputs: 'digest', rootHash: ROOT_HASH }, parts);
});
afterEach(() => rmSync(directory, { recursive: true }));

it('is all there, of the same inputs', async () => {
  expect(await before()).toBe(ROOT_HASH);
  expect(await before('another')).toBeUndefined();
});

it.each(NAMES)('is nothing where %s is gone, cut short, replaced, or a directory', async (name) => {
  const part = join(directory, name);
  truncateSync(part, 1);
  expect(await before()).toBeUndefined();
  writeFileSync(part, `${part} and more`);
  expect(await before()).toBeUndefined();
  rmSync(part);
  expect(await before()).toBeUndefined();
  mkdirSync(part);
  expect(await before()).toBeUndefined();
});

it('is nothing where the note is gone, half written, or of a build that noted no sizes', async () => {
  for (const text of ['{"inputs":"digest","rootH', `digest ${ROOT_HASH}\n`, '{"inputs":"digest"}']) {
    writeFileSync(note, text);
    expect(await before(), text).toBeUndefined();
  }
  rmSync(note);
  expect(await before()).toBeUndefined();
});
