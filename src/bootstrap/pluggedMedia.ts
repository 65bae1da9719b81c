/**
 * Owns which USB media are plugged in, as udev and the kernel tell it, and what is said of those that nobody reads (medium.ts):
 * on a box that has its owner all of them, before that those with a file system that is not read, and one that no update is
 * read off. Does not open a medium, nor ask for more of it than that it is there.
 */
import type { Files } from '../system/ports.ts';

export interface BlockDevicePaths {
  /** A file `bMAJOR:MINOR` for each block device, of udev. */
  readonly udev: string;
  /** A directory `MAJOR:MINOR` for each; a partition's is within its disk's. */
  readonly sys: string;
  /** proc_pid_mountinfo(5). */
  readonly mounts: string;
  /** There where a box has firmware slots, and takes updates off sticks. */
  readonly slot: string;
}
export const BLOCK_DEVICE_PATHS: BlockDevicePaths = {
  udev: '/run/udev/data',
  sys: '/sys/dev/block',
  mounts: '/proc/self/mountinfo',
  slot: '/run/branchbox/boot/slot',
};
type Reading = Pick<Files, 'list' | 'readText'>;

/** A box has some dozens; who plugs in a medium of more partitions is told of some of them. */
const MAX_DEVICES = 256;
const MAX_MEDIA = 4;
const MAX_TOLD_BYTES = 64 * 1024;
const MAX_MOUNTS_BYTES = 1024 * 1024;

/** As the rule has them that starts the reading (firmware/root/usr/lib/udev/rules.d/70-branchbox-medium.rules). */
const READ: readonly string[] = ['vfat', 'ext4'];
/** As 71-branchbox-update-stick.rules. */
const READ_FOR_UPDATES = 'vfat';
/**
 * What sticks are sold with or formatted to elsewhere, as blkid names it: for people. Sticks of 64 GB and more are sold with
 * exFAT. Not what an installation stick has (iso9660, erofs).
 */
const NAMES: Readonly<Record<string, string>> = {
  ext4: 'ext4',
  exfat: 'exFAT',
  ntfs: 'NTFS',
  hfs: 'HFS',
  hfsplus: 'HFS+',
  apfs: 'APFS',
  udf: 'UDF',
  ext2: 'ext2',
  ext3: 'ext3',
  btrfs: 'Btrfs',
  xfs: 'XFS',
  f2fs: 'F2FS',
};

interface PluggedMedium {
  /** Of the kernel (`sda1`). */
  readonly name: string;
  /** As blkid names it. */
  readonly fileSystem: string;
}

/** A sentence for the installer about each medium that nobody reads. */
export async function unreadMedia(
  files: Reading,
  hasOwner: boolean,
  paths: BlockDevicePaths = BLOCK_DEVICE_PATHS,
): Promise<readonly string[]> {
  const takesUpdates = (await readOr(files, paths.slot)) !== undefined;
  const kinds = Object.keys(NAMES).filter((kind) => !READ.includes(kind));
  const told = hasOwner ? [...READ, ...(takesUpdates ? kinds : [])] : kinds;
  return (await pluggedMedia(files, told, paths)).map(
    ({ name, fileSystem }) => `USB medium ${name}: ${whyUnread(fileSystem, hasOwner, takesUpdates)}`,
  );
}

const MEND = '(format it with FAT32, copy the files onto it again, or take another stick)';

/** Pure. */
function whyUnread(fileSystem: string, hasOwner: boolean, takesUpdates: boolean): string {
  const name = NAMES[fileSystem] ?? fileSystem;
  if (!hasOwner) return `it has ${name}, and a bootstrap medium is read off FAT or ext4 alone ${MEND}`;
  if (takesUpdates && fileSystem !== READ_FOR_UPDATES)
    return `it has ${name}, and an update is read off FAT alone ${MEND}`;
  const why = 'no bootstrap medium is read, this box has its owner (a factory reset would make it read';
  return takesUpdates
    ? `${why}); what becomes of an update on it is told under firmware (branchbox status, or the console)`
    : `${why}; else pull it out)`;
}

/** File systems on USB, of these kinds. */
async function pluggedMedia(
  files: Reading,
  kinds: readonly string[],
  paths: BlockDevicePaths,
): Promise<readonly PluggedMedium[]> {
  // A box may run from a disk on USB.
  const mounted = await mountedDevices(files, paths);
  const media: PluggedMedium[] = [];
  const told = (await listOr(files, paths.udev)).filter((file) => /^b\d{1,7}:\d{1,7}$/.test(file));
  for (const file of told.slice(0, MAX_DEVICES)) {
    if (media.length === MAX_MEDIA) break;
    const device = file.slice(1);
    const fileSystem = fileSystemOnUsb((await readOr(files, `${paths.udev}/${file}`)) ?? '');
    if (fileSystem === undefined || !kinds.includes(fileSystem)) continue;
    const name = await nameOf(files, `${paths.sys}/${device}`);
    if (name !== undefined && !(await isOwnDisk(files, paths, device, mounted)))
      media.push({ name, fileSystem });
  }
  return media.toSorted((one, other) => (one.name < other.name ? -1 : 1));
}

/** Pure. */
function fileSystemOnUsb(told: string): string | undefined {
  const lines = told.split('\n');
  // udev calls the bus of SATA behind a USB bridge ata, and has the words of usb_id beside it.
  const isUsb = lines.some((line) => line === 'E:ID_BUS=usb' || line.startsWith('E:ID_USB_DRIVER='));
  return isUsb ? /^E:ID_FS_TYPE=(\w{1,32})$/m.exec(told)?.[1] : undefined;
}

async function mountedDevices(files: Reading, { mounts }: BlockDevicePaths): Promise<ReadonlySet<string>> {
  const text = (await files.readText(mounts, MAX_MOUNTS_BYTES).catch(() => undefined)) ?? '';
  return new Set(text.split('\n').map((line) => line.split(' ', 3)[2] ?? ''));
}

/** Whether anything of its disk is mounted, or under something (encrypted, verified) that may be. */
async function isOwnDisk(
  files: Reading,
  { sys }: BlockDevicePaths,
  device: string,
  mounted: ReadonlySet<string>,
): Promise<boolean> {
  const disk = (await readOr(files, `${sys}/${device}/../dev`))?.trim() ?? device;
  const diskName = await nameOf(files, `${sys}/${disk}`);
  if (diskName === undefined) return false;
  const partitions = (await listOr(files, `${sys}/${disk}`)).filter((entry) => entry.startsWith(diskName));
  for (const at of [`${sys}/${disk}`, ...partitions.map((name) => `${sys}/${disk}/${name}`)]) {
    const number = (await readOr(files, `${at}/dev`))?.trim();
    if (number !== undefined && mounted.has(number)) return true;
    if ((await listOr(files, `${at}/holders`)).length > 0) return true;
  }
  return false;
}

async function nameOf(files: Reading, at: string): Promise<string | undefined> {
  return /^DEVNAME=([a-z0-9]{1,32})$/m.exec((await readOr(files, `${at}/uevent`)) ?? '')?.[1];
}

/** It may be pulled out at any moment: what is away tells nothing. */
const readOr = (files: Reading, path: string): Promise<string | undefined> =>
  files.readText(path, MAX_TOLD_BYTES).catch(() => undefined);
const listOr = (files: Reading, path: string): Promise<readonly string[]> => files.list(path).catch(() => []);
