/**
 * Owns what every node sees at /usr/lib/branchbox: the bundle, units, hooks, models, and the lab's own additions.
 * Does not own the Node binary, which is bound over the empty file `node` (node-init.sh).
 */
import { chmod, copyFile, cp, mkdir, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { CHECKOUT, type LabPaths } from './paths.ts';

export const NODE_BINARY = process.execPath;

/** Bundles the checkout and puts it in place; running nodes see new files at their next start of a program. */
export async function stagePayload(paths: LabPaths): Promise<{ readonly sizeBytes: number }> {
  // esbuild is loaded only here: `lab exec` must not pay for it.
  const { bundle } = await import('../../image/bundle.ts');
  // Of this lab alone: another may be made at the same time.
  const built = join(paths.state, 'bundle');
  const [cli, supervisor] = await Promise.all([
    bundle('src/cli/main.ts', 'branchbox', built),
    bundle('src/lab/supervisor/main.ts', 'supervisor', built),
  ]);
  const { payload } = paths;
  const firmware = join(CHECKOUT, 'firmware');
  await mkdir(join(payload, 'lab'), { recursive: true, mode: 0o755 });
  for (const folder of ['units', 'models']) {
    await rm(join(payload, folder), { recursive: true, force: true });
    await cp(join(firmware, folder), join(payload, folder), { recursive: true });
  }
  // Chunks are named by their content: a program that runs still finds those it was started with.
  await cp(join(cli.directory, 'chunks'), join(payload, 'chunks'), { recursive: true });
  const files: readonly (readonly [from: string, to: string, mode: number])[] = [
    [join(firmware, 'sysctl/gateway.conf'), 'sysctl.conf', 0o644],
    [join(firmware, 'dhcpcd.conf'), 'dhcpcd.conf', 0o644],
    [join(firmware, 'containerd.toml'), 'containerd.toml', 0o644],
    [join(firmware, 'dhcpcd-hook'), 'dhcpcd-hook', 0o755],
    [join(firmware, 'boot-uplinks'), 'boot-uplinks', 0o755],
    [join(firmware, 'frr-load'), 'frr-load', 0o755],
    [join(firmware, 'wait-for-socket'), 'wait-for-socket', 0o755],
    [join(firmware, 'console'), 'console', 0o755],
    [join(firmware, 'consoles'), 'consoles', 0o755],
    [join(firmware, 'factory-reset'), 'factory-reset', 0o755],
    [join(firmware, 'reset-button'), 'reset-button', 0o755],
    [join(firmware, 'branchbox.sh'), 'branchbox.sh', 0o755],
    [join(import.meta.dirname, 'supervisor/systemctl'), 'lab/systemctl', 0o755],
    [join(supervisor.directory, 'supervisor.mjs'), 'lab/supervisor.mjs', 0o644],
    [join(cli.directory, 'branchbox.mjs'), 'branchbox.mjs', 0o644],
  ];
  for (const [from, to, mode] of files) await replace(from, join(payload, to), mode);
  // The mount point of the Node binary.
  await writeFile(join(payload, 'node'), '', { flag: 'a', mode: 0o755 });
  return { sizeBytes: cli.sizeBytes };
}

/** By rename: a program that is being started reads the old file or the new one, never half of it. */
async function replace(from: string, to: string, mode: number): Promise<void> {
  const part = `${to}.part`;
  await copyFile(from, part);
  await chmod(part, mode);
  await rename(part, to);
}
