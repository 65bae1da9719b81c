/** What follows from a block of the running root that went bad, over programs that say what they are told to. */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';

const SCRIPT = join(import.meta.dirname, '../../../firmware/root/usr/lib/branchbox/root-check');
let place: string;
const at = (name: string): string => join(place, name);
const program = (name: string, script: string): void =>
  writeFileSync(at(`bin/${name}`), `#!/bin/sh\n${script}\n`, { mode: 0o755 });

beforeEach(() => {
  place = mkdtempSync(join(tmpdir(), 'bbt-root-check-'));
  mkdirSync(at('bin'));
  mkdirSync(at('told'));
  // As veritysetup 2.7 prints it; test/vm/smoke.test.ts has the real one.
  program(
    'veritysetup',
    `[ "$*" = 'status root' ] && printf '%s\\n' '/dev/mapper/root is active and is in use.' '  type:        VERITY' "  status:      $(cat ${at('verity')})" '  hash type:   1'`,
  );
  program('systemctl', `case $1 in show) cat ${at('restarts')} ;; *) echo "$@" >>${at('asked')} ;; esac`);
  program('boot-failed', `echo noted >>${at('asked')}; exit $(cat ${at('none-left')} 2>/dev/null || echo 0)`);
});
afterEach(() => rmSync(place, { recursive: true }));

function look(verity: string, restarts: number): { readonly status: number | null; readonly asked: string } {
  writeFileSync(at('verity'), verity);
  writeFileSync(at('restarts'), `${restarts}\n`);
  rmSync(at('asked'), { force: true });
  const { status } = spawnSync(SCRIPT, {
    env: {
      PATH: `${at('bin')}:${process.env['PATH'] ?? ''}`,
      ROOT_CHECK_DIRECTORY: at('told'),
      ROOT_CHECK_BOOT_FAILED: at('bin/boot-failed'),
      ROOT_CHECK_FORCE_S: '0',
    },
  });
  return { status, asked: existsSync(at('asked')) ? readFileSync(at('asked'), 'utf8') : '' };
}
const told = (): string => readFileSync(at('told/root-state'), 'utf8');

it('a whole root is said to be, whatever its agent does', () => {
  for (const restarts of [0, 10, 20]) expect(look('verified', restarts)).toEqual({ status: 0, asked: '' });
  expect(told()).toBe('verified\n');
});

it('a root that is not whole is told, and left alone while its agent runs', () => {
  look('verified', 7);
  for (const restarts of [7, 9, 11]) expect(look('corrupted', restarts)).toEqual({ status: 0, asked: '' });
  expect(told()).toBe('corrupted\n');
});

it('where its agent ends again and again, the other version is started', () => {
  expect(look('corrupted', 2).asked).toBe('');
  expect(look('corrupted', 5)).toEqual({ status: 0, asked: 'noted\nreboot\nreboot --force --force\n' });
});

it('the first look of a start counts from the start', () => {
  expect(look('corrupted', 8).asked).toMatch(/^noted\nreboot/);
});

it('where no other version is left, it stays and says so', () => {
  writeFileSync(at('none-left'), '1');
  look('corrupted', 2);
  expect(look('corrupted', 5)).toEqual({ status: 1, asked: 'noted\n' });
});

it('what dm-verity says in other words is no state', () => {
  expect(look('', 9).status).toBe(1);
  expect(existsSync(at('told/root-state'))).toBe(false);
});
