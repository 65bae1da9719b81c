/** The words of `npm run image` that are not known: before anything is made. */
import { execFile } from 'node:child_process';
import { resolve } from 'node:path';
import { expect, it } from 'vitest';

const BUILD = resolve(import.meta.dirname, '../../../image/build.ts');

it.each([[['--bogus']], [['--variant', 'bogus']]])(
  '%j prints the usage, and ends with 2',
  async (args) => {
    const { code, stderr } = await new Promise<{ code: unknown; stderr: string }>((done) => {
      execFile(process.execPath, [BUILD, ...args], (error, _, text) =>
        done({ code: error?.code, stderr: text }),
      );
    });
    expect(code).toBe(2);
    expect(stderr).toMatch(/usage: npm run image/);
    expect(stderr).not.toMatch(/\n\s+at /);
  },
  60_000,
);
