/**
 * Owns making a machine's disk and UEFI variables: as the factory leaves them, and empty of all that came since.
 * Does not own what is on the image, nor the steps in the tools tree (make-factory-disk.sh).
 */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import type { Runner } from '../../system/ports.ts';
import type { MachineImage } from './image.ts';
import type { MachinePaths } from './machinePaths.ts';
import { toolsCommand } from './tools.ts';

/** Copying half a gigabyte, and signing. */
const STEP_TIMEOUT_MS = 5 * 60_000;
/** Sparse: what is written is what it takes. Two slots, and some for apps. */
const DISK_SIZE = '8G';
/** Of whoever owns the signature entries: ours, made once at random, of no meaning. */
const OWNER_GUID = '6f4b9c52-8d0e-4b53-9d57-1f1d9a0c3a7e';
const VARIABLES_TEMPLATE = '/usr/share/OVMF/OVMF_VARS_4M.fd';
/** With Secure Boot, and SMM to guard its variables. */
export const FIRMWARE_CODE = '/usr/share/OVMF/OVMF_CODE_4M.secboot.fd';

export interface DiskDeps {
  readonly runner: Runner;
  readonly image: MachineImage;
  readonly paths: MachinePaths;
}

/** `factory`: what the factory partition holds, by file name. */
export async function makeFactoryDisk(
  { runner, image, paths }: DiskDeps,
  factory: Readonly<Record<string, string>>,
): Promise<void> {
  const directory = dirname(paths.factoryDisk);
  await mkdir(directory, { recursive: true });
  // Beside what it becomes: killed half-way, the keys in it go with the lab.
  const scratch = await mkdtemp(join(directory, 'factory-'));
  try {
    for (const [name, content] of Object.entries(factory)) {
      // Keys are their owner's alone, as the factory leaves them.
      await writeFile(join(scratch, basename(name)), content, {
        mode: name.endsWith('.key') ? 0o600 : 0o644,
      });
    }
    const { secureBoot } = image;
    const visible = [import.meta.dirname, scratch, directory, ...[image.raw, secureBoot.key].map(dirname)];
    const inTools = (words: readonly string[]): Promise<string> => {
      const [command = '', ...args] = toolsCommand(image.tools, visible, words);
      return runner.runChecked(command, args, { timeoutMs: STEP_TIMEOUT_MS });
    };
    const script = join(import.meta.dirname, 'make-factory-disk.sh');
    const keys = [secureBoot.key, secureBoot.certificate];
    await inTools(['sh', script, image.raw, paths.factoryDisk, DISK_SIZE, scratch, ...keys]);
    const enrolled = ['--set-pk', '--add-kek', '--add-db'].flatMap((word) => [
      word,
      OWNER_GUID,
      secureBoot.certificate,
    ]);
    const files = ['--input', VARIABLES_TEMPLATE, '--output', paths.variables];
    await inTools(['virt-fw-vars', ...files, ...enrolled, '--sb']);
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}

/** All that the machine wrote to its disk is gone; what the factory put there is back. */
export async function emptyDisk({ runner, image, paths }: DiskDeps): Promise<void> {
  const directory = dirname(paths.disk);
  await rm(paths.disk, { force: true });
  const [command = '', ...args] = toolsCommand(
    image.tools,
    [directory],
    ['qemu-img', 'create', '-q', '-f', 'qcow2', '-F', 'raw', '-b', paths.factoryDisk, paths.disk],
  );
  await runner.runChecked(command, args, { timeoutMs: STEP_TIMEOUT_MS });
}
