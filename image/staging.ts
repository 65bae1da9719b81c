/**
 * Owns what a version adds to the tree, as directories that make-slot.sh and make-deb.sh lay out: payload and units.
 * Does not own the files themselves (payload.ts, bundle.ts).
 */
import { createHash } from 'node:crypto';
import { copyFile, mkdir, readFile, readlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Bundled, bundle } from './bundle.ts';
import { filesBelow } from './files.ts';
import type { Ingredients } from './ingredients.ts';
import { NODE_PACKAGE } from './inventory.ts';
import type { Keys } from './keys.ts';
import { renderLicences } from './licences.ts';
import { putPayload, putUnits } from './payload.ts';

/** Deliberately broken, for tests of going back. */
export const VARIANTS = ['agent-fails', 'panics', 'hangs', 'no-network'] as const;
/**
 * The agent exits at once; the kernel panics in the initrd; the machine is up, and then its init is held for ever; the
 * kernel has no driver of a virtual machine's network cards.
 */
export type Variant = (typeof VARIANTS)[number];

/**
 * Traced and stopped (ptrace(2): PTRACE_ATTACH), init answers nobody and feeds no watchdog; a signal alone does not stop
 * it. Not before it feeds one, or nobody would notice.
 */
const HANGS = `[Unit]
Description=Holds init for ever
[Service]
ExecStart=/bin/sh -c 'until [ "$$(cat /sys/class/watchdog/watchdog0/state)" = active ]; do sleep 1; done; \
  echo "<2>branchbox-variant: holding init" >/dev/kmsg; exec perl -e "syscall(101, 16, 1, 0, 0) == 0 or die; sleep"'
[Install]
WantedBy=branchbox-gateway.target
`;

export async function stage(
  target: string,
  ingredients: Ingredients,
  keys: Keys,
  variant: Variant | undefined,
): Promise<Bundled> {
  const bundled = await bundle('src/cli/main.ts', 'branchbox', join(target, 'bundle'));
  await putPayload(bundled.directory, join(target, 'payload'));
  await copyFile(ingredients.node, join(target, 'payload/node'));
  await copyFile(keys.releaseAnchors, join(target, 'payload/release-anchors.pem'));
  await writeFile(
    join(target, 'payload/licences.txt'),
    renderLicences([...bundled.npmPackages, NODE_PACKAGE]),
  );
  await putUnits(join(target, 'units'));
  if (variant === 'agent-fails') {
    const dropIns = join(target, 'units/branchbox-agent.service.d');
    await mkdir(dropIns, { recursive: true });
    await writeFile(join(dropIns, 'variant.conf'), '[Service]\nExecStart=\nExecStart=/usr/bin/false\n');
  }
  if (variant === 'hangs') await writeFile(join(target, 'units/branchbox-variant.service'), HANGS);
  return bundled;
}

/** One digest of all files below the directories, names and contents, and of the words. */
export async function digestOf(directories: readonly string[], words: readonly string[]): Promise<string> {
  const hash = createHash('sha256').update(JSON.stringify(words));
  for (const directory of directories) {
    for (const { entry, path } of await filesBelow(directory)) {
      hash.update(`${path.slice(directory.length)}\0`);
      if (entry.isSymbolicLink()) hash.update(await readlink(path));
      else hash.update(await readFile(path));
    }
  }
  return hash.digest('hex');
}
