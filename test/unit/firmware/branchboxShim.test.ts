/** What /usr/bin/branchbox of a box starts: Node with the bundle, but for the console, which must cost little at rest. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';

const SHIM = join(import.meta.dirname, '../../../firmware/branchbox.sh');

let directory: string;
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'bbt-shim-'));
  const text = readFileSync(SHIM, 'utf8').replaceAll('/usr/lib/branchbox', directory);
  writeFileSync(join(directory, 'branchbox'), text);
  for (const program of ['node', 'console']) {
    writeFileSync(join(directory, program), `#!/bin/sh\necho ${program} "$@"\n`, { mode: 0o755 });
  }
});
afterAll(() => rmSync(directory, { recursive: true, force: true }));

it.each([
  ['console', /^console$/],
  ['console --once', /^console --once$/],
  // The console itself would open, and offer a factory reset to whoever wanted to know what it is.
  ['console --help', /^node .*branchbox\.mjs console --help$/],
  ['console -h', /^node .*branchbox\.mjs console -h$/],
  ['status --json', /^node .*branchbox\.mjs status --json$/],
  ['', /^node .*branchbox\.mjs$/],
])('branchbox %s', (words, started) => {
  const said = execFileSync('/bin/sh', [join(directory, 'branchbox'), ...words.split(' ').filter(Boolean)], {
    encoding: 'utf8',
  });
  expect(said.trim()).toMatch(started);
});
