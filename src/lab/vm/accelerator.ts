/**
 * Owns whether QEMU may use this host's KVM: found by booting a kernel in it, once a boot of the host. That /dev/kvm is
 * there proves little: under some hypervisors it runs a boot sector and fails on a real kernel.
 * The kernel is the image's own (unifiedKernel.ts).
 */
import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { z } from 'zod';
import { decodeJson } from '../../model/decode.ts';
import { BranchboxError } from '../../model/errors.ts';
import type { Files, Runner } from '../../system/ports.ts';
import { CACHE_DIRECTORY } from '../../../image/trees.ts';
import type { Accelerator } from './argv.ts';
import type { MachineImage } from './image.ts';
import { toolsCommand } from './tools.ts';
import { sectionOf } from './unifiedKernel.ts';

/** A kernel without a root gives up within a second where KVM works. */
const PROBE_TIMEOUT_MS = 10_000;
const BOOT_ID = '/proc/sys/kernel/random/boot_id';
const RECORD = join(CACHE_DIRECTORY, 'accelerator.json');

const AcceleratorRecord = z.strictObject({
  bootId: z.string(),
  accelerator: z.enum(['kvm', 'tcg']),
  reason: z.string(),
});

export interface AcceleratorChoice {
  readonly accelerator: Accelerator;
  /** Why, as half a sentence. */
  readonly reason: string;
}

export async function chooseAccelerator(
  { runner, files }: { readonly runner: Runner; readonly files: Pick<Files, 'readText' | 'writeDurable'> },
  image: Pick<MachineImage, 'tools' | 'unifiedKernel'>,
): Promise<AcceleratorChoice> {
  const bootId = ((await files.readText(BOOT_ID)) ?? '').trim();
  const text = await files.readText(RECORD);
  const known = text === undefined ? undefined : decodeJson(AcceleratorRecord, text, RECORD);
  if (known?.bootId === bootId) return known;
  const choice = existsSync('/dev/kvm')
    ? await probe(runner, image)
    : { accelerator: 'tcg' as const, reason: 'there is no /dev/kvm' };
  await files.writeDurable(RECORD, `${JSON.stringify({ bootId, ...choice })}\n`, 0o644);
  return choice;
}

async function probe(
  runner: Runner,
  image: Pick<MachineImage, 'tools' | 'unifiedKernel'>,
): Promise<AcceleratorChoice> {
  const scratch = await mkdtemp(join(tmpdir(), 'branchbox-kvm-'));
  try {
    const kernel = join(scratch, 'vmlinuz');
    await writeFile(kernel, sectionOf(await readFile(image.unifiedKernel), '.linux'));
    const [command = '', ...args] = toolsCommand(image.tools, [scratch], renderProbe(kernel));
    const { stdout, stderr } = await runner.run(command, args, { timeoutMs: PROBE_TIMEOUT_MS });
    if (provesKvm(stdout)) return { accelerator: 'kvm', reason: 'a kernel booted in it' };
    const said = `${stderr}\n${stdout}`.trim().split('\n').at(0) ?? '';
    return { accelerator: 'tcg', reason: `no kernel boots with KVM here: ${said.slice(0, 200)}` };
  } catch (error) {
    if (!(error instanceof BranchboxError) || error.code !== 'system/command-timeout') throw error;
    return { accelerator: 'tcg', reason: `a kernel with KVM did not end within ${PROBE_TIMEOUT_MS} ms` };
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}

/** The kernel finds no root, panics, and reboots at once, which ends QEMU. */
export const renderProbe = (kernel: string): string[] =>
  [
    ['qemu-system-x86_64', '-nodefaults', '-no-user-config', '-no-reboot', '-display', 'none'],
    ['-machine', 'q35', '-accel', 'kvm', '-cpu', 'host', '-m', '256', '-serial', 'stdio'],
    ['-kernel', kernel, '-append', 'console=ttyS0 panic=-1'],
  ].flat();

/** It got as far as looking for its root: decompressed, all of its processors' features used, drivers started. */
export const provesKvm = (serial: string): boolean => serial.includes('Unable to mount root fs');
