/**
 * Owns the boot bench: from the kernel's start, and from power-on, until multi-user.target is reached, of the image as a
 * box has it and of a bare Debian 13 of the same packages, kernel and virtual hardware, alternating.
 * Both start by systemd-boot without Secure Boot, without a TPM and with nobody on its six cables, from a disk that was
 * started and shut down once; each measured start begins from the same bytes. The box has a factory identity and was
 * never bootstrapped; Debian starts of its packages what Debian starts.
 */
import { copyFile, mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { createToolbox } from '../../image/toolbox.ts';
import { ensureTree, IMAGE_TREE } from '../../image/trees.ts';
import { chooseAccelerator } from '../../src/lab/vm/accelerator.ts';
import { makeFactoryDisk } from '../../src/lab/vm/disk.ts';
import { prepareImage } from '../../src/lab/vm/image.ts';
import { createFiles } from '../../src/system/linux/files.ts';
import { createRunner } from '../../src/system/linux/runner.ts';
import { root } from '../lab/mainjob/lab.ts';
import { type Boot, createBootMachine, pathsIn } from './bootMachine.ts';
import { type Row, rowOf } from './result.ts';

const BARE_DISK = join(import.meta.dirname, 'make-bare-disk.sh');
const STEP_TIMEOUT_MS = 20 * 60_000;
const VARIABLES_TEMPLATE = 'usr/share/OVMF/OVMF_VARS_4M.fd';
/** As the image's own command line and what a lab adds to it: init says through the kernel what it does, with the time. */
const BARE_CMDLINE =
  'panic=10 console=tty0 console=ttyS0,115200 systemd.show_status=no systemd.log_target=kmsg printk.devkmsg=on systemd.debug_shell=ttyS1';
const SUBJECTS = ['branchbox', 'debian'] as const;
const METRICS = [
  ['kernel to init', 'kernelToInitS'],
  ['kernel to multi-user', 'kernelToMultiUserS'],
  ['power-on to multi-user', 'powerOnToMultiUserS'],
] as const;

export async function measureBoot(times: number): Promise<readonly Row[]> {
  const runner = createRunner();
  const files = createFiles();
  const say = (line: string): void => console.error(line);
  const image = await prepareImage({ runner, say });
  const tree = await ensureTree(IMAGE_TREE, { runner, say });
  const toolbox = createToolbox(runner, image.tools);
  const { accelerator, reason } = await chooseAccelerator({ runner, files }, image);
  say(`${accelerator}: ${reason}`);
  // Not /tmp, which may be memory: two disks of a gigabyte each.
  const directory = await mkdtemp('/var/tmp/branchbox-boot-');
  const paths = pathsIn(directory);
  const overlay = (backing: string, format: 'raw' | 'qcow2', disk: string): Promise<string> =>
    toolbox.run([directory], ['qemu-img', 'create', '-q', '-f', 'qcow2', '-F', format, '-b', backing, disk]);
  const started = (name: string): string => join(directory, `${name}.qcow2`);
  try {
    await makeFactoryDisk({ runner, image, paths }, await factoryFiles(directory));
    const bare = join(directory, 'bare.raw');
    const scratch = join(directory, 'bare');
    say('making the disk of a bare Debian');
    await toolbox.run(
      [tree, directory, import.meta.dirname],
      [BARE_DISK, tree, BARE_CMDLINE, scratch, bare],
      STEP_TIMEOUT_MS,
    );
    await rm(scratch, { recursive: true });
    // Without keys: the same firmware for both.
    await copyFile(join(image.tools, VARIABLES_TEMPLATE), paths.variables);

    const machine = createBootMachine({ directory, tools: image.tools, accelerator });
    const raw = { branchbox: paths.factoryDisk, debian: bare };
    for (const subject of SUBJECTS) {
      await overlay(raw[subject], 'raw', started(subject));
      say(`${subject}: first start`);
      await machine.boot(started(subject), 'shut-down');
    }
    const boots: Record<(typeof SUBJECTS)[number], Boot[]> = { branchbox: [], debian: [] };
    for (let round = 1; round <= times; round += 1) {
      for (const subject of SUBJECTS) {
        await rm(paths.disk, { force: true });
        await overlay(started(subject), 'qcow2', paths.disk);
        const boot = await machine.boot(paths.disk, 'cut-off');
        boots[subject].push(boot);
        say(
          `${subject} ${round}/${times}: ${METRICS.map(([what, key]) => `${what} ${boot[key].toFixed(1)} s`).join(', ')}`,
        );
      }
    }
    return METRICS.flatMap(([what, key]) => {
      const rows = SUBJECTS.map((subject) =>
        rowOf(
          subject,
          'boot',
          what,
          's',
          boots[subject].map((boot) => boot[key]),
        ),
      );
      const [ours, theirs] = rows.map(({ p50 }) => p50);
      return [
        ...rows,
        rowOf('branchbox ÷ debian', 'boot', what, 'of medians', [(ours ?? 0) / (theirs ?? 0)]),
      ];
    });
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

/** As a factory gives them to a box. */
async function factoryFiles(directory: string): Promise<Readonly<Record<string, string>>> {
  const runner = createRunner();
  const state = join(directory, 'manufacturer');
  const out = join(directory, 'factory');
  const manufacturer = (...words: string[]): Promise<string> =>
    runner.runChecked(join(root, 'branchbox'), ['manufacturer', ...words], { timeoutMs: 60_000 });
  await manufacturer('init', '--state', state, '--name', 'manufacturer.test', '--address', '198.51.100.1');
  await manufacturer('identity', '--state', state, '--serial', 'SN-1', '--model', 'qemu', '--out', out);
  const names = await readdir(out);
  return Object.fromEntries(
    await Promise.all(names.map(async (name) => [name, await readFile(join(out, name), 'utf8')] as const)),
  );
}
