/**
 * Owns where a virtual machine of a lab keeps its parts on the host. Does not own what is in them.
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { type LabPaths, nodePaths } from '../paths.ts';

/** Commands that run in a machine at once: each has a virtio-serial port of its own. OVMF's driver knows 8, one is taken. */
export const EXEC_CHANNELS = 6;
export const execPortName = (channel: number): string => `branchbox.exec.${channel}`;

export interface MachinePaths {
  /** What the factory made: the image, the lab's add-on, this box's identity. Never written by the machine. */
  readonly factoryDisk: string;
  /** What the machine wrote since, over the factory's disk. */
  readonly disk: string;
  /** Where somebody serves the disk by NBD instead (power-cut tests), QEMU takes that. */
  readonly diskServer: string;
  /** UEFI variables, Secure Boot's among them. */
  readonly variables: string;
  readonly tpmState: string;
  readonly serialLog: string;
  readonly qemuLog: string;
  readonly qmpSocket: string;
  readonly tpmSocket: string;
  /** The debug shell's terminal. */
  readonly consoleSocket: string;
  execSocket(channel: number): string;
}

export function machinePaths(paths: LabPaths, node: string): MachinePaths {
  const { state, run } = nodePaths(paths, node);
  return {
    factoryDisk: join(state, 'factory.raw'),
    disk: join(state, 'disk.qcow2'),
    diskServer: join(run, 'disk.sock'),
    variables: join(state, 'efi-variables.fd'),
    tpmState: join(state, 'tpm'),
    serialLog: join(state, 'serial.log'),
    qemuLog: join(state, 'qemu.log'),
    qmpSocket: join(run, 'qmp.sock'),
    tpmSocket: join(run, 'tpm.sock'),
    consoleSocket: join(run, 'console.sock'),
    execSocket: (channel) => join(run, `exec${channel}.sock`),
  };
}

/** Whether a running node is a machine; without reading the topology, for whoever only wants to enter it. */
export const isMachine = (paths: LabPaths, node: string): boolean =>
  existsSync(machinePaths(paths, node).qmpSocket);
