/**
 * Owns a disk image with the partitions of a box, a version that runs from it, a release key, and an updater of its own
 * process on it. Does not own releases (firmwareRelease.ts) nor who hands them out (firmwareServer.ts).
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  closeSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  readSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { FirmwareManifest } from '../../src/model/firmware.ts';
import type { Credential } from '../../src/pki/issue.ts';
import { signJws } from '../../src/pki/jws.ts';
import { partitionUuids } from '../../src/update/slots.ts';
import { makeAuthority, makeRelease, type Release } from './firmwareRelease.ts';
import { type FirmwareServer, serveRelease } from './firmwareServer.ts';
import type { UpdaterInput, UpdaterLine } from './firmwareUpdater.ts';

const CHECKOUT = join(import.meta.dirname, '../..');
const MIB = 1024 * 1024;
const run = (command: string, args: readonly string[], input?: string): string =>
  execFileSync(command, args, {
    encoding: 'utf8',
    ...(input === undefined ? {} : { input }),
    stdio: ['pipe', 'pipe', 'pipe'],
  });
/** A kernel without FAT (a container's host, often) still has ext2; FAT itself is tried in the virtual machines. */
export const ESP_FILE_SYSTEM = /\tvfat$/m.test(readFileSync('/proc/filesystems', 'utf8'))
  ? { type: 'vfat', options: 'umask=0077', make: ['mkfs.vfat', '-F', '32'] }
  : { type: 'ext2', options: 'errors=remount-ro', make: ['mkfs.ext2', '-q', '-F'] };
export interface FirmwareWorld {
  readonly directory: string;
  readonly running: Release;
  release(version: string, change?: Partial<FirmwareManifest>): Release;
  sign(release: Release, by?: Credential): string;
  /** A release as it lies on a stick. */
  stick(release: Release, manifest: string, change?: Readonly<Record<string, Buffer>>): string;
  input(from: UpdaterInput['from'], change?: Partial<UpdaterInput>): UpdaterInput;
  /** The last line; `killed` where it died before it came to an end. */
  update(input: UpdaterInput): Promise<UpdaterLine>;
  serve(release: Release, dropAfter: (connection: number) => number | undefined): Promise<FirmwareServer>;
  entries(): readonly string[];
  entry(file: string): Buffer;
  renameEntry(from: string, to: string): void;
  espNode(): string;
  /** From the disk's file, as a machine would read it after a cut. */
  slotBytes(role: 'root' | 'verity', sizeBytes: number): Buffer;
  slotNodes(): { readonly root: string; readonly verity: string };
  table(image?: string): string;
  /** With its first table gone: what the second says. */
  secondTable(): string;
  /** Changes with every write to the disk. */
  stamp(): string;
  /** Back to how it was made. */
  reset(): void;
  remove(): void;
}

/** The box's, but for the sizes. */
const PARTITIONS = [
  { label: 'esp', type: 'C12A7328-F81F-11D2-BA4B-00A0C93EC93B', mib: 64 },
  { label: 'branchbox-root-a', type: '4F68BCE3-E8CD-4DB1-96E7-FBCAF984B709', mib: 64 },
  { label: 'branchbox-verity-a', type: '2C7357ED-EBD2-46D9-AEC1-23D437EC2BF5', mib: 16 },
  { label: 'branchbox-root-b', type: '4F68BCE3-E8CD-4DB1-96E7-FBCAF984B709', mib: 64 },
  { label: 'branchbox-verity-b', type: '2C7357ED-EBD2-46D9-AEC1-23D437EC2BF5', mib: 16 },
  { label: 'branchbox-factory', type: '0FC63DAF-8483-4772-8E79-3D69D8477DE4', mib: 16 },
  { label: 'branchbox-data', type: '0FC63DAF-8483-4772-8E79-3D69D8477DE4', mib: 64 },
] as const;
/** MiB from the disk's beginning. */
const startOf = (number: number): number =>
  PARTITIONS.slice(0, number - 1).reduce((sum, { mib }) => sum + mib, 1);

