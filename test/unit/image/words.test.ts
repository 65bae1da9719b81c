/** What `npm run image` refuses before anything is made. */
import { execFile } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { expect, it } from 'vitest';

const BUILD = resolve(import.meta.dirname, '../../../image/build.ts');

const build = (...args: string[]): Promise<{ code: unknown; stderr: string }> =>
  new Promise((done) => {
    execFile(process.execPath, [BUILD, ...args], (error, _, text) =>
      done({ code: error?.code, stderr: text }),
    );
  });

it.each([[['--bogus']], [['--variant', 'bogus']], [['--version', '0.2.0 beta']], [['--version', '../x']]])(
  '%j prints the usage, and ends with 2',
  async (args) => {
    const { code, stderr } = await build(...args);
    expect(code).toBe(2);
    expect(stderr).toMatch(/usage: npm run image/);
    expect(stderr).not.toMatch(/\n\s+at /);
  },
  60_000,
);

it('keys that are not whole are told as a sentence, with what is missing and the mend', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'bbt-words-'));
  try {
    writeFileSync(join(directory, 'release.key'), 'somebody’s');
    const out = join(directory, 'out');
    const { code, stderr } = await build('--keys', directory, '--out', out);
    expect(code).toBe(1);
    expect(stderr).toBe(
      [
        `system/file: The signing keys in ${directory} are not whole`,
        ...['db.crt', 'release.crt', 'release-anchors.pem', 'db.key or db.uri'].map(
          (name) => `  at ${name}: is missing`,
        ),
        '  mend: Put what is missing there (docs/image.md), or leave --keys out for test keys.\n',
      ].join('\n'),
    );
    expect(readdirSync(directory)).toEqual(['release.key']);
  } finally {
    rmSync(directory, { recursive: true });
  }
}, 60_000);

it('a directory of keys that has none, or is not there, gets no test keys unasked', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'bbt-words-'));
  try {
    for (const keys of [directory, join(directory, 'misspelt')]) {
      const { code, stderr } = await build('--keys', keys, '--out', join(directory, 'out'));
      expect(code).toBe(1);
      expect(stderr).toContain(`There are no signing keys in ${keys}\n  mend: Put them there`);
      expect(readdirSync(directory)).toEqual([]);
    }
  } finally {
    rmSync(directory, { recursive: true });
  }
}, 120_000);
