/** Which disk the installer takes: what install.conf says of it, in whatever words, and what is on it. */
import { spawnSync } from 'node:child_process';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { join } from 'node:path';
import { createInstallerBench, UNTOUCHED } from './installerBench.ts';

const INSTALL_TARGET = join(import.meta.dirname, '../../firmware/installer/install-target');
const GIB = 1024 ** 3;
const { make, remove, on, table, stick, conf, install, bytes, source, target } = createInstallerBench();

describe('the disk that is installed to', () => {
  const choose = (disks: readonly string[], wanted = '', overwrite = 'no'): string => {
    const ended = spawnSync(INSTALL_TARGET, ['choose', wanted, overwrite], {
      input: disks.map((d) => `${d}${d.split(' ').length === 5 ? ' 512' : ''}\n`).join(''),
    });
    return ended.status === 0 ? ended.stdout.toString().trim() : ended.stderr.toString().trim();
  };
  const emmc = `mmcblk0 ${16 * GIB} 0 other no`;
  const stick = `sdb ${32 * GIB} 0 usb no`;

  it('is the one that is there, and never a stick unasked', () => {
    expect(choose([emmc, stick])).toBe('mmcblk0');
    expect(choose([stick])).toContain('name one in install.conf');
    expect(choose([stick], 'sdb')).toBe('sdb');
    expect(choose([stick], '/dev/sdb')).toBe('sdb');
  });

  it('is named where there are several, and must be fit', () => {
    expect(choose([emmc, `nvme0n1 ${64 * GIB} 0 other no`])).toContain(
      'several disks will do: mmcblk0, nvme0n1',
    );
    expect(choose([])).toContain('no disk but the one we run from');
    expect(choose([emmc], 'sdz')).toContain('there is no disk sdz; there are mmcblk0');
    expect(choose([`sda ${2 * GIB} 0 other no`], 'sda')).toContain('smaller than 4 GB');
    expect(choose([`sda ${8 * GIB} 1 other no`], 'sda')).toContain('read-only');
  });

  it('is not one that holds a Branchbox, unless told', () => {
    const used = `sda ${8 * GIB} 0 other yes`;
    expect(choose([used])).toContain('overwrite=yes');
    expect(choose([used], '', 'yes')).toBe('sda');
    expect(choose([used], '', 'slots')).toBe('sda');
    expect(choose([emmc], '', 'slots')).toContain('no Branchbox');
  });

  it('has sectors of 512 bytes, as the image', () => {
    const of4096 = `nvme0n1 ${64 * GIB} 0 other no 4096`;
    expect(choose([of4096, emmc])).toBe('mmcblk0');
    expect(choose([of4096])).toContain('sectors that are not of 512 bytes); there are nvme0n1');
    expect(choose([of4096], 'nvme0n1')).toContain('nvme0n1 has sectors of 4096 bytes');
    expect(choose([of4096.replace(' no ', ' yes ')], 'nvme0n1', 'slots')).toContain('nvme format --lbaf');
  });

  it('that has its slots and no data yet can have them written anew too', () => {
    const unstarted = `sda ${8 * GIB} 0 other slots`;
    expect(choose([unstarted], '', 'slots')).toBe('sda');
    // An installation that lost its power is begun again: nobody's data is on it.
    expect(choose([unstarted])).toBe('sda');
  });
});

