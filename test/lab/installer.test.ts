/**
 * The installer, from one disk in a file to another, with real tables and file systems (ext4 for the EFI system
 * partition where this kernel has no FAT); and which disk it takes.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { MEDIUM_FILES } from '../../src/model/medium.ts';

const INSTALLER = join(import.meta.dirname, '../../firmware/installer/branchbox-install');
const MEDIUM_NAMES = Object.values(MEDIUM_FILES);
const GIB = 1024 ** 3;

describe('the disk that is installed to', () => {
  const choose = (disks: readonly string[], wanted = '', overwrite = 'no'): string => {
    const ended = spawnSync(INSTALLER, ['choose', wanted, overwrite], {
      input: disks.map((d) => `${d}\n`).join(''),
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

  it('that has its slots and no data yet can have them written anew too', () => {
    const unstarted = `sda ${8 * GIB} 0 other slots`;
    expect(choose([unstarted], '', 'slots')).toBe('sda');
    // An installation that lost its power is begun again: nobody's data is on it.
    expect(choose([unstarted])).toBe('sda');
  });
});

describe('an installation', () => {
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

  beforeEach(() => {
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
  });
  afterEach(() => {
    on('partx -d /dev/$SOURCE || :; partx -d /dev/$TARGET || :');
    for (const loop of [source, target]) sh('losetup --detach "/dev/$1"', loop);
    rmSync(directory, { recursive: true });
  });

  it('does nothing where no install.conf asks for it', () => {
    expect(install()).toBe('');
    expect(() => table(target)).toThrow('does not contain a recognized partition table');
  });

  it('copies slot A, verified, with the identity of the stick, and nothing else of the stick', () => {
    conf();
    stick(
      'mkdir -p branchbox/factory; for f in idevid.key idevid.crt voucher-anchor.pem serial other; do echo "my $f" >branchbox/factory/$f; done',
    );
    expect(install()).toContain('factory identity of my serial');
    const made = table(target);
    expect([...made.matchAll(/name="([^"]+)"/g)].map(([, name]) => name)).toEqual([
      'esp',
      'branchbox-root-a',
      'branchbox-verity-a',
      'branchbox-factory',
    ]);
    for (const number of [2, 3]) {
      expect(bytes(`/dev/${target}p${number}`)).toBe(bytes(`/dev/${source}p${number}`));
      const uuidOf = (text: string) => new RegExp(`p${number} .*uuid=([^,]+)`).exec(text)?.[1];
      expect(uuidOf(made)).toBe(uuidOf(table(source)));
    }
    const files = on(
      `mount /dev/${target}p1 /run/m; cd /run/m; find . -type f | sort; cat EFI/Linux/*; cd /`,
    );
    expect(files.trim().split('\n')).toEqual([
      './EFI/BOOT/BOOTX64.EFI',
      './EFI/Linux/branchbox_0.2.0.efi',
      './branchbox/installed',
      './loader/loader.conf',
      'kernel',
    ]);
    const factory = on(
      `mount /dev/${target}p4 /run/m; cd /run/m; stat -c '%a %n' idevid.key; ls; cat serial; cd /`,
    );
    expect(factory.trim().split('\n')).toEqual([
      '600 idevid.key',
      'idevid.crt',
      'idevid.key',
      'lost+found',
      'serial',
      'voucher-anchor.pem',
      'my serial',
    ]);
    // The key is in the one place it belongs to.
    expect(
      sh(
        'head -c 200M "$1" | tr "\\0" "\\n" | grep -ac "my idevid.key" || :',
        join(directory, 'disk'),
      ).trim(),
    ).toBe('1');
  });

  it('takes along the bootstrap medium of the identity, and nobody else\u2019s', () => {
    conf();
    identity('SN-1');
    medium('SN-1');
    medium('SN-2');
    stick('echo picture >branchbox/bootstrap/SN-1/label.svg');
    expect(install()).toContain('bootstrap medium of SN-1');
    const left = on(
      `mount /dev/${target}p1 /run/m; cd /run/m/branchbox/bootstrap; find . -type f -exec cat {} + | sort; cd /`,
    );
    expect(left.trim().split('\n')).toEqual(MEDIUM_NAMES.map((name) => `${name} of SN-1`).toSorted());
    expect(on(`mount /dev/${target}p1 /run/m; ls /run/m/branchbox/bootstrap`)).toBe('SN-1\n');
  });

  it('refuses a bootstrap medium that is not whole before anything is written', () => {
    conf();
    identity('SN-1');
    medium('SN-1');
    stick('rm branchbox/bootstrap/SN-1/ownership-voucher.vcj');
    expect(install).toThrow('branchbox/bootstrap/SN-1 lacks ownership-voucher.vcj');
    expect(() => table(target)).toThrow('does not contain a recognized partition table');
  });

  it('takes a disk that is in use for no other, and one whose name only begins so for free', () => {
    conf();
    const mounted = (what: string): string =>
      on(`mount -t tmpfs /dev/${what} /run/m; $INSTALL boot $SOURCE 2>&1 || :`);
    expect(mounted(target)).toContain(`${target} is in use`);
    expect(mounted(`${target}p12`)).toContain(`${target} is in use`);
    expect(mounted(`${target}0p1`)).toContain('installed. Take the stick away');
  });

  it('has its unit wait for each writing and reading back of a slow stick', () => {
    conf();
    const asked = on(`
      printf '#!/bin/sh\\necho "$@" >>/run/asked\\n' >/run/systemd-notify; chmod 755 /run/systemd-notify
      PATH=/run:$PATH NOTIFY_SOCKET=/run/notify $INSTALL boot $SOURCE >/dev/null; cat /run/asked`);
    // Root and hashes, each written and read back.
    expect(asked.match(/^EXTEND_TIMEOUT_USEC=\d+$/gm)).toHaveLength(4);
  });

  describe('whose stick stays in', () => {
    /** What the installer asked the firmware and systemd for. */
    const startFrom = (answer: 0 | 1): string =>
      on(`
        printf '#!/bin/sh\necho start-next "$@" >>/run/asked; exit ${answer}\n' >/run/start-next
        printf '#!/bin/sh\necho systemctl "$@" >>/run/asked\n' >/run/systemctl
        printf '#!/bin/sh\n' >/run/sleep; chmod 755 /run/start-next /run/systemctl /run/sleep
        PATH=/run:$PATH BRANCHBOX_START_NEXT=/run/start-next $INSTALL boot $SOURCE 2>&1 || :
        cat /run/asked /run/branchbox/install-failed 2>/dev/null || :`);
    const reboots = (more = ''): string => conf(`finish=reboot\\n${more}`);
    const NEXT = 'start-next arrived\nstart-next disk';

    it('is started, and not made again, whatever it holds by now and whatever may be overwritten', () => {
      for (const more of ['', 'overwrite=yes\\n']) {
        reboots(more);
        expect(startFrom(0)).toContain(`${NEXT} ${target}\nsystemctl --force reboot`);
        // As its first start makes it.
        on(
          `echo "size=8M, name=branchbox-data" | sfdisk --quiet --no-reread --append /dev/${target}; partx -a /dev/${target} || :`,
        );
        const before = table(target);
        const again = startFrom(0);
        expect(again).toContain(`${target} was installed from this stick already`);
        expect(again).not.toContain('installing');
        expect(again).toContain(`start-next disk ${target}\nsystemctl --force reboot`);
        expect(again).not.toContain('arrived');
        expect(table(target)).toBe(before);
      }
    });

    it('is not started again and again where the firmware does not do it: the screen says what to do', () => {
      reboots();
      expect(startFrom(1)).toContain('the firmware was not told');
      const again = startFrom(1);
      expect(again).toContain('take the stick away, and the machine starts from');
      expect(again).not.toContain('systemctl');
    });

    it('is made again where the stick has something else for it', () => {
      const isAnew = (): boolean => startFrom(0).includes('installing 0.2.0');
      reboots();
      expect([isAnew(), isAnew()]).toEqual([true, false]);
      reboots('# once more\\n');
      expect([isAnew(), isAnew()]).toEqual([true, false]);
      identity('SN-1');
      expect([isAnew(), isAnew()]).toEqual([true, false]);
      medium('SN-1');
      expect([isAnew(), isAnew()]).toEqual([true, false]);
    });

    it('is made again where it was interrupted', () => {
      reboots();
      startFrom(0);
      on(`mount /dev/${target}p1 /run/m; rm /run/m/branchbox/installed`);
      expect(startFrom(0)).toContain('installing');
    });

    it('has its slots written anew once', () => {
      startFromConf('');
      startFromConf('overwrite=slots\\n');
      expect(startFrom(0)).toContain('was installed from this stick already');
      function startFromConf(more: string): void {
        reboots(more);
        expect(startFrom(0)).toContain('installing');
      }
    });
  });

  it.each([
    ['a key without its certificate', 'idevid.key', 'lacks idevid.crt'],
    ['a certificate without its key', 'idevid.crt', 'lacks idevid.key'],
  ])('refuses half an identity before anything is written: %s', (_what, name, why) => {
    conf();
    stick(`mkdir -p branchbox/factory; echo half >branchbox/factory/${name}`);
    expect(install).toThrow(why);
    expect(() => table(target)).toThrow('does not contain a recognized partition table');
  });

  it('leaves the sentence of a refusal for the screen, and none where it installs', () => {
    const told = (): string =>
      on('$INSTALL boot $SOURCE >/dev/null 2>&1 || :; cat /run/branchbox/install-failed || :');
    stick('mkdir -p branchbox; echo target=sdz >branchbox/install.conf');
    expect(told()).toMatch(/^there is no disk sdz; there are /);
    conf();
    stick('mkdir -p branchbox/factory; echo key >branchbox/factory/idevid.key');
    expect(told()).toBe('the identity in branchbox/factory lacks idevid.crt\n');
    stick('rm branchbox/factory/idevid.key');
    expect(told()).toBe('');
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
    expect(() => table(target)).toThrow('does not contain a recognized partition table');
  });

  it('understands install.conf as Windows writes it, with remarks and empty lines', () => {
    stick(
      `mkdir -p branchbox; printf "\\357\\273\\277target=/dev/${target}\\r\\n\\r\\n# and then?\\r\\nfinish=nothing\\r\\n" >branchbox/install.conf`,
    );
    expect(install()).toContain(`to ${target}`);
  });

  it('has the slots written anew of a disk that was never started, as it says itself', () => {
    on(
      'printf "label: gpt\\nsize=32M, name=esp\\nsize=24M, name=branchbox-root-a\\nsize=8M, name=branchbox-verity-a\\nsize=32M, name=branchbox-factory\\n" | sfdisk --quiet /dev/$TARGET; partx -a /dev/$TARGET',
    );
    conf();
    expect(install).toThrow('say overwrite=slots to keep it');
    conf('overwrite=slots\\n');
    expect(install()).toContain('identity and data stay');
    expect(table(target)).toContain('branchbox-factory');
  });

  it('leaves a disk with a Branchbox alone until it is told, and starts again after an interruption', () => {
    conf();
    on('echo "label: gpt\nsize=64M, name=branchbox-data" | sfdisk --quiet /dev/$TARGET');
    expect(install).toThrow('overwrite=slots');
    expect(table(target)).toContain('branchbox-data');
    conf('overwrite=yes\\n');
    expect(install()).toContain('installed');
    // As if it had ended before the boot loader was there: nothing of it counts as a Branchbox.
    on(`dd if=/dev/zero of=/dev/${target}p1 bs=1M count=1 conv=notrunc 2>/dev/null`);
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
      expect(bytes(`/dev/${target}p${number}`)).toBe(bytes(`/dev/${source}p${number}`));
      const uuidOf = (text: string) => new RegExp(`p${number} .*uuid=([^,]+)`).exec(text)?.[1];
      expect(uuidOf(table(target))).toBe(uuidOf(table(source)));
    }
    // Slot B held the same version, broken maybe: nothing of its names is left that would be started in its place.
    expect(table(target).match(/uuid=aaaaaaaa-1111-4111-8111-aaaaaaaaaaaa/gi)).toHaveLength(1);
    for (const number of [5, 6]) {
      expect(on(`mount /dev/${target}p${number} /run/m; cat /run/m/file`).trim()).toBe(`kept ${number}`);
    }
    expect(on(`mount /dev/${target}p1 /run/m; ls /run/m/EFI/Linux`).trim()).toBe('branchbox_0.2.0.efi');
  });
});
