/** What the recipe lays over a root has the image's modes, whoever cloned the repository. */
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';

const COPY = join(import.meta.dirname, '../../../image/copy-over.sh');
let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'bbt-copy-'));
});
afterEach(() => rmSync(directory, { recursive: true }));

it('of a checkout that its owner alone may enter, too', () => {
  const [from, to] = [join(directory, 'from'), join(directory, 'to')];
  mkdirSync(join(from, 'usr/lib'), { recursive: true });
  mkdirSync(join(to, 'usr/share'), { recursive: true });
  writeFileSync(join(from, 'usr/lib/program'), '#!/bin/sh\n', { mode: 0o700 });
  writeFileSync(join(from, 'usr/lib/text'), 'text', { mode: 0o600 });
  symlinkSync('text', join(from, 'usr/lib/link'));
  for (const path of ['usr/lib', 'usr', '']) chmodSync(join(from, path), 0o700);
  execFileSync('sh', ['-c', 'umask 077; exec "$@"', 'sh', COPY, from, to]);
  const modeOf = (path: string): string => (lstatSync(join(to, path)).mode & 0o777).toString(8);
  expect(['', 'usr', 'usr/lib', 'usr/lib/program', 'usr/lib/text'].map(modeOf)).toEqual([
    '755',
    '755',
    '755',
    '755',
    '644',
  ]);
  expect(readlinkSync(join(to, 'usr/lib/link'))).toBe('text');
  expect(lstatSync(join(to, 'usr/share')).isDirectory()).toBe(true);
});
