/**
 * The raw image as a hypervisor's guest without a network: its user data are on a CD-ROM (NoCloud), and hold what the factory
 * made for it and the owner's bootstrap medium.
 */
import {
  constants,
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { buildDisk, type Disk } from '../../../image/disk.ts';
import { createRunner } from '../../../src/system/linux/runner.ts';
import { GATEWAY, SERIAL } from '../../unit/bootstrap/authorities.ts';
import { factoryAndOwner } from './factoryAndOwner.ts';
import { createLoneMachine, type LoneMachine } from './loneMachine.ts';

const DISK_BYTES = 8 * 2 ** 30;
/** Emulated, on a host that does other things too; a boot takes one to two minutes on an idle one. */
const STEP_MS = 600_000;
/** By nothing but the user data: a machine without a network hears of no owner. */
const OWNED = new RegExp(`serial ${SERIAL} [^]*Identity {4}OWNED as ${GATEWAY}`);

describe('a guest with a CD-ROM of user data', () => {
  let image: Disk;
  let scratch: string;
  let disc: string;
  let box: LoneMachine;

  const tool = (...words: string[]): Promise<string> => image.ingredients.toolbox.run([scratch], words);

  beforeAll(async () => {
    image = await buildDisk({}, { runner: createRunner(), say: () => {} });
    scratch = mkdtempSync(join(image.out, 'disc-'));
    disc = join(scratch, 'disc.iso');
    const disk = join(scratch, 'disk');
    const tree = join(scratch, 'tree');
    const data = join(scratch, 'data');
    copyFileSync(image.made.raw, disk, constants.COPYFILE_FICLONE);
    truncateSync(disk, DISK_BYTES);
    const { identity, medium } = factoryAndOwner();
    for (const [path, content] of [...identity, ...medium]) {
      mkdirSync(dirname(join(tree, path)), { recursive: true });
      writeFileSync(join(tree, path), content);
    }
    const archive = await tool('sh', '-c', 'tar -C "$0" -cz . | base64 -w 76', tree);
    mkdirSync(data);
    writeFileSync(join(data, 'user-data'), `#branchbox-factory\n${archive}`);
    writeFileSync(join(data, 'meta-data'), 'instance-id: 1\n');
    await tool('xorrisofs', '-quiet', '-V', 'cidata', '-J', '-r', '-o', disc, data);
    box = await createLoneMachine(image, scratch, disk);
  }, 1_200_000);
  afterAll(async () => {
    await box.stop();
    rmSync(scratch, { recursive: true, force: true });
  });

  it('is the box that they say, and belongs to the owner that they name', async () => {
    await box.start({ disc });
    await box.sees(/cloud-identity: from \/dev\/sr0, user-data/, STEP_MS);
    await box.sees(new RegExp(`cloud-identity: this is ${SERIAL}`), STEP_MS);
    await box.sees(OWNED, STEP_MS);
    await box.stop();
  });

  it('is so without them, too', async () => {
    await box.start();
    await box.sees(OWNED, STEP_MS);
    // All starts: it was not looked for again.
    const said = readFileSync(join(scratch, 'serial.log'), 'latin1');
    expect(said.match(/cloud-identity: this is/g)).toHaveLength(1);
  });
});
