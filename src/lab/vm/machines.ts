/**
 * Owns a machine's power: starting QEMU and its TPM in the node's network namespace, and what carriers it sees.
 * Ending it is killing its processes, which are found by their mark (nodes.ts). Does not own its disk (disk.ts) nor
 * what runs in it (guestExec.ts).
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { mkdir, open, rm, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { BranchboxError } from '../../model/errors.ts';
import type { Clock } from '../../system/ports.ts';
import { LAB_MARK, type LabPaths, NODE_MARK, nodePaths } from '../paths.ts';
import { type Accelerator, type DiskSource, type Machine, renderQemu, renderSwtpm } from './argv.ts';
import { FIRMWARE_CODE } from './disk.ts';
import { type MachinePaths, machinePaths } from './machinePaths.ts';
import { askQmp, setCarrier } from './qmp.ts';
import { toolsCommand } from './tools.ts';

const START_TIMEOUT_MS = 60_000;
const POLL_MS = 20;

export interface PowerOptions {
  readonly clock: Clock;
  readonly paths: LabPaths;
  readonly tools: string;
  readonly machine: Machine;
  readonly accelerator: Accelerator;
  /** Labels of the ports without a cable in. */
  readonly unplugged: readonly string[];
}

/** Resolves when the machine executes; what it does from there on is in its serial log. */
export async function switchOn(options: PowerOptions): Promise<void> {
  const { clock, paths, machine } = options;
  const own = nodePaths(paths, machine.name);
  const files = machinePaths(paths, machine.name);
  await mkdir(own.run, { recursive: true });
  await mkdir(files.tpmState, { recursive: true });
  // Sockets of a QEMU that was killed.
  for (const socket of [files.qmpSocket, files.tpmSocket]) await rm(socket, { force: true });
  const deadlineMs = clock.monotonicMs() + START_TIMEOUT_MS;
  const until = async (isThere: () => Promise<boolean>, child: ChildProcess): Promise<void> => {
    while (!(await isThere())) {
      if (child.exitCode !== null || clock.monotonicMs() > deadlineMs) throw notStarted(machine, files);
      await clock.sleep(POLL_MS);
    }
  };
  if (machine.tpm) {
    const swtpm = await launch(options, files, ['swtpm', ...renderSwtpm(files)]);
    await until(async () => existsSync(files.tpmSocket), swtpm);
  }
  const disk: DiskSource = existsSync(files.diskServer)
    ? { kind: 'nbd', socket: files.diskServer }
    : { kind: 'qcow2', path: files.disk };
  const { accelerator } = options;
  const firmware = { code: FIRMWARE_CODE };
  const qemu = await launch(options, files, [
    'qemu-system-x86_64',
    ...renderQemu({ machine, paths: files, firmware, accelerator, disk }),
  ]);
  // By an answer: a socket that is there is bound, and may not listen yet.
  await until(() => answers(files.qmpSocket), qemu);
  for (const label of options.unplugged) await setCarrier(files.qmpSocket, label, false);
  await writeFile(own.pidFile, `${qemu.pid ?? 0}\n`);
}

/** In the node's network namespace, marked as the node's, and alive when this process is gone. */
async function launch(
  { paths, tools, machine }: PowerOptions,
  files: MachinePaths,
  words: readonly string[],
): Promise<ChildProcess> {
  const own = nodePaths(paths, machine.name);
  const log = await open(files.qemuLog, 'a');
  const command = toolsCommand(tools, [own.run, dirname(files.disk)], words);
  const child = spawn('nsenter', [`--net=${own.netns}`, '--', ...command], {
    detached: true,
    cwd: '/',
    stdio: ['ignore', log.fd, log.fd],
    env: { ...process.env, [LAB_MARK]: paths.lab, [NODE_MARK]: machine.name },
  });
  child.on('error', () => undefined);
  child.unref();
  await log.close();
  return child;
}

const answers = (qmpSocket: string): Promise<boolean> =>
  askQmp(qmpSocket, { execute: 'query-status' }).then(
    () => true,
    () => false,
  );

function notStarted(machine: Machine, files: MachinePaths): BranchboxError {
  const words = existsSync(files.qemuLog) ? readFileSync(files.qemuLog, 'utf8').trim().slice(-500) : '';
  return new BranchboxError('lab/not-ready', { message: `machine ${machine.name} did not start: ${words}` });
}
