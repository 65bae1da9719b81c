/**
 * Owns one start of a machine for the bench of booting: QEMU as the lab has it, with network cards on which nobody
 * answers and without a TPM, and what the kernel's log says of the time. Does not own what is on the disk (boot.ts).
 */
import { spawn } from 'node:child_process';
import { readFile, rm, writeFile } from 'node:fs/promises';
import { watch } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { type Accelerator, PORT_SLOTS, renderQemu } from '../../src/lab/vm/argv.ts';
import { FIRMWARE_CODE } from '../../src/lab/vm/disk.ts';
import type { MachinePaths } from '../../src/lab/vm/machinePaths.ts';
import { toolsCommand } from '../../src/lab/vm/tools.ts';

/** Emulated on a slow machine; where a boot hangs, its log is what counts. */
const BOOT_TIMEOUT_MS = 10 * 60_000;
const REACHED = 'Reached target multi-user.target';

export interface Boot {
  /** From the kernel's first instruction: initrd and userspace included. */
  readonly kernelToMultiUserS: number;
  /** From QEMU's start, on the host's clock: firmware and boot loader too. */
  readonly powerOnToMultiUserS: number;
  /** Until PID 1 of the root says its first word. */
  readonly kernelToInitS: number;
}

export interface BootMachine {
  /** Starts from `disk` (qcow2) until multi-user is reached; then shut down in order, or cut off. */
  boot(disk: string, end: 'shut-down' | 'cut-off'): Promise<Boot>;
}

/** `directory` holds all that it makes and starts from; `tools` is the tools tree. */
export function createBootMachine(options: {
  readonly directory: string;
  readonly tools: string;
  readonly accelerator: Accelerator;
}): BootMachine {
  const { directory, tools, accelerator } = options;
  const paths = pathsIn(directory);
  const ports = Object.entries(PORT_SLOTS).map(([label, slot]) => ({
    label,
    slot,
    // Locally administered; nobody else is on these cables.
    mac: `02:00:00:00:00:${slot.toString(16)}`,
    tap: undefined,
  }));
  const machine = { name: 'boot', memoryMiB: 2048, cpus: 2, tpm: false, ports };
  return {
    async boot(disk, end) {
      for (const file of [paths.serialLog, paths.qmpSocket]) await rm(file, { force: true });
      await writeFile(paths.serialLog, '');
      const words = renderQemu({
        machine,
        paths,
        firmware: { code: FIRMWARE_CODE },
        accelerator,
        disk: { kind: 'qcow2', path: disk },
      });
      const [command = '', ...args] = toolsCommand(tools, [directory], ['qemu-system-x86_64', ...words]);
      const startedAtMs = performance.now();
      const child = spawn(command, args, { stdio: ['ignore', 'inherit', 'pipe'] });
      createInterface(child.stderr).on('line', (line) => {
        // That a cable leads nowhere is what is wanted.
        if (!/hub \d+ is not connected to host network/.test(line)) console.error(line);
      });
      const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
      try {
        const reachedAtMs = await reached(paths.serialLog, ended);
        const boot = parseBoot(await readFile(paths.serialLog, 'utf8'));
        if (end === 'shut-down') {
          const console = connect(paths.consoleSocket);
          // It breaks when the machine ends.
          console.on('error', () => undefined);
          console.write('\nsystemctl poweroff\n');
          await ended;
          console.destroy();
        }
        return { ...boot, powerOnToMultiUserS: (reachedAtMs - startedAtMs) / 1000 };
      } finally {
        child.kill('SIGKILL');
        await ended;
      }
    },
  };
}

/** When the line appeared, by performance.now(). */
async function reached(log: string, ended: Promise<void>): Promise<number> {
  let changed = (): void => undefined;
  const watcher = watch(log, () => changed());
  const timeout = AbortSignal.timeout(BOOT_TIMEOUT_MS);
  let over: string | undefined;
  void ended.then(() => {
    over = 'the machine ended';
    changed();
  });
  timeout.addEventListener('abort', () => {
    over = `nothing within ${BOOT_TIMEOUT_MS} ms`;
    changed();
  });
  try {
    for (;;) {
      const next = new Promise<void>((resolve) => {
        changed = resolve;
      });
      const text = await readFile(log, 'latin1');
      if (text.includes(REACHED)) return performance.now();
      if (over !== undefined) throw new Error(`${REACHED}: ${over}; its log ends:\n${text.slice(-2000)}`);
      await next;
    }
  } finally {
    watcher.close();
  }
}

/** Seconds since the kernel's start, from a log whose lines begin with them. Pure. */
export function parseBoot(log: string): Omit<Boot, 'powerOnToMultiUserS'> {
  const at = (what: RegExp): number => {
    const line = log.split('\n').find((one) => what.test(one)) ?? '';
    const seconds = Number(/\[\s*(\d+\.\d+)\]/.exec(line)?.[1] ?? Number.NaN);
    if (Number.isNaN(seconds)) throw new Error(`the log has no line ${String(what)} with its time`);
    return seconds;
  };
  return { kernelToInitS: at(/systemd\[1\]: systemd /), kernelToMultiUserS: at(/Reached target multi-user/) };
}

export function pathsIn(directory: string): MachinePaths {
  return {
    factoryDisk: join(directory, 'factory.raw'),
    disk: join(directory, 'disk.qcow2'),
    diskServer: join(directory, 'disk.sock'),
    variables: join(directory, 'efi-variables.fd'),
    tpmState: join(directory, 'tpm'),
    serialLog: join(directory, 'serial.log'),
    qemuLog: join(directory, 'qemu.log'),
    qmpSocket: join(directory, 'qmp.sock'),
    tpmSocket: join(directory, 'tpm.sock'),
    consoleSocket: join(directory, 'console.sock'),
    execSocket: (channel) => join(directory, `exec${channel}.sock`),
  };
}
