/**
 * The reset of a box with partitions, on a disk in a file with a real table and real file systems: the data goes, and
 * nothing else; a power cut at any step is followed by the same reset. The button that asks for one: resetButton.test.ts.
 */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

const FIRMWARE = join(import.meta.dirname, '../../firmware');
const sh = (script: string, ...args: string[]): string =>
  execFileSync('sh', ['-euc', script, 'sh', ...args], { stdio: ['ignore', 'pipe', 'pipe'] }).toString();
/**
 * A mount namespace whose /dev holds the disk's own nodes, made anew each time since partitions come and go: no udev
 * runs here, and the host's /dev is not touched. What a script mounts is gone with it.
 */
const NAMESPACE = `
mount -t tmpfs run /run
mount -t tmpfs dev /dev
mknod -m 666 /dev/null c 1 3; mknod /dev/zero c 1 5; mknod /dev/random c 1 8; mknod /dev/urandom c 1 9
for block in /sys/block/$LOOP /sys/block/$LOOP/"$LOOP"p*; do
  [ ! -e "$block/dev" ] || mknod "/dev/\${block##*/}" b $(tr : ' ' <"$block/dev")
done
mkdir /run/m
`;

describe('a reset of the data partition', () => {
  let directory: string;
  let loop: string;
  const on = (script: string): string =>
    execFileSync(
      'unshare',
      ['--mount', '--propagation', 'private', 'sh', '-euc', `${NAMESPACE}\n${script}`],
      {
        stdio: ['ignore', 'pipe', 'pipe'],
        env: {
          PATH: process.env['PATH'],
          LOOP: loop,
          ESP: `/dev/${loop}p1`,
          FACTORY: `/dev/${loop}p2`,
          DATA: `/dev/${loop}p3`,
          DISK: `/dev/${loop}`,
          RESET: join(FIRMWARE, 'factory-reset'),
          SCRATCH: directory,
        },
      },
    ).toString();
  const labels = (): string[] =>
    on('sfdisk --json $DISK')
      .split('\n')
      .flatMap((line) => /"name": "([^"]+)"/.exec(line)?.[1] ?? []);
  const mark = (): string =>
    on('mount $ESP /run/m; mkdir -p /run/m/branchbox; echo button >/run/m/branchbox/factory-reset');
  const isMarked = (): boolean => on('mount $ESP /run/m; ls /run/m/branchbox').includes('factory-reset');
  const reset = (verb: string): string => on(`sh $RESET ${verb} $LOOP`);
  /** Up to the restart that it asks for, after which the kernel has read the table anew. */
  const wipe = (): void => {
    expect(on('sh $RESET wipe $LOOP; ls /run/branchbox/boot')).toContain('restart');
    on('partx -d --nr 3 $DISK');
  };
  const filesOf = (device: string): string =>
    on(`mount ${device} /run/m; cat /run/m/file 2>/dev/null || ls /run/m`).trim();
  /** As systemd-repart does where the label is missing. */
  const remake = (): void => {
    on(
      'echo "size=48M, name=branchbox-data" | sfdisk --quiet --append --no-reread --no-tell-kernel --wipe never --wipe-partitions never $DISK; partx -a --nr 3 $DISK',
    );
    on('mkfs.ext4 -q $DATA');
  };

  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'bbt-reset-'));
    const disk = join(directory, 'disk');
    sh(
      'truncate -s 128M "$1"; printf "label: gpt\\nsize=16M, name=esp\\nsize=16M, name=branchbox-factory\\nsize=48M, name=branchbox-data\\n" | sfdisk --quiet "$1"',
      disk,
    );
    loop = sh('losetup --find --show "$1"', disk).trim().replace('/dev/', '');
    // Not by the kernel: it may know no GPT.
    on('partx -a $DISK');
    on('for device in $ESP $FACTORY $DATA; do mkfs.ext4 -q $device; done');
    on(
      'mount $FACTORY /run/m; echo the identity >/run/m/file; umount /run/m; mount $DATA /run/m; echo tenant secret >/run/m/file',
    );
  });
  afterEach(() => {
    on('partx -d $DISK');
    sh('losetup --detach "/dev/$1"', loop);
    rmSync(directory, { recursive: true });
  });

  it('does nothing where none was asked for', () => {
    reset('wipe');
    reset('done');
    expect(labels()).toEqual(['esp', 'branchbox-factory', 'branchbox-data']);
    expect(filesOf('$DATA')).toBe('tenant secret');
  });

  it('erases the data and its partition, and leaves the factory’s; the mark goes last', () => {
    mark();
    wipe();
    expect(labels()).toEqual(['esp', 'branchbox-factory']);
    expect(sh('grep -c "tenant secret" "$1" || :', join(directory, 'disk')).trim()).toBe('0');
    expect(isMarked()).toBe(true);
    remake();
    reset('done');
    expect(isMarked()).toBe(false);
    expect(filesOf('$DATA')).toBe('lost+found');
    expect(filesOf('$FACTORY')).toBe('the identity');
  });

  it('says how far it is, and asks for more time with each part of a large disk that is done', () => {
    mark();
    const said = on(
      'mkdir /run/bin; printf "#!/bin/sh\\necho told \\$1\\n" >/run/bin/systemd-notify; chmod 755 /run/bin/systemd-notify; ' +
        'NOTIFY_SOCKET=/run/none PATH=/run/bin:$PATH FACTORY_RESET_PART_BYTES=16777216 sh $RESET wipe $LOOP',
    );
    expect(said.match(/erased \d+ %/g)).toEqual(['erased 33 %', 'erased 66 %', 'erased 100 %']);
    expect(said.match(/^told EXTEND_TIMEOUT_USEC=\d+$/gm)).toHaveLength(3);
    expect(sh('grep -c "tenant secret" "$1" || :', join(directory, 'disk')).trim()).toBe('0');
  });

  it('says which parts could not be written, and calls them not erased', () => {
    mark();
    const said = on(
      'mkdir /run/bin; dd=$(command -v dd); printf "#!/bin/sh\\ncase \\"\\$*\\" in *seek=16777216*) exit 1 ;; esac\\nexec $dd \\"\\$@\\"\\n" >/run/bin/dd; ' +
        'printf "#!/bin/sh\\nexit 1\\n" >/run/bin/blkdiscard; chmod 755 /run/bin/*; ' +
        'PATH=/run/bin:$PATH FACTORY_RESET_PART_BYTES=16777216 sh $RESET wipe $LOOP',
    );
    expect(said.match(/(erased|went over) \d+ %/g)).toEqual([
      'erased 33 %',
      'went over 66 %',
      'went over 100 %',
    ]);
    expect(said).toContain('1 parts of');
    expect(said).toContain('destroy the disk');
  });

  it('is not taken for one that nobody asked for where the mark cannot be looked at; the box starts', () => {
    mark();
    on('dd if=/dev/zero of=$ESP bs=1M count=4 conv=notrunc 2>/dev/null');
    const said = reset('wipe');
    expect(said).toContain('cannot be mounted: a reset that was asked for is not known of');
    expect(labels()).toEqual(['esp', 'branchbox-factory', 'branchbox-data']);
    expect(reset('done')).toContain('the next start may erase the data again');
  });

  it('ends a LUKS volume’s keys', () => {
    on(
      'echo k >/run/key; cryptsetup luksFormat -q --pbkdf pbkdf2 --pbkdf-force-iterations 1000 $DATA /run/key',
    );
    expect(on('cryptsetup luksDump $DATA')).toContain('Keyslots');
    mark();
    wipe();
    // Whoever finds where it was, finds nothing.
    on(
      'echo "size=48M, name=x" | sfdisk --quiet --append --no-reread --no-tell-kernel --wipe never --wipe-partitions never $DISK; partx -a --nr 3 $DISK',
    );
    expect(() => on('cryptsetup luksDump $DATA')).toThrow('not a valid LUKS device');
  });

  it('goes on after a power cut at each step', () => {
    mark();
    wipe();
    // Cut before the partition was made: the next start finds the mark and no partition.
    reset('wipe');
    expect(labels()).toEqual(['esp', 'branchbox-factory']);
    remake();
    // Cut after it was made and before the mark went: it is made once more.
    wipe();
    expect(labels()).toEqual(['esp', 'branchbox-factory']);
    remake();
    reset('done');
    reset('wipe');
    expect(labels()).toEqual(['esp', 'branchbox-factory', 'branchbox-data']);
  });
});
