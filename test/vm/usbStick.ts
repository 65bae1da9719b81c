/**
 * Owns a USB stick for tests: one FAT file system without a partition table, as many sticks come, with files on it,
 * plugged into the running machine and pulled out again. Does not own what is on it.
 */
import { mkdir, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { createToolbox } from '../../image/toolbox.ts';
import { ensureTree, TOOLS_TREE } from '../../image/trees.ts';
import { labPaths } from '../../src/lab/paths.ts';
import { USB_BUS } from '../../src/lab/vm/argv.ts';
import { machinePaths } from '../../src/lab/vm/machinePaths.ts';
import { askQmp } from '../../src/lab/vm/qmp.ts';
import { createRunner } from '../../src/system/linux/runner.ts';
import { inNode, LAB, until } from '../lab/mainjob/lab.ts';
import { BOX } from './update/box.ts';

const DRIVE = 'stick';
const MAKE = [
  'set -eu; folder=$1; shift; rm -f "$0"; truncate -s 1G "$0"; mkfs.vfat "$0" >/dev/null; at=',
  'for part in $(echo "$folder" | tr / " "); do at=$at/$part; mmd -i "$0" "::$at"; done',
  'exec mcopy -i "$0" "$@" "::/$folder/"',
].join('\n');

export interface Stick {
  /** As the box's kernel named it, such as sdb. */
  readonly name: string;
  pullOut(): Promise<void>;
}

/** `files` of the directory `from`, put into `folder` of the stick, in which each part has letters that no shell reads. */
export async function plugStickIn(from: string, folder: string, files: readonly string[]): Promise<Stick> {
  const { disk, qmpSocket } = machinePaths(labPaths(LAB), BOX);
  // Where the machine's own disk is: QEMU sees no other directory.
  const image = join(dirname(disk), 'stick.img');
  await mkdir(dirname(image), { recursive: true });
  const making = { runner: createRunner(), say: () => undefined };
  const toolbox = createToolbox(making.runner, await ensureTree(TOOLS_TREE, making));
  const paths = files.map((file) => join(from, file));
  await toolbox.run([dirname(image), from], ['sh', '-c', MAKE, image, folder, ...paths]);

  const known = await disksOf();
  await askQmp(qmpSocket, {
    execute: 'blockdev-add',
    arguments: {
      driver: 'raw',
      'node-name': DRIVE,
      'read-only': true,
      file: { driver: 'file', filename: image, 'read-only': true },
    },
  });
  await askQmp(qmpSocket, {
    execute: 'device_add',
    arguments: { driver: 'usb-storage', id: DRIVE, drive: DRIVE, bus: USB_BUS, removable: true },
  });
  const name = await until(
    'the box finds the stick',
    async () => (await disksOf()).find((each) => !known.includes(each)),
    120_000,
  );
  return {
    name,
    async pullOut() {
      await askQmp(qmpSocket, { execute: 'device_del', arguments: { id: DRIVE } });
      await until('QEMU let the stick go', async () => {
        await askQmp(qmpSocket, { execute: 'blockdev-del', arguments: { 'node-name': DRIVE } });
        return true;
      });
      await rm(image, { force: true });
    },
  };
}

const disksOf = async (): Promise<readonly string[]> =>
  (await inNode(BOX, 'ls', '/sys/block')).split('\n').filter((name) => /^sd[a-z]$/.test(name));
