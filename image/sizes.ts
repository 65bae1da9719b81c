/**
 * Owns how large the parts of an image are, unpacked. Does not own the files that are published (publish.ts).
 */
import { stat } from 'node:fs/promises';
import { join, relative } from 'node:path';
import type { Assembled } from './assemble.ts';
import { filesBelow } from './files.ts';
import type { Ingredients } from './ingredients.ts';
import type { PartSizes } from './manifest.ts';

/** Paths of the root whose size is told apart; a path belongs to the first that it is, or is below. */
const GROUPS: readonly (readonly [name: string, paths: readonly string[]])[] = [
  ['kernel modules', ['usr/lib/modules']],
  [
    'container engine',
    ['usr/sbin/dockerd', 'usr/bin/containerd', 'usr/bin/containerd-shim-runc-v2', 'usr/sbin/runc'],
  ],
  ['FRR', ['usr/lib/frr', 'usr/lib/x86_64-linux-gnu/frr', 'usr/bin/vtysh']],
];

export async function measureParts({ tree, initrd, node }: Ingredients, made: Assembled): Promise<PartSizes> {
  const root = join(tree, 'root');
  const totals = new Map<string, number>(GROUPS.map(([name]) => [name, 0]));
  let other = 0;
  const groupOf = (path: string): string | undefined =>
    GROUPS.find(([, paths]) => paths.some((one) => path === one || path.startsWith(`${one}/`)))?.[0];
  const seen = new Set<number>();
  for (const { entry, path } of await filesBelow(root)) {
    if (!entry.isFile()) continue;
    const { size, ino } = await stat(path);
    // Two names of one file are one file.
    if (seen.has(ino)) continue;
    seen.add(ino);
    const group = groupOf(relative(root, path));
    if (group === undefined) other += size;
    else totals.set(group, (totals.get(group) ?? 0) + size);
  }
  const sizeOf = async (path: string): Promise<number> => (await stat(path)).size;
  return {
    'root, unpacked: Node': await sizeOf(node),
    'root, unpacked: bundle': made.bundleBytes,
    ...Object.fromEntries([...totals].map(([name, bytes]) => [`root, unpacked: ${name}`, bytes])),
    'root, unpacked: rest of Debian': other,
    'kernel image': await sizeOf(join(tree, 'vmlinuz')),
    microcode: await sizeOf(join(tree, 'microcode')),
    initrd: await sizeOf(initrd),
    'slot: root (erofs)': await sizeOf(made.root),
    'slot: hashes (dm-verity)': await sizeOf(made.verity),
    'ESP: signed kernel image': await sizeOf(made.uki),
  };
}
