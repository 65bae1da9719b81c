/**
 * The installer, from one disk in a file to another: what it writes, what it takes along, what it refuses before it wrote
 * anything, and a stick that stays in. Which disk it takes: installerDisk.test.ts.
 */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createInstallerBench, MEDIUM_NAMES, UNTOUCHED } from './installerBench.ts';

const { make, remove, sh, on, table, stick, conf, identity, medium, install, bytes, source, target, disk } =
  createInstallerBench();

describe('an installation', () => {
  beforeEach(make);
  afterEach(remove);

  it('does nothing where no install.conf asks for it', () => {
    expect(install()).toBe('');
    expect(() => table(target())).toThrow(UNTOUCHED);
  });

  it('copies slot A, verified, with the identity of the stick, and nothing else of the stick', () => {
    conf();
    stick(
      'mkdir -p branchbox/factory; for f in idevid.key idevid.crt voucher-anchor.pem serial other; do echo "my $f" >branchbox/factory/$f; done',
    );
    expect(install()).toContain('factory identity of my serial');
    const made = table(target());
    expect([...made.matchAll(/name="([^"]+)"/g)].map(([, name]) => name)).toEqual([
      'esp',
      'branchbox-root-a',
      'branchbox-verity-a',
      'branchbox-factory',
    ]);
    for (const number of [2, 3]) {
      expect(bytes(`/dev/${target()}p${number}`)).toBe(bytes(`/dev/${source()}p${number}`));
      const uuidOf = (text: string) => new RegExp(`p${number} .*uuid=([^,]+)`).exec(text)?.[1];
      expect(uuidOf(made)).toBe(uuidOf(table(source())));
    }
    const files = on(
      `mount /dev/${target()}p1 /run/m; cd /run/m; find . -type f | sort; cat EFI/Linux/*; cd /`,
    );
    expect(files.trim().split('\n')).toEqual([
      './EFI/BOOT/BOOTX64.EFI',
      './EFI/Linux/branchbox_0.2.0.efi',
      './branchbox/installed',
      './loader/loader.conf',
      'kernel',
    ]);
    const factory = on(
      `mount /dev/${target()}p4 /run/m; cd /run/m; stat -c '%a %n' idevid.key; ls; cat serial; cd /`,
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
    expect(sh('head -c 200M "$1" | tr "\\0" "\\n" | grep -ac "my idevid.key" || :', disk()).trim()).toBe('1');
  });

  it('takes along the bootstrap medium of the identity, and nobody else\u2019s', () => {
    conf();
    identity('SN-1');
    medium('SN-1');
    medium('SN-2');
    stick('echo picture >branchbox/bootstrap/SN-1/label.svg');
    expect(install()).toContain('bootstrap medium of SN-1');
    const left = on(
      `mount /dev/${target()}p1 /run/m; cd /run/m/branchbox/bootstrap; find . -type f -exec cat {} + | sort; cd /`,
    );
    expect(left.trim().split('\n')).toEqual(MEDIUM_NAMES.map((name) => `${name} of SN-1`).toSorted());
    expect(on(`mount /dev/${target()}p1 /run/m; ls /run/m/branchbox/bootstrap`)).toBe('SN-1\n');
  });

  it('refuses a bootstrap medium that is not whole before anything is written', () => {
    conf();
    identity('SN-1');
    medium('SN-1');
    stick('rm branchbox/bootstrap/SN-1/ownership-voucher.vcj');
    expect(install).toThrow('branchbox/bootstrap/SN-1 lacks ownership-voucher.vcj');
    expect(() => table(target())).toThrow(UNTOUCHED);
  });

  it('has its unit wait for each writing and reading back of a slow stick', () => {
    conf();
    const asked = on(`
      printf '#!/bin/sh\\necho "$@" >>/run/asked\\n' >/run/systemd-notify; chmod 755 /run/systemd-notify
      PATH=/run:$PATH NOTIFY_SOCKET=/run/notify $INSTALL boot $SOURCE >/dev/null; cat /run/asked`);
    // Root and hashes, each written and read back.
    expect(asked.match(/^EXTEND_TIMEOUT_USEC=\d+$/gm)).toHaveLength(4);
  });

  it.each([
    ['a key without its certificate', 'idevid.key', 'lacks idevid.crt'],
    ['a certificate without its key', 'idevid.crt', 'lacks idevid.key'],
  ])('refuses half an identity before anything is written: %s', (_what, name, why) => {
    conf();
    stick(`mkdir -p branchbox/factory; echo half >branchbox/factory/${name}`);
    expect(install).toThrow(why);
    expect(() => table(target())).toThrow(UNTOUCHED);
  });

  it('refuses an identity whose hardware model is not in the image, before anything is written', () => {
    conf();
    identity('SN-1');
    const modelled = (model: string): string => {
      stick(`printf '${model}' >branchbox/factory/model`);
      return on(
        'mkdir /run/models; echo >/run/models/generic.toml; echo >/run/models/box-1.toml; BRANCHBOX_MODELS=/run/models $INSTALL boot $SOURCE 2>&1 || :',
      );
    };
    for (const model of ['box-2\\n', 'Box-1\\n', '../models/box-1', 'box-1\\r\\n', 'box-1\\ngeneric\\n'])
      expect(modelled(model)).toContain('its file model must be one of: box-1 generic');
    expect(() => table(target())).toThrow(UNTOUCHED);
    expect(modelled('box-1\\n')).toContain('factory identity of SN-1');
  });

  it('of a stick for many machines that has nothing for this one is refused before anything is written', () => {
    conf();
    stick('mkdir -p branchbox/factory/OTHER; echo key >branchbox/factory/OTHER/idevid.key');
    const dmi = (serial: string): string =>
      on(
        `mkdir -p /run/id; printf '${serial}' >/run/id/product_serial
        mount -t tmpfs dmi /sys/class; mkdir -p /sys/class/dmi; ln -s /run/id /sys/class/dmi/id
        $INSTALL boot $SOURCE 2>&1 || :`,
      );
    expect(dmi('SN 7\n')).toContain('none of this one: put it into branchbox/factory/SN7');
    expect(dmi('')).toContain("this machine's firmware tells none");
    expect(() => table(target())).toThrow(UNTOUCHED);
    stick('mv branchbox/factory/OTHER branchbox/factory/SN7');
    expect(dmi('SN 7\n')).toContain('lacks idevid.crt');
    // A box that is mended stays what it is.
    conf('overwrite=slots\\n');
    stick('mv branchbox/factory/SN7 branchbox/factory/OTHER');
    expect(dmi('SN 7\n')).not.toContain('none of this one');
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
        expect(startFrom(0)).toContain(`${NEXT} ${target()}\nsystemctl --force reboot`);
        // As its first start makes it.
        on(
          `echo "size=8M, name=branchbox-data" | sfdisk --quiet --no-reread --append /dev/${target()}; partx -a /dev/${target()} || :`,
        );
        const before = table(target());
        const again = startFrom(0);
        expect(again).toContain(`${target()} was installed from this stick already`);
        expect(again).not.toContain('installing');
        expect(again).toContain(`start-next disk ${target()}\nsystemctl --force reboot`);
        expect(again).not.toContain('arrived');
        expect(table(target())).toBe(before);
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
      on(`mount /dev/${target()}p1 /run/m; rm /run/m/branchbox/installed`);
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
});
