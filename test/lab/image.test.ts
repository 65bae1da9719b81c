/**
 * The image as it is built, looked into without booting it: partitions, verity, signatures, and what is in the root.
 */
import {
  copyFileSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeSync,
  closeSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { buildDisk, type Disk } from '../../image/disk.ts';
import { readInventory } from '../../image/inventory.ts';
import { FirmwareManifest } from '../../src/model/firmware.ts';
import { parseCertificates } from '../../src/pki/certificate.ts';
import { verifyJws } from '../../src/pki/jws.ts';
import { OID } from '../../src/pki/oids.ts';
import { createRunner } from '../../src/system/linux/runner.ts';

const MIB = 1024 * 1024;
interface Table {
  partitiontable: {
    label: string;
    sectorsize: number;
    partitions: { name: string; type: string; uuid: string; size: number; start: number }[];
  };
}

describe('the image', () => {
  let disk: Disk;
  let scratch: string;
  let root: string;

  const tool = (...words: string[]): Promise<string> =>
    disk.ingredients.toolbox.run([disk.out, disk.keys.directory], words);
  const inRoot = (...words: string[]): Promise<string> =>
    tool('sh', '-c', `cd "$0" && ${words.join(' ')}`, root);
  const lines = (text: string): string[] => text.split('\n').filter((line) => line !== '');

  beforeAll(async () => {
    disk = await buildDisk({}, { runner: createRunner(), say: () => {} });
    scratch = mkdtempSync(join(disk.out, 'inspect-'));
    root = join(scratch, 'root');
    await tool('fsck.erofs', `--extract=${root}`, '--preserve', disk.made.root);
  }, 1_200_000);
  afterAll(() => rmSync(scratch, { recursive: true, force: true }));

  describe('on the disk', () => {
    let table: Table['partitiontable'];
    beforeAll(async () => {
      table = (JSON.parse(await tool('sfdisk', '--json', disk.made.raw)) as Table).partitiontable;
    });

    it('has an ESP and slot A, named by the root hash, and nothing of the box’s own', () => {
      expect(table.label).toBe('gpt');
      expect(table.partitions.map(({ name, size }) => [name, (size * table.sectorsize) / MIB])).toEqual([
        ['esp', 512],
        ['branchbox-root-a', 768],
        ['branchbox-verity-a', 16],
      ]);
      const [, slot, verity] = table.partitions.map(({ uuid }) => uuid.replaceAll('-', '').toLowerCase());
      expect(`${slot}${verity}`).toBe(disk.made.rootHash);
    });

    it('holds in slot A the root and hashes that updates bring, which fit', async () => {
      const verify = (data: string): Promise<string> =>
        tool('veritysetup', 'verify', data, disk.made.verity, disk.made.rootHash);
      await verify(disk.made.root);
      const [, slot] = table.partitions;
      const offset = String((slot?.start ?? 0) * table.sectorsize);
      await tool('cmp', '-n', '100000000', '-i', `0:${offset}`, disk.made.root, disk.made.raw);
      // One bit.
      const flipped = join(scratch, 'flipped');
      copyFileSync(disk.made.root, flipped);
      const file = openSync(flipped, 'r+');
      const at = 64 * MIB;
      writeSync(file, Buffer.from([(readFileSync(disk.made.root)[at] ?? 0) ^ 1]), 0, 1, at);
      closeSync(file);
      await expect(verify(flipped)).rejects.toThrow(/verif/i);
      rmSync(flipped);
    });

    it('boots by a loader and a kernel image that our key signed', async () => {
      const esp = `${disk.made.raw}@@${(table.partitions[0]?.start ?? 0) * table.sectorsize}`;
      const entry = `EFI/Linux/branchbox_${disk.made.version}.efi`;
      for (const path of ['EFI/BOOT/BOOTX64.EFI', 'EFI/systemd/systemd-bootx64.efi', entry]) {
        const copy = join(scratch, 'copy.efi');
        await tool('mcopy', '-o', '-i', esp, `::${path}`, copy);
        expect(await tool('sbverify', '--cert', disk.keys.db.certificate, copy)).toMatch(/verification OK/);
        if (path === entry) await tool('cmp', copy, disk.made.uki);
      }
    });

    it('says to its kernel which root it is for, and to restart where it fails', async () => {
      const section = join(scratch, 'cmdline');
      await tool('objcopy', '-O', 'binary', '--only-section=.cmdline', disk.made.uki, section);
      const words = readFileSync(section, 'utf8').replaceAll('\0', '').split(' ');
      expect(words).toEqual(expect.arrayContaining([`roothash=${disk.made.rootHash}`, 'ro', 'panic=10']));
    });
  });

  it('brings microcode before its initrd: of Intel for what gateways have, of AMD all', async () => {
    const early = join(scratch, 'early');
    mkdirSync(early);
    await tool('objcopy', '-O', 'binary', '--only-section=.ucode', disk.made.uki, `${early}/cpio`);
    await tool('sh', '-c', 'cd "$0" && cpio -i -d --quiet <cpio', early);
    const intel = readFileSync(join(early, 'kernel/x86/microcode/GenuineIntel.bin'));
    const signatures: number[] = [];
    // One update behind the other: signature of the processor at 12, size at 32 (Intel SDM 3A 11.11.1).
    for (let at = 0; at < intel.length; at += intel.readUInt32LE(at + 32) || 2048) {
      expect(intel.readUInt32LE(at)).toBe(1);
      signatures.push(intel.readUInt32LE(at + 12));
    }
    // Apollo, Gemini, Elkhart and Jasper Lake, N100.
    expect(signatures).toEqual(expect.arrayContaining([0x506c9, 0x706a1, 0x90661, 0x906c0, 0xb06e0]));
    const amd = readFileSync(join(early, 'kernel/x86/microcode/AuthenticAMD.bin'));
    expect(amd.subarray(0, 4).toString('latin1')).toBe('DMA\0');
  });

  it('comes with an update manifest that a box of the same build believes', async () => {
    const anchors = parseCertificates(
      readFileSync(join(root, 'usr/lib/branchbox/release-anchors.pem'), 'utf8'),
    );
    const { payload } = await verifyJws(readFileSync(disk.made.update, 'utf8'), {
      anchors,
      atMs: Date.now(),
      extendedKeyUsage: OID.firmwareSigning,
    });
    const manifest = FirmwareManifest.parse(JSON.parse(Buffer.from(payload).toString()));
    expect(manifest.rootHash).toBe(disk.made.rootHash);
    expect(manifest.parts.map(({ file }) => existsSync(join(disk.out, file)))).toEqual([true, true, true]);
  });

  describe('in its root', () => {
    it('has no package manager, compiler, way on to elsewhere or engine’s command line', () => {
      const unwanted = [
        'apt',
        'apt-get',
        'dpkg',
        'rpm',
        // All of them and a login in one file.
        'busybox',
        'gcc',
        'cc',
        'make',
        'docker',
        'ssh',
        'scp',
        'ssh-agent',
        'ctr',
        'agetty',
        'getty',
        'login',
        'sg',
        'su',
        'sulogin',
      ];
      // Not existsSync: a link to nothing is left over, too.
      const found = unwanted.filter((name) =>
        ['usr/bin', 'usr/sbin'].some((place) =>
          lstatSync(join(root, place, name), { throwIfNoEntry: false }),
        ),
      );
      expect(found).toEqual([]);
    });

    // But debug-shell.service, which wants a word on the kernel's command line: only who signs its image can say it. The
    // lab does (src/lab/vm/make-factory-disk.sh).
    it('has no unit that would show a login', async () => {
      const units = await inRoot(
        "find usr/lib/systemd/system etc/systemd -name '*getty*' -o -name 'autovt*'",
      );
      expect(lines(units)).toEqual([]);
      // The units that systemd starts a shell by when a start fails: ours is the rescue.
      const sulogin = await inRoot('grep -rl sulogin usr/lib/systemd/system etc/systemd || :');
      expect(lines(sulogin)).toEqual(['usr/lib/systemd/system/emergency.service']);
    });

    it('has nothing left of Debian’s that would call one', async () => {
      const left = await inRoot(
        "find . \\( -name 'apt-*' -o -name 'apt.*' -o -name 'dpkg*' \\) -not -path './usr/share/doc/*'",
      );
      expect(lines(left)).toEqual([]);
    });

    it('has an SSH server that nothing starts but our unit, and no host key', async () => {
      expect(existsSync(join(root, 'usr/sbin/sshd'))).toBe(true);
      expect(existsSync(join(root, 'usr/bin/ssh-keygen'))).toBe(true);
      expect(existsSync(join(root, 'etc/ssh'))).toBe(false);
      expect(await inRoot("find . -name '*_key' -o -name '*_key.pub'")).toBe('');
      // A line for what is not there any more would fail at each start: the root is never written to.
      expect(await inRoot('grep -rl /etc/ssh usr/lib/tmpfiles.d || :')).toBe('');
      const starts = lines(await inRoot('grep -rlE "sshd|ssh[.]socket" usr/lib/systemd etc/systemd || :'));
      expect(starts).toEqual(['usr/lib/systemd/system/branchbox-ssh.service']);
      expect(lines(await inRoot('ls usr/lib/openssh'))).toEqual(['sshd-auth', 'sshd-session']);
    });

    it('has no account that anybody could log in to, but one by a key, who may look', () => {
      const fields = lines(readFileSync(join(root, 'etc/shadow'), 'utf8')).map((line) => line.split(':'));
      const unlocked = fields.filter(([, password]) => password !== '!*');
      // No password fits `*`.
      expect(unlocked.map(([name, password]) => [name, password])).toEqual([['branchbox-look', '*']]);
      const groups = lines(readFileSync(join(root, 'etc/group'), 'utf8')).map((line) => line.split(':'));
      const ofLook = groups.filter(([, , , members]) => members?.split(',').includes('branchbox-look'));
      expect(ofLook.map(([name]) => name)).toEqual(['systemd-journal']);
      expect(groups.find(([name]) => name === 'branchbox-look')?.[2]).toBe('922');
      expect(
        lines(readFileSync(join(root, 'etc/passwd'), 'utf8')).filter((line) => line.split(':')[1] !== 'x'),
      ).toEqual([]);
    });

    it('has no setuid program, and no file that everybody may write', async () => {
      expect(await inRoot('find . -xdev -type f -perm /6000')).toBe('');
      expect(await inRoot('find . -xdev -type f -perm -o+w')).toBe('');
      // Sticky, as /tmp.
      expect(await inRoot('find . -xdev -type d -perm -o+w ! -perm -1000')).toBe('');
    });

    it('starts nothing but what is ours and what it names', async () => {
      const wanted = lines(
        await inRoot("find etc/systemd/system -name '*.service' -type l -printf '%f\\n' | sort -u"),
      );
      const foreign = wanted.filter((unit) => !/^(branchbox-|frr-)/.test(unit));
      expect(foreign).toEqual(['chrony.service', 'chronyd.service', 'systemd-remount-fs.service']);
      expect(wanted).toEqual(
        expect.arrayContaining(['branchbox-agent.service', 'branchbox-identity.service']),
      );
    });

    it('knows its version, and nothing of one box', () => {
      const release = readFileSync(join(root, 'usr/lib/os-release'), 'utf8');
      expect(release).toContain(`IMAGE_ID=branchbox\nIMAGE_VERSION=${disk.made.version}\n`);
      expect(readFileSync(join(root, 'etc/machine-id'), 'utf8')).toBe('');
      expect(existsSync(join(root, 'etc/branchbox/factory'))).toBe(true);
      expect(lines(readFileSync(join(root, 'etc/hostname'), 'utf8'))).toEqual(['branchbox']);
    });

    it('has the firmware that its drivers of Realtek ask for, and no other', async () => {
      const { kernelVersion } = disk.ingredients;
      const named = await Promise.all(
        ['r8169', 'r8152'].map((name) =>
          tool('modinfo', '-b', root, '-k', kernelVersion, '-F', 'firmware', name),
        ),
      );
      const files = named.flatMap(lines);
      expect(files).toEqual(expect.arrayContaining(['rtl_nic/rtl8168h-2.fw', 'rtl_nic/rtl8153b-2.fw']));
      const firmware = join(root, 'usr/lib/firmware');
      expect(files.filter((file) => !existsSync(join(firmware, file)))).toEqual([]);
      expect(readdirSync(firmware)).toEqual(['rtl_nic']);
    });

    it('has the modules of the lists, unpacked, and licences of its packages', async () => {
      const modules = await inRoot("find usr/lib/modules -name '*.ko*' -printf '%f\\n'");
      // What the kernel itself holds is no file.
      const builtIn = await inRoot("sed 's|.*/||' usr/lib/modules/*/modules.builtin");
      const present = new Set(lines(modules + builtIn).map((file) => file.replaceAll('-', '_')));
      const wanted = `igc igb ixgbe i40e e1000e r8169
        r8152 ax88179_178a cdc_ether cdc_ncm qmi_wwan cdc_mbim cdc_acm option
        wireguard vxlan vrf hsr 8021q nf_tables sch_cake sch_netem pppoe
        iTCO_wdt sp5100_tco i6300esb tpm_crb tpm_tis dm_verity dm_crypt`.split(/\s+/);
      expect(wanted.filter((name) => !present.has(`${name}.ko`))).toEqual([]);
      expect(modules).not.toContain('.ko.xz');
      expect(existsSync(join(root, 'usr/share/doc/frr/copyright'))).toBe(true);
      expect(readFileSync(join(root, 'usr/lib/branchbox/licences.txt'), 'utf8')).toMatch(
        /^fastify \d.*: MIT$/m,
      );
      // Throws where one has none that is known.
      const inventory = readInventory(disk.ingredients.tree, disk.made.npmPackages);
      expect(inventory.find(({ name }) => name === 'tcpdump')?.licences).toEqual([
        'BSD-3-Clause',
        'BSD-4-Clause',
      ]);
      // What something is left of: of these the kernel image, or a licence that stands for others.
      const named = inventory.map(({ name }) => name);
      expect(named).toEqual(expect.arrayContaining(['busybox-static', 'systemd-boot-efi', 'gcc-14-base']));
      expect(named).toEqual(expect.arrayContaining(['frr', 'intel-microcode', 'firmware-realtek']));
      expect(named.filter((name) => /^(apt|libapt-|initramfs-tools$|openssh-sftp)/.test(name))).toEqual([]);
    });
  });
});
