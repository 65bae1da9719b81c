/**
 * The image has what firmware's own files call for: programs of its scripts (one that was missing there failed a reset at
 * boot), and kernel modules of hardware models.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { ensureIngredients } from '../../image/ingredients.ts';
import { parseHardwareModel } from '../../src/agent/hardware.ts';
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

it('has the modules that hardware models name', async () => {
  const { tree, kernelVersion } = await ensureIngredients({ runner: createRunner(), say: () => undefined });
  const modules = join(tree, 'root/usr/lib/modules', kernelVersion);
  // `-` and `_` are one to the kernel, and file names have either.
  const plain = (path: string): string =>
    path
      .replace(/^.*\//, '')
      .replace(/\.ko.*$/s, '')
      .replaceAll('-', '_');
  const present = new Set(
    ['modules.dep', 'modules.builtin'].flatMap((list) =>
      readFileSync(join(modules, list), 'utf8')
        .split('\n')
        .map((line) => plain(line.replace(/:.*$/, ''))),
    ),
  );
  const directory = join(FIRMWARE, 'models');
  const missing = readdirSync(directory).flatMap((file) => {
    const { watchdog, resetButton } = parseHardwareModel(readFileSync(join(directory, file), 'utf8'), file);
    return [watchdog?.module, resetButton?.module]
      .filter((module) => module !== undefined && !present.has(plain(module)))
      .map((module) => `${file}: ${module}`);
  });
  expect(missing).toEqual([]);
  expect(present.has('iTCO_wdt')).toBe(true);
  expect(present.has('no_such_wdt')).toBe(false);
}, 1_200_000);
