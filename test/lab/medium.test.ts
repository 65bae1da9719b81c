/** The edge to a medium: three files of this box and nothing else, whole or not at all, off a real file system. */
import { execFileSync, spawnSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import {
  MEDIUM_DIRECTORY,
  MEDIUM_FILE_MAX_BYTES,
  MEDIUM_FILES,
  MEDIUM_REFUSAL_FILE,
} from '../../src/model/medium.ts';

const SCRIPT = join(import.meta.dirname, '../../firmware/medium-read');
const NAMES = Object.values(MEDIUM_FILES);
let directory: string;
let root: string;
let stick: string;

const at = (serial = 'SN-1') => join(stick, MEDIUM_DIRECTORY, serial);
const media = () => join(root, 'run/branchbox/media');
function fill(serial = 'SN-1'): void {
  mkdirSync(at(serial), { recursive: true });
  for (const name of NAMES) writeFileSync(join(at(serial), name), `${name} of ${serial}`);
}
/** As a stick has it, not as a directory: what the kernel mounts. */
function image(): string {
  const file = join(directory, 'stick.img');
  execFileSync('mkfs.ext4', ['-q', '-d', stick, file, '8M']);
  return file;
}
/** In a mount namespace of its own, as its unit has it. */
function read(from: string) {
  const { status, stdout, stderr } = spawnSync('unshare', ['--mount', 'sh', SCRIPT, from, root], {
    encoding: 'utf8',
  });
  return { status, said: stdout + stderr };
}
const found = (name: string): Record<string, string> =>
  Object.fromEntries(
    readdirSync(join(media(), name)).map((file) => [file, readFileSync(join(media(), name, file), 'utf8')]),
  );
const nothing = () => expect(existsSync(media()) ? readdirSync(media()) : []).toEqual([]);
/** In the place of all files, a word that no medium chose. */
const refusedAs = (word: string, name = 'stick_img') =>
  expect(found(name)).toEqual({ [MEDIUM_REFUSAL_FILE]: `${word}\n` });
const whole = (serial = 'SN-1') => Object.fromEntries(NAMES.map((name) => [name, `${name} of ${serial}`]));

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'bbt-medium-'));
  root = join(directory, 'root');
  stick = join(directory, 'stick');
  mkdirSync(join(root, 'etc/branchbox/factory'), { recursive: true });
  writeFileSync(join(root, 'etc/branchbox/factory/serial'), 'SN-1\n');
  mkdirSync(stick);
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

it('copies the files of this box off a stick, readable by root alone, and lets the stick go', () => {
  fill();
  fill('SN-2');
  writeFileSync(join(at(), 'label.svg'), '<svg/>');
  expect(read(image())).toMatchObject({ status: 0 });
  expect(found('stick_img')).toEqual(whole());
  expect(statSync(join(media(), 'stick_img')).mode & 0o777).toBe(0o700);
  expect(readdirSync(media())).toEqual(['stick_img']);
  expect(readFileSync('/proc/mounts', 'utf8')).not.toContain(directory);
});

it('copies them from a directory, and replaces what an earlier stick of that name left', () => {
  fill();
  read(stick);
  rmSync(join(at(), MEDIUM_FILES.voucher));
  writeFileSync(join(at(), MEDIUM_FILES.conveyed), 'newer');
  expect(read(stick).status).toBe(0);
  expect(found('stick')).toEqual({
    [MEDIUM_FILES.conveyed]: 'newer',
    [MEDIUM_FILES.ownerCertificate]: whole()[MEDIUM_FILES.ownerCertificate],
  });
});

it('leaves a stick alone that is for no box, and says so where it is for another one', () => {
  writeFileSync(join(stick, 'holidays.jpg'), 'x');
  expect(read(image())).toMatchObject({ status: 0, said: expect.stringContaining('nothing for SN-1') });
  execFileSync('mkfs.ext4', ['-q', '-t', 'ext2', '-F', join(directory, 'stick.img')]);
  expect(read(join(directory, 'stick.img')).said).toContain('no vfat or ext4');
  nothing();
  fill('SN-2');
  expect(read(image())).toMatchObject({ status: 0 });
  refusedAs('other-box');
});

