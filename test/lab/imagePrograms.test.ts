/** The image has the programs that the firmware's own scripts call: one that was missing there failed a reset at boot. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { ensureIngredients } from '../../image/ingredients.ts';
import { createRunner } from '../../src/system/linux/runner.ts';

const FIRMWARE = join(import.meta.dirname, '../../firmware');
/** What may stand before a command. */
const COMMAND =
  /(?:^|[;|&(!]|\b(?:if|then|else|do|until|while|elif|exec)\b)\s*(?!(?:if|then|else|do|until|while|elif|exec|fi|done)\b)([a-z][a-z0-9_.-]*)(?=\s|$|;|\))/gm;

const programsOf = (script: string): string[] => {
  const code = script
    .replaceAll(/^\s*#.*$/gm, '')
    .replaceAll(/'[^']*'/g, "''")
    .replaceAll('\\\n', ' ');
  const functions = new Set([...code.matchAll(/^\s*(\w+)\(\)/gm)].map(([, name]) => name));
  return [...code.matchAll(COMMAND)].flatMap(([, word = '']) => (functions.has(word) ? [] : [word]));
};
const isIn = (root: string, program: string): boolean =>
  ['usr/bin', 'usr/sbin'].some((directory) => existsSync(join(root, directory, program)));

it('is there by name', async () => {
  const { tree } = await ensureIngredients({ runner: createRunner(), say: () => undefined });
  const scripts = readdirSync(FIRMWARE, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .filter((file) => readFileSync(file, 'latin1').startsWith('#!/bin/sh'));
  expect(scripts.length).toBeGreaterThan(10);
  const missing = scripts.flatMap((file) =>
    programsOf(readFileSync(file, 'utf8'))
      // A word that is no program on this machine either is a word of the shell, or an argument.
      .filter((program) => isIn('/', program) && !isIn(join(tree, 'root'), program))
      .map((program) => `${file.slice(FIRMWARE.length + 1)}: ${program}`),
  );
  expect([...new Set(missing)]).toEqual([]);
  // It can fail.
  expect(programsOf('if delpart /dev/x 1; then :; fi')).toContain('delpart');
}, 1_200_000);
