/**
 * Owns what a test of the installer works on: a stick and a disk in files, with real tables and file systems (ext4 for the
 * EFI system partition where this kernel has no FAT), and carrying out the installer over them. Does not own what is
 * expected of it.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { MEDIUM_FILES } from '../../src/model/medium.ts';

const INSTALLER = join(import.meta.dirname, '../../firmware/installer/branchbox-install');
export const MEDIUM_NAMES = Object.values(MEDIUM_FILES);
/** What sfdisk says of a disk that nobody wrote to. */
export const UNTOUCHED = 'does not contain a recognized partition table';

export function createInstallerBench() {
  let directory: string;
  let source: string;
  let target: string;
  const sh = (script: string, ...args: string[]): string =>
    execFileSync('sh', ['-euc', script, 'sh', ...args], { stdio: ['ignore', 'pipe', 'pipe'] }).toString();
  /** As in factoryReset.test.ts: a /dev of its own, so that the host\u2019s is not touched; mounts are gone at its end. */
  const on = (script: string): string => {
    const prelude = `
      mount -t tmpfs run /run; mkdir /run/m
      mount -t tmpfs dev /dev
      mknod -m 666 /dev/null c 1 3; mknod /dev/zero c 1 5; mknod /dev/urandom c 1 9
      nodes() { for block in /sys/block/$SOURCE /sys/block/$TARGET /sys/block/$SOURCE/"$SOURCE"p* /sys/block/$TARGET/"$TARGET"p*; do
        [ ! -e "$block/dev" ] || [ -e "/dev/\${block##*/}" ] || mknod "/dev/\${block##*/}" b $(tr : ' ' <"$block/dev")
      done; }
      nodes
      mount --bind "$SCRATCH/os-release" /usr/lib/os-release
      PATH=$SCRATCH/bin:$PATH`;
    const ended = spawnSync(
      'unshare',
      ['--mount', '--propagation', 'private', 'sh', '-euc', `${prelude}\n${script}`],
      {
        env: {
          PATH: process.env['PATH'],
          SOURCE: source,
          TARGET: target,
          SCRATCH: directory,
          INSTALL: INSTALLER,
        },
      },
    );
    if (ended.status !== 0) throw new Error(`${script.trim().slice(0, 80)}: ${ended.stderr.toString()}`);
    return ended.stdout.toString();
  };
  const table = (disk: string): string => on(`sfdisk --dump /dev/${disk}`);
  const stick = (script: string): string => on(`mount /dev/${source}p1 /run/m; cd /run/m; ${script}; cd /`);
  const conf = (more = ''): string =>
    stick(`mkdir -p branchbox; printf "target=${target}\\nfinish=nothing\\n${more}" >branchbox/install.conf`);
  const identity = (serial: string): string =>
    stick(
      `mkdir -p branchbox/factory; for f in idevid.key idevid.crt voucher-anchor.pem; do echo "my $f" >branchbox/factory/$f; done; echo ${serial} >branchbox/factory/serial`,
    );
  const medium = (serial: string): string =>
    stick(
      `mkdir -p branchbox/bootstrap/${serial}; for f in ${MEDIUM_NAMES.join(' ')}; do echo "$f of ${serial}" >branchbox/bootstrap/${serial}/$f; done`,
    );
  const install = (): string => on('$INSTALL boot $SOURCE');
  const bytes = (device: string): string => on(`sha256sum <${device}`).slice(0, 64);

  function make(): void {
    directory = mkdtempSync(join(tmpdir(), 'bbt-install-'));
    const put = (name: string, text: string): void => {
      mkdirSync(join(directory, name, '..'), { recursive: true });
      writeFileSync(join(directory, name), text, { mode: 0o755 });
    };
    put('os-release', 'IMAGE_ID=branchbox\nIMAGE_VERSION=0.2.0\n');
    put('bin/mkfs.vfat', '#!/bin/sh\nfor word; do :; done\nexec mkfs.ext4 -q -F "$word"\n');
    // A kernel tells udev of new partitions; here nobody makes their nodes.
    put(
      'bin/partx',
      '#!/bin/sh\n/usr/bin/partx "$@" || exit 1\nfor b in /sys/block/$TARGET/"$TARGET"p*; do [ -e $b/dev ] || continue; n=/dev/${b##*/}; rm -f "$n"; mknod "$n" b $(tr : " " <"$b/dev"); done\n',
    );
    const [from, to] = [join(directory, 'stick'), join(directory, 'disk')];
    const uuid = (digit: string): string => `${digit.repeat(8)}-1111-4111-8111-${digit.repeat(12)}`;
    sh(
      'truncate -s 96M "$1"; truncate -s 4G "$2"; printf "label: gpt\\nsize=32M, name=esp\\nsize=24M, uuid=$3, name=branchbox-root-a\\nsize=8M, uuid=$4, name=branchbox-verity-a\\n" | sfdisk --quiet "$1"',
      from,
      to,
      uuid('a'),
      uuid('b'),
    );
    const loop = (file: string): string => sh('losetup --find --show "$1"', file).trim().replace('/dev/', '');
    source = loop(from);
    target = loop(to);
    on(
      'partx -a /dev/$SOURCE; nodes; dd if=/dev/urandom of=/dev/${SOURCE}p2 bs=1M count=24 2>/dev/null; dd if=/dev/urandom of=/dev/${SOURCE}p3 bs=1M count=8 2>/dev/null',
    );
    on('mkfs.ext4 -q /dev/${SOURCE}p1');
    stick(
      'mkdir -p EFI/BOOT EFI/Linux loader; echo boot >EFI/BOOT/BOOTX64.EFI; echo kernel >EFI/Linux/branchbox_0.2.0+2.efi; echo old >EFI/Linux/branchbox_0.1.0.efi; echo seed >loader/random-seed; echo conf >loader/loader.conf',
    );
  }
  function remove(): void {
    on('partx -d /dev/$SOURCE || :; partx -d /dev/$TARGET || :');
    for (const loop of [source, target]) sh('losetup --detach "/dev/$1"', loop);
    rmSync(directory, { recursive: true });
  }

  return {
    /** Before a test, and behind it. */
    make,
    remove,
    sh,
    /** By a shell that has $SOURCE, $TARGET and $INSTALL, and /run/m to mount at. */
    on,
    table,
    stick,
    conf,
    identity,
    medium,
    install,
    bytes,
    /** Names of the block devices. */
    source: () => source,
    target: () => target,
    disk: () => join(directory, 'disk'),
  };
}