export function createFirmwareWorld(): FirmwareWorld {
  const directory = mkdtempSync(join(tmpdir(), 'bbt-firmware-'));
  const device = join(directory, 'disk.img');
  const state = join(directory, 'state');
  const authority = makeAuthority();
  const releaseKey = authority.issue({ kind: 'firmware-signing', commonName: 'release' });
  const loops: string[] = [];
  let inputs = 0;
  let sticks = 0;

  const release: FirmwareWorld['release'] = (version, change) => makeRelease(directory, version, change);
  const sign: FirmwareWorld['sign'] = ({ manifest }, by = releaseKey) =>
    signJws(Buffer.from(JSON.stringify(manifest)), by);
  const running = release('1.0.0');

  const partitionFile = (number: number): string => `${device}${number}`;
  const make = (): void => {
    rmSync(device, { force: true });
    rmSync(state, { recursive: true, force: true });
    mkdirSync(state, { recursive: true });
    writeFileSync(device, '');
    truncateSync(device, (startOf(PARTITIONS.length + 1) + 1) * MIB);
    const uuids = partitionUuids(running.rootHash);
    const lines = PARTITIONS.map(({ label, type, mib }, index) => {
      const uuid = index === 1 ? `, uuid=${uuids.root}` : index === 2 ? `, uuid=${uuids.verity}` : '';
      return `start=${startOf(index + 1)}MiB, size=${mib}MiB, type=${type}, name="${label}"${uuid}`;
    });
    run('sfdisk', ['--quiet', device], `label: gpt\n${lines.join('\n')}\n`);
    const file = openSync(device, 'r+');
    writeSync(file, running.parts.root, 0, running.parts.root.length, startOf(2) * MIB);
    writeSync(file, running.parts.verity, 0, running.parts.verity.length, startOf(3) * MIB);
    closeSync(file);
    for (const number of [1, 4, 5]) {
      const { mib } = PARTITIONS[number - 1] ?? { mib: 0 };
      const where = ['--offset', `${startOf(number) * MIB}`, '--sizelimit', `${mib * MIB}`];
      const loop = run('losetup', ['--find', '--show', ...where, device]).trim();
      loops.push(loop);
      rmSync(partitionFile(number), { force: true });
      symlinkSync(loop, partitionFile(number));
    }
    const [command = '', ...words] = ESP_FILE_SYSTEM.make;
    run(command, [...words, partitionFile(1)]);
    writeFileSync(join(directory, 'running.efi'), running.parts.uki);
    inEsp(
      `mkdir -p "$esp/EFI/Linux"; cp "$1" "$esp/EFI/Linux/branchbox_1.0.0.efi"; printf torn >"$esp/EFI/Linux/branchbox_0.9.0+0-2.efi"`,
      join(directory, 'running.efi'),
    );
  };
  const detach = (): void => {
    for (const loop of loops.splice(0)) run('losetup', ['--detach', loop]);
  };
  /** In a mount namespace of its own. */
  const inEsp = (script: string, ...args: readonly string[]): Buffer =>
    execFileSync(
      'unshare',
      [
        '--mount',
        '--propagation',
        'private',
        'sh',
        '-euc',
        `esp="$0"; mkdir -p "$esp"; mount -t ${ESP_FILE_SYSTEM.type} ${partitionFile(1)} "$esp"; ${script}; umount "$esp"`,
        join(directory, 'esp'),
        ...args,
      ],
      { maxBuffer: 64 * MIB, stdio: ['ignore', 'pipe', 'pipe'] },
    );
  make();

  return {
    directory,
    running,
    release,
    sign,
    stick({ manifest, parts }, jws, change = {}) {
      const stick = join(directory, `stick-${(sticks += 1)}`);
      mkdirSync(stick);
      writeFileSync(join(stick, `branchbox-${manifest.version}.update.jws`), jws);
      for (const { role, file } of manifest.parts)
        writeFileSync(join(stick, file), change[role] ?? parts[role]);
      return stick;
    },
    input: (from, change = {}) => ({
      device,
      state,
      running: { version: running.version, rootHash: running.rootHash },
      anchors: authority.ca.certificate.pem,
      from,
      espFileSystem: { type: ESP_FILE_SYSTEM.type, options: ESP_FILE_SYSTEM.options },
      ...change,
    }),
    async update(input) {
      const file = join(directory, `input-${(inputs += 1)}.json`);
      writeFileSync(file, JSON.stringify(input));
      const words = ['--mount', '--propagation', 'private', join(CHECKOUT, 'launch')];
      const child: ChildProcess = spawn('unshare', [...words, 'test/lab/firmwareUpdater.ts', file], {
        stdio: ['ignore', 'pipe', 'inherit'],
        detached: true,
      });
      let last: UpdaterLine = {};
      if (child.stdout === null) throw new Error('no output');
      createInterface({ input: child.stdout }).on('line', (text) => {
        last = JSON.parse(text);
      });
      const [, signal] = await once(child, 'close');
      return signal === 'SIGKILL' ? { ...last, ended: 'killed' } : last;
    },
    serve: (release, dropAfter) => serveRelease(release, sign(release), dropAfter),
    entries: () => inEsp('ls -A "$esp/EFI/Linux"').toString('utf8').trim().split('\n').toSorted(),
    espNode: () => partitionFile(1),
    renameEntry(from, to) {
      if (from !== to) inEsp('mv "$esp/EFI/Linux/$1" "$esp/EFI/Linux/$2"', from, to);
    },
    entry: (file) => inEsp('cat "$esp/EFI/Linux/$1"', file),
    slotBytes(role, sizeBytes) {
      const file = openSync(device, 'r');
      const bytes = Buffer.alloc(sizeBytes);
      readSync(file, bytes, 0, sizeBytes, startOf(role === 'root' ? 4 : 5) * MIB);
      closeSync(file);
      return bytes;
    },
    slotNodes: () => ({ root: partitionFile(4), verity: partitionFile(5) }),
    table: (image = device) => run('sfdisk', ['--json', image]),
    secondTable() {
      const copy = join(directory, 'copy.img');
      run('cp', ['--sparse=always', device, copy]);
      const file = openSync(copy, 'r+');
      // Header and entries; the protective MBR before them stays.
      writeSync(file, Buffer.alloc(33 * 512), 0, 33 * 512, 512);
      closeSync(file);
      try {
        return run('sfdisk', ['--json', copy]).replaceAll(copy, device);
      } finally {
        rmSync(copy);
      }
    },
    stamp: () => `${statSync(device, { bigint: true }).mtimeNs}`,
    reset() {
      detach();
      make();
    },
    remove() {
      detach();
      rmSync(directory, { recursive: true, force: true });
    },
  };
}
