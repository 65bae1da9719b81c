/**
 * Owns a USB stick for tests: made with files on it, plugged into the running machine and pulled out again.
 */
import { mkdir, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { USB_BUS } from '../../../src/lab/vm/argv.ts';
import { machinePaths } from '../../../src/lab/vm/machinePaths.ts';
import { askQmp } from '../../../src/lab/vm/qmp.ts';
import { labPaths } from '../../../src/lab/paths.ts';
import { createRunner } from '../../../src/system/linux/runner.ts';
import { createToolbox } from '../../../image/toolbox.ts';
import { ensureTree, TOOLS_TREE } from '../../../image/trees.ts';
import { inNode, LAB, until } from '../../lab/mainjob/lab.ts';
import { BOX } from './box.ts';
import { PART_FILES } from './versions.ts';

const DRIVE = 'stick';

export interface Stick {
  /** As the box's kernel named it, such as sdb. */
  readonly name: string;
  pullOut(): Promise<void>;
}

/**
 * One FAT file system without a partition table, as many sticks come; holds a version's parts in `folder`, where a box
 * looks for them by itself or does not.
 */
export async function plugStickIn(
  from: string,
  version: string,
  folder: 'branchbox/update' | 'elsewhere',
): Promise<Stick> {
  const { disk, qmpSocket } = machinePaths(labPaths(LAB), BOX);
  // Where the machine's own disk is: QEMU sees no other directory.
  const image = join(dirname(disk), 'stick.img');
  await mkdir(dirname(image), { recursive: true });
  const making = { runner: createRunner(), say: () => undefined };
  const toolbox = createToolbox(making.runner, await ensureTree(TOOLS_TREE, making));
  const script =
    'set -eu; folder=$1; shift; rm -f "$0"; truncate -s 1G "$0"; mkfs.vfat "$0" >/dev/null; ' +
    'mmd -i "$0" "::/${folder%%/*}"; case $folder in */*) mmd -i "$0" "::/$folder" ;; esac; ' +
    'exec mcopy -i "$0" "$@" "::/$folder/"';
  const files = PART_FILES.map((end) => join(from, `branchbox-${version}.${end}`));
  await toolbox.run([dirname(image), from], ['sh', '-c', script, image, folder, ...files]);

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

/** By hand, as somebody with a shell would. Returns the place. */
export async function mountStick({ name }: Stick): Promise<string> {
  const directory = '/mnt';
  await until('the stick is mounted', async () => {
    await inNode(BOX, 'mount', '-o', 'ro', `/dev/${name}`, directory);
    return true;
  });
  return directory;
}
