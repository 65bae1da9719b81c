/** USB media that are plugged in, off directories as udev and the kernel have them, links and all. */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { unreadMedia } from '../../../src/bootstrap/pluggedMedia.ts';
import { createFiles } from '../../../src/system/linux/files.ts';

let directory: string;
const at = (...parts: readonly string[]): string => join(directory, ...parts);
const unread = (hasOwner: boolean) =>
  unreadMedia(createFiles(), hasOwner, {
    udev: at('udev'),
    sys: at('dev/block'),
    mounts: at('mountinfo'),
    slot: at('slot'),
  });
/** On a box that has its owner, by their names. */
const plugged = async () =>
  (await unread(true)).map((notice) => /^USB medium (\w+): no bootstrap/.exec(notice)?.[1]);
const VFAT = ['ID_BUS=usb', 'ID_FS_TYPE=vfat'];

function told(device: string, properties: readonly string[]): void {
  writeFileSync(at('udev', `b${device}`), ['I:1', ...properties.map((line) => `E:${line}`), ''].join('\n'));
}
/** Within its disk where it is a partition. */
function device(number: string, name: string, disk?: string): void {
  const place = disk === undefined ? at('block', name) : at('block', disk, name);
  mkdirSync(join(place, 'holders'), { recursive: true });
  writeFileSync(join(place, 'dev'), `${number}\n`);
  writeFileSync(join(place, 'uevent'), `MAJOR=8\nDEVNAME=${name}\nDEVTYPE=any\n`);
  symlinkSync(place, at('dev/block', number));
}
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'bbt-plugged-'));
  for (const part of ['udev', 'dev/block', 'block']) mkdirSync(at(part), { recursive: true });
  writeFileSync(at('mountinfo'), '22 1 8:1 / / rw - ext4 /dev/sda1 rw\n');
  device('8:0', 'sda');
  device('8:1', 'sda1', 'sda');
  device('8:2', 'sda2', 'sda');
  device('8:16', 'sdb');
  device('8:17', 'sdb1', 'sdb');
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

it('are file systems on USB that would be read, partitions and whole disks', async () => {
  expect(await plugged()).toEqual([]);
  told('8:17', VFAT);
  device('8:32', 'sdc');
  told('8:32', ['ID_FS_TYPE=ext4', 'ID_BUS=usb']);
  expect(await plugged()).toEqual(['sdb1', 'sdc']);
  rmSync(at('udev/b8:17'));
  expect(await plugged()).toEqual(['sdc']);
});

it('are sticks with SATA behind a bridge too, which udev says are on another bus', async () => {
  told('8:17', ['ID_BUS=ata', 'ID_USB_DRIVER=uas', 'ID_FS_TYPE=vfat']);
  expect(await plugged()).toEqual(['sdb1']);
  for (const name of ['70-branchbox-medium', '71-branchbox-update-stick']) {
    const path = join(import.meta.dirname, `../../../firmware/root/usr/lib/udev/rules.d/${name}.rules`);
    const [rule = ''] = readFileSync(path, 'utf8').match(/^[A-Z].*$/m) ?? [];
    expect(rule).toContain('SUBSYSTEMS=="usb"');
    expect(rule).not.toContain('ID_BUS');
    // A card without partitions that is put into a reader changes a disk that was there before.
    expect(rule).toContain('ACTION=="add|change"');
  }
});

it.each([
  ['on no USB', ['ID_BUS=ata', 'ID_FS_TYPE=vfat']],
  ['of another file system', ['ID_BUS=usb', 'ID_FS_TYPE=ntfs']],
  ['without one', ['ID_BUS=usb']],
  ['whose label only says so', ['ID_FS_LABEL=E:ID_BUS=usb', 'ID_FS_TYPE=vfat']],
  ['whose label says so otherwise', ['ID_FS_LABEL=E:ID_USB_DRIVER=uas', 'ID_FS_TYPE=vfat']],
])('are none %s', async (_, properties) => {
  told('8:17', properties);
  expect(await plugged()).toEqual([]);
});

it('are no partitions of the disk that the box runs from, itself mounted or under another device', async () => {
  told('8:2', VFAT);
  expect(await plugged()).toEqual([]);
  writeFileSync(at('mountinfo'), '22 1 253:0 / / rw - ext4 /dev/mapper/root rw\n');
  expect(await plugged()).toEqual(['sda2']);
  mkdirSync(at('block/sda/sda1/holders/dm-0'));
  expect(await plugged()).toEqual([]);
});

it('are none where the kernel has them no more, nor files of another name; and some of very many', async () => {
  told('8:99', VFAT);
  writeFileSync(at('udev', 'b../8:17'.replace('/', '_')), 'E:ID_BUS=usb\nE:ID_FS_TYPE=vfat\n');
  expect(await plugged()).toEqual([]);
  for (let minor = 100; minor < 120; minor += 1) {
    device(`8:${minor}`, `sdd${minor}`, 'sdd');
    told(`8:${minor}`, VFAT);
  }
  expect(await plugged()).toHaveLength(4);
});

it.each([
  ['exfat', 'exFAT'],
  ['ntfs', 'NTFS'],
  ['hfsplus', 'HFS+'],
])('with %s are told before there is an owner, and which would be read', async (type, name) => {
  told('8:17', ['ID_BUS=usb', `ID_FS_TYPE=${type}`]);
  expect(await unread(false)).toEqual([
    `USB medium sdb1: it has ${name}, and a bootstrap medium is read off FAT or ext4 alone (format it with FAT32, copy the files onto it again, or take another stick)`,
  ]);
});

it.each([
  ['exfat', 'it has exFAT, and an update is read off FAT alone'],
  ['ntfs', 'it has NTFS, and an update is read off FAT alone'],
  ['ext4', 'it has ext4, and an update is read off FAT alone'],
])(
  'with %s hold no update that a box with an owner would read, where it takes any',
  async (type, sentence) => {
    told('8:17', ['ID_BUS=usb', `ID_FS_TYPE=${type}`]);
    expect((await unread(true)).join()).not.toContain('update');
    writeFileSync(at('slot'), 'a\n');
    expect(await unread(true)).toEqual([
      expect.stringMatching(new RegExp(`^USB medium sdb1: ${sentence} \\(format it with FAT32, .*\\)`)),
    ]);
    told('8:17', VFAT);
    // And who brought an update is not told to pull it out.
    expect(await unread(true)).toEqual([
      'USB medium sdb1: no bootstrap medium is read, this box has its owner (a factory reset would make it read); what becomes of an update on it is told under firmware (branchbox status, or the console)',
    ]);
  },
);

it.each([
  ['that are read', VFAT],
  ['of an installation stick', ['ID_BUS=usb', 'ID_FS_TYPE=iso9660']],
  ['on no USB', ['ID_BUS=ata', 'ID_FS_TYPE=ntfs']],
  ['of a name that every object has', ['ID_BUS=usb', 'ID_FS_TYPE=constructor']],
])('%s are no matter of it then', async (_, properties) => {
  told('8:17', properties);
  expect(await unread(false)).toEqual([]);
});
