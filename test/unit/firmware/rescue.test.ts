/** What rescue leaves for the screen where no version of the firmware comes up; the screen itself: console.test.ts. */
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';

const RESCUE = readFileSync(join(import.meta.dirname, '../../../firmware/rescue'), 'utf8');
const WHY = 'The data is sealed to a TPM, and this machine shows none.\nSwitch it on.\n';
let directory: string;
const put = (path: string, text: string): void => {
  mkdirSync(dirname(join(directory, path)), { recursive: true });
  writeFileSync(join(directory, path), text, { mode: 0o755 });
};
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'bbt-rescue-'));
  put('run/boot/disk', 'sda\n');
  put('run/boot/data-failed', WHY);
  put('own/boot-failed', '#!/bin/sh\n[ "$1" = clear ]\n');
  // A stick is plugged in: that ends it.
  put('own/start-next', '#!/bin/sh\n');
});
afterEach(() => rmSync(directory, { recursive: true }));

/** For the screen, where systemd says that these units failed. */
function left(failed: string): string {
  put('bin/systemctl', `#!/bin/sh\n[ "$1" != list-units ] || printf '${failed}'\n`);
  const script = RESCUE.replaceAll('/run/branchbox', join(directory, 'run'))
    .replaceAll('/usr/lib/branchbox', join(directory, 'own'))
    .replaceAll('/dev/input', join(directory, 'input'));
  const env = { PATH: `${directory}/bin:${process.env['PATH'] ?? ''}` };
  expect(spawnSync('sh', ['-c', script], { env, encoding: 'utf8' }).stderr).toBe('');
  return readFileSync(join(directory, 'run/rescue'), 'utf8');
}

it('leaves the units that failed, and why where that is about the data', () => {
  expect(left('branchbox-disk.service loaded failed\\n')).toBe(`branchbox-disk.service \n${WHY}`);
  expect(left('other.service loaded\\nvar.mount loaded\\n')).toBe(`other.service var.mount \n${WHY}`);
  expect(left('efi.mount loaded failed\\n')).toBe('efi.mount \n');
  rmSync(join(directory, 'run/boot/data-failed'));
  expect(left('branchbox-disk.service loaded failed\\n')).toBe('branchbox-disk.service \n');
});

it('says who asked for it where no unit failed', () => {
  expect(left('')).toBe('emergency.target\n');
});
