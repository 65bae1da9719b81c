/**
 * What the UEFI firmware is told to start next, byte by byte: variables in a directory, of a disk with a real table. That
 * a firmware does so is for virtual machines (test/vm/alone).
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';

const SCRIPT = join(import.meta.dirname, '../../firmware/start-next');
const GLOBAL = '8be4df61-93ca-11d2-aa0d-00e098032b8c';
/** As a table writes it, and as UEFI does: the first three fields are numbers, least byte first. */
const ESP = '12345678-9ABC-4DEF-8123-456789ABCDEF';
const ESP_BYTES = '78563412bc9aef4d8123456789abcdef';
const [START, SECTORS] = [2048n, 16384n];

let directory: string;
let variables: string;
let disk: string;

const startNext = (...words: string[]): number | null =>
  // A /dev of its own, in which the partitions have nodes whatever the host's udev does.
  spawnSync(
    'unshare',
    [
      '--mount',
      '--propagation',
      'private',
      'sh',
      '-euc',
      'mount -t tmpfs dev /dev; mknod -m 666 /dev/null c 1 3; for block in /sys/block/$DISK /sys/block/$DISK/"$DISK"p*; do mknod "/dev/${block##*/}" b $(tr : " " <"$block/dev"); done; exec sh "$0" "$@"',
      SCRIPT,
      ...words,
    ],
    { env: { PATH: process.env['PATH'], DISK: disk, START_NEXT_VARIABLES: variables } },
  ).status;
const variable = (name: string): Buffer => readFileSync(join(variables, `${name}-${GLOBAL}`));
const utf16 = (text: string): string => Buffer.from(`${text}\0`, 'utf16le').toString('hex');

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'bbt-next-'));
  variables = join(directory, 'efivars');
  mkdirSync(variables);
  writeFileSync(join(variables, `BootCurrent-${GLOBAL}`), '');
  const file = join(directory, 'disk');
  const table = `label: gpt\nstart=${START}, size=${SECTORS}, uuid=${ESP}, name=esp\nsize=8M, name=branchbox-root-a\n`;
  execFileSync('truncate', ['-s', '64M', file]);
  execFileSync('sfdisk', ['--quiet', file], { input: table });
  disk = execFileSync('losetup', ['--find', '--show', '--partscan', file], { encoding: 'utf8' })
    .trim()
    .replace('/dev/', '');
  spawnSync('partx', ['-a', `/dev/${disk}`]);
});
afterEach(() => {
  spawnSync('partx', ['-d', `/dev/${disk}`]);
  execFileSync('losetup', ['--detach', `/dev/${disk}`]);
  rmSync(directory, { recursive: true });
});

it('is the boot loader of the disk, once', () => {
  expect(startNext('disk', disk)).toBe(0);
  // Non-volatile, for boot services and at run time; then the option's number.
  expect(variable('BootNext').toString('hex')).toBe('070000000bbb');
  const place = Buffer.alloc(16);
  place.writeBigUInt64LE(START, 0);
  place.writeBigUInt64LE(SECTORS, 8);
  const loader = utf16('\\EFI\\BOOT\\BOOTX64.EFI');
  const path = [
    // UEFI 2.10, 10.3.5.1: partition 1, its place, its UUID, a GPT, a signature that is a GUID.
    `04012a0001000000${place.toString('hex')}${ESP_BYTES}0202`,
    `0404${Buffer.from([4 + loader.length / 2, 0]).toString('hex')}${loader}`,
    '7fff0400',
  ].join('');
  const length = Buffer.from([path.length / 2, 0]).toString('hex');
  expect(variable('BootBB0B').toString('hex')).toBe(`0700000001000000${length}${utf16('Branchbox')}${path}`);
});

it('is not asked for again where the firmware came back, until a disk was started', () => {
  expect(startNext('disk', disk)).toBe(0);
  rmSync(join(variables, `BootNext-${GLOBAL}`));
  expect(startNext('disk', disk)).toBe(1);
  expect(readdirSync(variables)).not.toContain(`BootNext-${GLOBAL}`);
  expect(startNext('arrived')).toBe(0);
  expect(startNext('disk', disk)).toBe(0);
});

it('is nothing where the firmware keeps no variables, or the disk holds no Branchbox', () => {
  rmSync(join(variables, `BootCurrent-${GLOBAL}`));
  expect(startNext('disk', disk)).toBe(1);
  writeFileSync(join(variables, `BootCurrent-${GLOBAL}`), '');
  execFileSync('sfdisk', ['--quiet', '--no-reread', '--part-label', `/dev/${disk}`, '2', 'other']);
  expect(startNext('disk', disk)).toBe(1);
  expect(startNext('stick', disk)).toBe(1);
  expect(readdirSync(variables)).toEqual([`BootCurrent-${GLOBAL}`]);
});
