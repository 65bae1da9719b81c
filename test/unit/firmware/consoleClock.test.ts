/** The console's screen while the time of day is set: it goes by the time since the machine started. */
import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';

const CONSOLE = join(import.meta.dirname, '../../../firmware/console');
const FACTORY = 'etc/branchbox/factory';
let root: string;
const isOfSerial = (serial: string): void => writeFileSync(join(root, FACTORY, 'serial'), `${serial}\n`);

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'bbt-console-'));
  mkdirSync(join(root, FACTORY), { recursive: true });
});
afterEach(() => rmSync(root, { recursive: true }));

it('is drawn on where the time of day is set back by years, as where a hardware clock was ahead', async () => {
  writeFileSync(
    join(root, 'SetBack.pm'),
    'package SetBack; my $asked; BEGIN { *CORE::GLOBAL::time = sub { CORE::time() - ($asked++ ? 400_000_000 : 0) } } 1;',
  );
  isOfSerial('SN-1');
  const child = spawn('perl', [`-I${root}`, '-MSetBack', CONSOLE], {
    env: { BRANCHBOX_CONSOLE_ROOT: root, PATH: process.env['PATH'] ?? '' },
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  try {
    let said = '';
    child.stdout.setEncoding('utf8');
    child.stdout.on('data', (text: string) => {
      said += text;
    });
    await expect.poll(() => said).toContain('serial SN-1 ');
    isOfSerial('SN-2');
    await expect.poll(() => said).toContain('serial SN-2 ');
  } finally {
    child.kill('SIGKILL');
  }
});
