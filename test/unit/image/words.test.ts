/** What `npm run image`, and other commands that take long, refuse before anything is made. */
import { execFile } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { expect, it } from 'vitest';

const CHECKOUT = resolve(import.meta.dirname, '../../..');
interface Ended {
  readonly code: unknown;
  readonly stderr: string;
  readonly stdout: string;
}
/** A command that begins its work in spite of its words is ended. */
const MAX_MS = 20_000;
const call = (entry: string, ...args: string[]): Promise<Ended> =>
  new Promise((done) => {
    execFile(
      process.execPath,
      [join(CHECKOUT, entry), ...args],
      { timeout: MAX_MS },
      (error, stdout, stderr) => done({ code: error === null ? 0 : error.code, stdout, stderr }),
    );
  });
const build = (...args: string[]): Promise<Ended> => call('image/build.ts', ...args);

it.each([
  ['npm test', 'test/run.ts'],
  ['npm run check', 'test/check.ts'],
  ['npm run build', 'image/bundle.ts'],
  ['npm run bench', 'test/bench/run.ts'],
  ['npm run test:host', 'test/host/run.ts'],
  ['npm run image:reproduce', 'image/reproduce.ts'],
  ['npm run image:security', 'image/security.ts'],
  ['npm run test:vm', 'test/vm/run.ts'],
  ['npm run chaos:power', 'test/vm/power/run.ts'],
  ['npm run fuzz', 'test/fuzz/run.ts'],
])(
  '%s tells what it takes by an example, and begins nothing for a word that it does not know',
  async (command, entry) => {
    const help = await call(entry, '--help');
    expect(help).toMatchObject({ code: 0 });
    expect(help.stdout + help.stderr).toContain(`usage: ${command}`);
    expect(help.stdout + help.stderr).toMatch(new RegExp(`^examples?: .*${command}`, 'm'));
    const { code, stderr } = await call(entry, '--bogus');
    expect(code).toBe(2);
    expect(stderr).toContain(`usage: ${command}`);
    expect(stderr).not.toMatch(/\n\s+at /);
  },
  60_000,
);

it.each([
  [['--bogus']],
  [['--variant', 'bogus']],
  [['--version', '0.2.0 beta']],
  [['--version', '../x']],
  [['--version', '1.0-']],
  [['--version', '0.2.0-rc.1']],
])(
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
