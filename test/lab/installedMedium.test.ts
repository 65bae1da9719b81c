/**
 * The bootstrap medium that the installer left on a disk: from its EFI system partition (ext4, where this kernel has no
 * FAT) to where the box reads media, once and for ever out of the clear, and gone with the box's first owner.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { MEDIUM_DIRECTORY, MEDIUM_FILES } from '../../src/model/medium.ts';

const SCRIPT = join(import.meta.dirname, '../../firmware/installed-medium');
const NAMES = Object.values(MEDIUM_FILES);
let directory: string;
let root: string;
let loop: string;

const media = () => join(root, 'run/branchbox/media');
const kept = () => join(root, 'var/lib/branchbox/medium');
/** In a mount namespace of its own, as its unit has it. */
function start() {
  rmSync(media(), { recursive: true, force: true });
  const { status, stdout, stderr } = spawnSync('unshare', ['--mount', 'sh', SCRIPT, root], {
    encoding: 'utf8',
    env: { ...process.env, INSTALLED_MEDIUM_ESP_TYPE: 'ext4' },
  });
  return { status, said: stdout + stderr };
}
const inEsp = (script: string): string =>
  execFileSync(
    'unshare',
    ['--mount', 'sh', '-euc', `mount -t ext4 ${loop} "$0"; cd "$0"; ${script}`, mountPoint()],
    {
      encoding: 'utf8',
    },
  );
/** Any directory to mount to. */
const mountPoint = (): string => join(directory, 'mount');
const found = (): Record<string, string> =>
  Object.fromEntries(
    readdirSync(join(media(), 'medium')).map((file) => [
      file,
      readFileSync(join(media(), 'medium', file), 'utf8'),
    ]),
  );
const WHOLE = Object.fromEntries(NAMES.map((name) => [name, `${name} of SN-1\n`]));

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'bbt-left-'));
  root = join(directory, 'root');
  for (const path of ['etc/branchbox/factory', 'run/branchbox/boot', 'var/lib/branchbox/identity'])
    mkdirSync(join(root, path), { recursive: true });
  writeFileSync(join(root, 'etc/branchbox/factory/serial'), 'SN-1\n');
  const esp = join(directory, 'esp');
  mkdirSync(join(directory, 'mount'));
  for (const serial of ['SN-1', 'SN-2']) {
    const at = join(esp, MEDIUM_DIRECTORY, serial);
    mkdirSync(at, { recursive: true });
    for (const name of NAMES) writeFileSync(join(at, name), `${name} of ${serial}\n`);
  }
  writeFileSync(join(esp, 'branchbox/installed'), 'fingerprint\n');
  const image = join(directory, 'esp.img');
  execFileSync('mkfs.ext4', ['-q', '-d', esp, image, '8M']);
  loop = execFileSync('losetup', ['--find', '--show', image], { encoding: 'utf8' }).trim();
  symlinkSync(loop, join(root, 'run/branchbox/boot/esp'));
});
afterEach(() => {
  execFileSync('losetup', ['--detach', loop]);
  rmSync(directory, { recursive: true, force: true });
});

it('is read at the first start and out of the EFI system partition then, which keeps the rest', () => {
  expect(start()).toMatchObject({ status: 0 });
  expect(found()).toEqual(WHOLE);
  expect(inEsp('find . -type f').trim()).toBe('./branchbox/installed');
  expect(statSync(kept()).mode & 0o777).toBe(0o700);
  expect(readdirSync(join(root, 'run/branchbox')).toSorted()).toEqual(['boot', 'media']);
});

it('is read at each start until the box has an owner, and gone then', () => {
  start();
  expect(start()).toMatchObject({ status: 0 });
  expect(found()).toEqual(WHOLE);
  writeFileSync(join(root, 'var/lib/branchbox/identity/domain-anchor.pem'), 'anchor');
  expect(start()).toMatchObject({ status: 0 });
  expect(existsSync(media())).toBe(false);
  expect(existsSync(kept())).toBe(false);
});

it('does not come back after a factory reset', () => {
  start();
  rmSync(join(root, 'var/lib/branchbox'), { recursive: true });
  mkdirSync(join(root, 'var/lib/branchbox'));
  expect(start()).toMatchObject({ status: 0 });
  expect(existsSync(media())).toBe(false);
});

it('is moved again from the beginning where the power went meanwhile', () => {
  mkdirSync(join(`${kept()}.part`, MEDIUM_DIRECTORY, 'SN-1'), { recursive: true });
  writeFileSync(join(`${kept()}.part`, MEDIUM_DIRECTORY, 'SN-1', NAMES[0] ?? ''), 'half');
  expect(start()).toMatchObject({ status: 0 });
  expect(found()).toEqual(WHOLE);
  expect(existsSync(`${kept()}.part`)).toBe(false);
});

it('is read also where it cannot be taken away from there', () => {
  execFileSync('blockdev', ['--setro', loop]);
  try {
    const { status, said } = start();
    expect(status).toBe(0);
    expect(said).toContain('it stays in the EFI system partition too');
    expect(found()).toEqual(WHOLE);
  } finally {
    execFileSync('blockdev', ['--setrw', loop]);
  }
});

it('is not looked for on a box that has no serial', () => {
  rmSync(join(root, 'etc/branchbox/factory/serial'));
  start();
  expect(existsSync(media())).toBe(false);
  expect(inEsp('find . -name "*.vcj" | wc -l').trim()).toBe('2');
});
