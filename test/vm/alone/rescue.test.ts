/**
 * A box that does not come up, as who stands before it sees it: a committed version whose root is not there, data that
 * cannot be opened, a disk without a version that starts.
 */
import {
  copyFileSync,
  constants,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
  writeSync,
  closeSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, it } from 'vitest';
import { buildDisk, type Disk } from '../../../image/disk.ts';
import { createRunner } from '../../../src/system/linux/runner.ts';
import { createLoneMachine, type LoneMachine } from './loneMachine.ts';

const DISK_BYTES = 8 * 2 ** 30;
const SECTOR_BYTES = 512;
/** Emulated, on a host that does other things too; a boot takes one to two minutes on an idle one. */
const BOOT_MS = 600_000;
/** The screen of an agent that works. */
const UP = /Controller {2}not connected/;

describe('a box that does not come up', () => {
  let image: Disk;
  let scratch: string;
  let disk: string;
  let box: LoneMachine;

  const tool = (...words: string[]): Promise<string> =>
    image.ingredients.toolbox.run([image.out, scratch], words);
  /** Byte at which a partition of the disk begins. */
  const begin = async (label: string): Promise<number> => {
    const { partitiontable } = JSON.parse(await tool('sfdisk', '--json', disk)) as {
      partitiontable: { partitions: { name: string; start: number }[] };
    };
    const found = partitiontable.partitions.find(({ name }) => name === label);
    if (found === undefined) throw new Error(`the disk has no partition ${label}`);
    return found.start * SECTOR_BYTES;
  };
  const spoil = (at: number, bytes: Uint8Array): void => {
    const file = openSync(disk, 'r+');
    writeSync(file, bytes, 0, bytes.length, at);
    closeSync(file);
  };
  /** A file of ours into the EFI system partition of a raw disk. */
  const intoEsp = async (raw: string, from: string, to: string): Promise<void> => {
    await tool('mcopy', '-o', '-i', `${raw}@@${await begin('esp')}`, from, `::${to}`);
  };

  beforeAll(async () => {
    image = await buildDisk({}, { runner: createRunner(), say: () => {} });
    scratch = mkdtempSync(join(image.out, 'rescue-'));
    disk = join(scratch, 'disk');
    copyFileSync(image.made.raw, disk, constants.COPYFILE_FICLONE);
    truncateSync(disk, DISK_BYTES);
    box = await createLoneMachine(image, scratch, disk);
  }, 1_200_000);
  afterAll(async () => {
    await box.stop();
    rmSync(scratch, { recursive: true, force: true });
  });

  it('says on its screen that its data cannot be opened, and is reset there', async () => {
    // As on a box that was at work: the box makes what is missing by type, and meets what is there in this order.
    const partitions = join(scratch, 'partitions');
    const [factory, data] = ['factory', 'data'].map((name) => `type=linux, name="branchbox-${name}"`);
    writeFileSync(partitions, `size=32MiB, ${factory}\nsize=1GiB, ${data}\n`);
    await tool('sfdisk', '--quiet', '--relocate', 'gpt-bak-std', disk);
    await tool('sh', '-c', 'sfdisk --quiet --append "$0" <"$1"', disk, partitions);
    await tool('mke2fs', '-q', '-F', '-E', `offset=${await begin('branchbox-factory')}`, disk, '32M');
    // As after another TPM: encrypted, by nobody that is here.
    spoil(
      await begin('branchbox-data'),
      Buffer.concat([Buffer.from('LUKS\u00ba\u00be', 'latin1'), Buffer.alloc(4090)]),
    );
    await box.start();
    await box.sees(/rescue: no version of the firmware brings it up/, BOOT_MS);
    await box.sees(/RESCUE +This box cannot bring up its disk/, BOOT_MS);
    box.types('r');
    await box.sees(/Type reset and press Enter/, BOOT_MS);
    box.types('reset');
    await box.sees(/factory-reset: erasing/, BOOT_MS);
    await box.sees(UP, BOOT_MS);
    await box.stop();
  });

  it('goes back by itself from a committed version whose root is not there', async () => {
    const uki = readFileSync(image.made.uki).toString('latin1');
    const other = join(scratch, 'other.efi');
    // Newer by its name, so the loader takes it first; and without a counter.
    writeFileSync(other, uki.replaceAll(image.made.rootHash, '0123456789abcdef'.repeat(4)), 'latin1');
    await intoEsp(disk, other, '/EFI/Linux/branchbox_9.0.0.efi');
    await box.start();
    await box.sees(/branchbox-initrd: no disk that can be used has the partitions/, BOOT_MS);
    await box.sees(/branchbox-initrd: restarting/, BOOT_MS);
    await box.sees(UP, BOOT_MS);
    await box.stop();
    await tool('mdel', '-i', `${disk}@@${await begin('esp')}`, '::/EFI/Linux/branchbox_9.0.0.efi');
  });

  it('starts from a stick that is plugged in when no version of its disk starts, and is mended by it', async () => {
    spoil(await begin('branchbox-root-a'), new Uint8Array(4 * 2 ** 20));
    const [stick, conf] = [join(scratch, 'stick'), join(scratch, 'install.conf')];
    copyFileSync(image.made.raw, stick, constants.COPYFILE_FICLONE);
    writeFileSync(conf, 'overwrite=slots\nfinish=reboot\n');
    await tool('mmd', '-i', `${stick}@@${await begin('esp')}`, '::/branchbox');
    await intoEsp(stick, conf, '/branchbox/install.conf');
    await box.start();
    await box.sees(/branchbox-initrd: no version of this disk starts/, BOOT_MS);
    await box.plugsIn(stick);
    await box.sees(/branchbox-install: .*identity and data stay/, BOOT_MS);
    await box.sees(UP, BOOT_MS);
  });
});