it('says so where there is no file system any more, which udev saw', () => {
  writeFileSync(join(directory, 'noise'), Buffer.alloc(1024 * 1024, 7));
  expect(read(join(directory, 'noise')).status).toBe(0);
  refusedAs('unreadable', 'noise');
});

it.each(['', 'branchbox', MEDIUM_DIRECTORY, `${MEDIUM_DIRECTORY}/SN-1`])(
  'follows no link at %s, whatever it leads to, and says so',
  (part) => {
    // The very files, but by a link: of the box itself they would be secrets.
    const outside = join(directory, 'outside');
    stick = outside;
    fill();
    stick = join(directory, 'stick');
    if (part === '') {
      mkdirSync(at(), { recursive: true });
      for (const name of NAMES) symlinkSync(join(outside, MEDIUM_DIRECTORY, 'SN-1', name), join(at(), name));
    } else {
      mkdirSync(join(stick, part, '..'), { recursive: true });
      symlinkSync(join(outside, part), join(stick, part));
    }
    for (const from of [stick, image()]) expect(read(from).status).toBe(0);
    for (const name of ['stick', 'stick_img']) refusedAs('link', name);
  },
);

it('copies of what is huge a byte more than is taken', () => {
  fill();
  writeFileSync(join(at(), MEDIUM_FILES.voucher), '');
  truncateSync(join(at(), MEDIUM_FILES.voucher), 1024 ** 4);
  expect(read(stick).status).toBe(0);
  expect(statSync(join(media(), 'stick', MEDIUM_FILES.voucher)).size).toBe(MEDIUM_FILE_MAX_BYTES + 1);
});

it('waits for no pipe, and says so', () => {
  fill();
  rmSync(join(at(), MEDIUM_FILES.voucher));
  execFileSync('mkfifo', [join(at(), MEDIUM_FILES.voucher)]);
  expect(read(image()).status).toBe(0);
  refusedAs('no-file');
});

it('lets nothing appear of a stick that is pulled out while it is read but that it was; then the next counts', () => {
  fill();
  // Large enough that its blocks lie behind the cut; what is before it still mounts.
  for (const name of NAMES) writeFileSync(join(at(), name), Buffer.alloc(100 * 1024, 1));
  const file = image();
  const held = execFileSync('debugfs', ['-R', `blocks /${MEDIUM_DIRECTORY}/SN-1/${NAMES[2]}`, file], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  truncateSync(file, Number(held.trim().split(/\s+/).at(-2)) * 1024);
  expect(read(file).status).not.toBe(0);
  refusedAs('unreadable');
  fill();
  expect(read(image()).status).toBe(0);
  expect(found('stick_img')).toEqual(whole());
});

it('keeps what was copied whole where the stick goes while it is read again', () => {
  fill();
  read(image());
  truncateSync(join(directory, 'stick.img'), 4096);
  expect(read(join(directory, 'stick.img')).status).not.toBe(0);
  expect(found('stick_img')).toEqual(whole());
  expect(readdirSync(media())).toEqual(['stick_img']);
});

it('says so where its time is up', () => {
  fill();
  const commands = join(directory, 'bin');
  mkdirSync(commands);
  // A stick that answers no more; its unit's end of time is the same signal.
  writeFileSync(join(commands, 'head'), '#!/bin/sh\nkill "$PPID"\n', { mode: 0o755 });
  const { status } = spawnSync('sh', [SCRIPT, stick, root], {
    env: { ...process.env, PATH: `${commands}:${process.env['PATH'] ?? ''}` },
  });
  expect(status).not.toBe(0);
  refusedAs('unreadable', 'stick');
});

it('is shut once the box has an owner', () => {
  fill();
  mkdirSync(join(root, 'var/lib/branchbox/identity'), { recursive: true });
  writeFileSync(join(root, 'var/lib/branchbox/identity/domain-anchor.pem'), 'x');
  expect(read(image())).toMatchObject({ status: 0, said: expect.stringContaining('has an owner') });
  nothing();
});

it('takes a serial that is a path for no serial', () => {
  fill();
  chmodSync(join(root, 'etc/branchbox/factory/serial'), 0o644);
  writeFileSync(join(root, 'etc/branchbox/factory/serial'), '../bootstrap/SN-1\n');
  expect(read(stick).said).toContain('cannot be on a medium');
  nothing();
});
