/**
 * Owns what every node sees at /usr/lib/branchbox: a gateway's files (image/payload.ts) and the lab's own additions.
 * Does not own the Node binary, which is bound over the empty file `node` (node-init.sh).
 */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { putFile, putPayload, putUnits } from '../../image/payload.ts';
import type { LabPaths } from './paths.ts';

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
  await putPayload(cli.directory, payload);
  await putUnits(join(payload, 'units'));
  await mkdir(join(payload, 'lab'), { recursive: true, mode: 0o755 });
  await putFile(join(import.meta.dirname, 'supervisor/systemctl'), join(payload, 'lab/systemctl'), 0o755);
  await putFile(join(supervisor.directory, 'supervisor.mjs'), join(payload, 'lab/supervisor.mjs'), 0o644);
  // The mount point of the Node binary.
  await writeFile(join(payload, 'node'), '', { flag: 'a', mode: 0o755 });
  return { sizeBytes: cli.sizeBytes };
}
