/**
 * A machine with an empty disk and a stick that comes before it, as somebody unpacks them: installed unattended, started
 * from its disk, and in the hands of the owner that the bootstrap medium on the same stick named, without that stick.
 */
import {
  constants,
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { buildDisk, type Disk } from '../../../image/disk.ts';
import { MEDIUM_DIRECTORY, MEDIUM_FILES } from '../../../src/model/medium.ts';
import { createRunner } from '../../../src/system/linux/runner.ts';
import { GATEWAY, SERIAL } from '../../unit/bootstrap/authorities.ts';
import { factoryAndOwner } from './factoryAndOwner.ts';
import { createLoneMachine, type LoneMachine } from './loneMachine.ts';

const DISK_BYTES = 8 * 2 ** 30;
const SECTOR_BYTES = 512;
/** Emulated, on a host that does other things too; a boot takes one to two minutes on an idle one. */
const STEP_MS = 600_000;
/** By nothing but the medium: a machine without a network hears of no owner. */
const OWNED = new RegExp(`serial ${SERIAL} [^]*Identity {4}OWNED as ${GATEWAY}`);

describe('a machine that is installed from a stick', () => {
  let image: Disk;
  let scratch: string;
  let disk: string;
  let stick: string;
  let box: LoneMachine;

  const tool = (...words: string[]): Promise<string> =>
    image.ingredients.toolbox.run([image.out, scratch], words);
  const espOf = async (raw: string): Promise<string> => {
    const { partitiontable } = JSON.parse(await tool('sfdisk', '--json', raw)) as {
      partitiontable: { partitions: { name: string; start: number }[] };
    };
    const found = partitiontable.partitions.find(({ name }) => name === 'esp');
    if (found === undefined) throw new Error(`${raw} has no EFI system partition`);
    return `${raw}@@${found.start * SECTOR_BYTES}`;
  };
  const listed = async (raw: string): Promise<string> =>
    tool('mdir', '-b', '-/', '-i', await espOf(raw), '::/branchbox');

  beforeAll(async () => {
    image = await buildDisk({}, { runner: createRunner(), say: () => {} });
    scratch = mkdtempSync(join(image.out, 'install-'));
    [disk, stick] = [join(scratch, 'disk'), join(scratch, 'stick')];
    copyFileSync(image.made.raw, stick, constants.COPYFILE_FICLONE);
    writeFileSync(disk, '');
    truncateSync(disk, DISK_BYTES);
    const tree = join(scratch, 'tree');
    const { identity, medium } = factoryAndOwner();
    const files = new Map<string, string | Uint8Array>([
      ['branchbox/install.conf', 'finish=reboot\n'],
      ...medium,
    ]);
    for (const [name, content] of identity) files.set(`branchbox/factory/${name}`, content);
    for (const [path, content] of files) {
      mkdirSync(dirname(join(tree, path)), { recursive: true });
      writeFileSync(join(tree, path), content);
    }
    await tool('mcopy', '-s', '-i', await espOf(stick), join(tree, 'branchbox'), '::/');
    box = await createLoneMachine(image, scratch, disk);
  }, 1_200_000);
  afterAll(async () => {
    await box.stop();
    rmSync(scratch, { recursive: true, force: true });
  });

  it('has everything of its own on the disk, and starts from there though the stick comes first', async () => {
    await box.start({ stick });
    await box.sees(/branchbox-install: installing [0-9.]+ to vda/, STEP_MS);
    await box.sees(new RegExp(`vda: bootstrap medium of ${SERIAL}`), STEP_MS);
    await box.sees(/branchbox-install: installed\./, STEP_MS);
    await box.sees(/branchbox-initrd: root is vda2 of vda/, STEP_MS);
    // Before anything of it could have been read off the stick.
    await box.stop();
    expect(await listed(disk)).toContain(`${MEDIUM_DIRECTORY}/${SERIAL}/${MEDIUM_FILES.voucher}`);
  });

  it('belongs to the owner of the medium at its first start, the stick long gone', async () => {
    await box.start();
    await box.sees(OWNED, STEP_MS);
    await box.stop();
    // What may name a password is not left where anybody reads it.
    expect(await listed(disk)).not.toContain(MEDIUM_DIRECTORY);
  });

  it('is not installed again where the stick stays in', async () => {
    await box.start({ stick });
    await box.sees(/branchbox-install: vda was installed from this stick already/, STEP_MS);
    await box.sees(OWNED, STEP_MS);
  });
});