describe('the disk of an installation', () => {
  beforeEach(make);
  afterEach(remove);

  it('takes a disk that is in use for no other, and one whose name only begins so for free', () => {
    conf();
    const mounted = (what: string): string =>
      on(`mount -t tmpfs /dev/${what} /run/m; $INSTALL boot $SOURCE 2>&1 || :`);
    expect(mounted(target())).toContain(`${target()} is in use`);
    expect(mounted(`${target()}p12`)).toContain(`${target()} is in use`);
    expect(mounted(`${target()}0p1`)).toContain('installed. Take the stick away');
  });

  it('is kept from udev, which has the kernel read its table anew whenever somebody closed it', () => {
    conf();
    // As it makes a file system in a partition, which must be there then.
    on(
      'printf "#!/bin/sh\nflock -n -x /dev/$TARGET true && echo free >>$SCRATCH/locks || echo kept >>$SCRATCH/locks\nfor word; do :; done\nexec mkfs.ext4 -q -F \\"\\$word\\"\n" >$SCRATCH/bin/mkfs.vfat',
    );
    expect(install()).toContain('installed');
    expect(on('cat $SCRATCH/locks')).toBe('kept\n');
  });

  it('has what others left on it gone: RAID, LVM, the table of a larger disk', () => {
    conf();
    on(`printf 'label: gpt\\nsize=1G, name=lvm\\n' | sfdisk --quiet /dev/$TARGET
      dd if=/dev/zero of=/dev/$TARGET bs=1M count=1 conv=notrunc 2>/dev/null
      at() { dd of=/dev/$TARGET bs=1 seek=$1 conv=notrunc 2>/dev/null; }
      size=$(blockdev --getsize64 /dev/$TARGET)
      # LVM2: a label in the second sector. MD 0.90: behind all that a table writes, 64 KiB before the end.
      printf 'LABELONE\\001\\000\\000\\000\\000\\000\\000\\000\\000\\000\\000\\000\\040\\000\\000\\000LVM2 001' | at 512
      printf '\\374\\116\\053\\251\\000\\000\\000\\000\\132\\000\\000\\000' | at $((size - 65536))`);
    expect(on('wipefs --noheadings --output TYPE /dev/$TARGET')).toContain('linux_raid_member');
    expect(install()).toContain('installed');
    expect(on('wipefs --noheadings --output TYPE /dev/$TARGET').trim().split(/\s+/).toSorted()).toEqual([
      'PMBR',
      'gpt',
      'gpt',
    ]);
  });

  it('takes none of other sectors, before anything is written', () => {
    conf();
    const sectors = (disk: string): string =>
      on(
        `echo 4096 >/run/sectors; mount --bind /run/sectors /sys/block/$${disk}/queue/logical_block_size; $INSTALL boot $SOURCE 2>&1 || :`,
      );
    expect(sectors('TARGET')).toContain(`${target()} has sectors of 4096 bytes`);
    expect(sectors('SOURCE')).toContain('the stick has sectors that are not of 512 bytes');
    expect(() => table(target())).toThrow(UNTOUCHED);
  });

  it('takes no second way to a disk for another disk', () => {
    conf();
    const hidden = on(
      'echo 1 >/run/hidden; mount --bind /run/hidden /sys/block/$TARGET/hidden; $INSTALL boot $SOURCE 2>&1 || :',
    );
    expect(hidden).toContain(`there is no disk ${target()}`);
  });

  it.each([
    ['a disk in words that are none of its own', 'target=/dev/disk/by-path/pci-0000:00:17.0-ata-1'],
    ['spaces around the sign', 'target = sda'],
    ['a key that is not known', 'disk=sda'],
    ['a value that is not known', 'overwrite=Yes'],
    ['a value that is not there', 'target='],
    ['text of two bytes a letter', 't\\0a\\0r\\0g\\0e\\0t\\0=\\0s\\0d\\0a\\0'],
  ])('takes no disk by guessing where install.conf is not understood: %s', (_what, line) => {
    conf(`${line}\\n`);
    expect(install).toThrow('line 3 of install.conf');
    expect(() => table(target())).toThrow(UNTOUCHED);
  });

  it('understands install.conf as Windows writes it, with remarks and empty lines', () => {
    stick(
      `mkdir -p branchbox; printf "\\357\\273\\277target=/dev/${target()}\\r\\n\\r\\n# and then?\\r\\nfinish=nothing\\r\\n" >branchbox/install.conf`,
    );
    expect(install()).toContain(`to ${target()}`);
  });

  it('has the slots written anew of a disk that was never started, as it says itself', () => {
    on(
      'printf "label: gpt\\nsize=32M, name=esp\\nsize=24M, name=branchbox-root-a\\nsize=8M, name=branchbox-verity-a\\nsize=32M, name=branchbox-factory\\n" | sfdisk --quiet /dev/$TARGET; partx -a /dev/$TARGET',
    );
    conf();
    expect(install).toThrow('say overwrite=slots to keep it');
    conf('overwrite=slots\\n');
    expect(install()).toContain('identity and data stay');
    expect(table(target())).toContain('branchbox-factory');
  });

  it('leaves a disk with a Branchbox alone until it is told, and starts again after an interruption', () => {
    conf();
    on('echo "label: gpt\nsize=64M, name=branchbox-data" | sfdisk --quiet /dev/$TARGET');
    expect(install).toThrow('overwrite=slots');
    expect(table(target())).toContain('branchbox-data');
    conf('overwrite=yes\\n');
    expect(install()).toContain('installed');
    // As if it had ended before the boot loader was there: nothing of it counts as a Branchbox.
    on(`dd if=/dev/zero of=/dev/${target()}p1 bs=1M count=1 conv=notrunc 2>/dev/null`);
    conf();
    expect(install()).toContain('installed');
  });

  it('writes the slots of a broken box anew, and leaves its identity and data', () => {
    on(
      'printf "label: gpt\\nsize=32M, name=esp\\nsize=24M, name=branchbox-root-a\\nsize=8M, name=branchbox-verity-a\\nsize=24M, uuid=aaaaaaaa-1111-4111-8111-aaaaaaaaaaaa, name=branchbox-root-b\\nsize=32M, name=branchbox-factory\\nsize=64M, name=branchbox-data\\n" | sfdisk --quiet /dev/$TARGET; partx -a /dev/$TARGET; for n in 5 6; do mkfs.ext4 -q /dev/${TARGET}p$n; mount /dev/${TARGET}p$n /run/m; echo "kept $n" >/run/m/file; umount /run/m; done',
    );
    conf('overwrite=yes\\n');
    expect(install).toThrow('has a factory identity and the stick has none');
    conf('overwrite=slots\\n');
    expect(install()).toContain('identity and data stay');
    for (const number of [2, 3]) {
      expect(bytes(`/dev/${target()}p${number}`)).toBe(bytes(`/dev/${source()}p${number}`));
      const uuidOf = (text: string) => new RegExp(`p${number} .*uuid=([^,]+)`).exec(text)?.[1];
      expect(uuidOf(table(target()))).toBe(uuidOf(table(source())));
    }
    // Slot B held the same version, broken maybe: nothing of its names is left that would be started in its place.
    expect(table(target()).match(/uuid=aaaaaaaa-1111-4111-8111-aaaaaaaaaaaa/gi)).toHaveLength(1);
    for (const number of [5, 6]) {
      expect(on(`mount /dev/${target()}p${number} /run/m; cat /run/m/file`).trim()).toBe(`kept ${number}`);
    }
    expect(on(`mount /dev/${target()}p1 /run/m; ls /run/m/EFI/Linux`).trim()).toBe('branchbox_0.2.0.efi');
  });
});
