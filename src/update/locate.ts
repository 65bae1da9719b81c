/**
 * Owns finding out from what this box runs: which root, and on which disk its slots are; or why it has none.
 */
import { realpath, stat } from 'node:fs/promises';
import { basename, dirname } from 'node:path';
import type { Files } from '../system/ports.ts';
import { partitionUuids } from './slots.ts';
import { rootHashOf } from './uki.ts';

export type Located =
  | {
      readonly ok: true;
      /** The device of the whole disk. */
      readonly device: string;
      readonly rootHash: string;
      readonly version: string;
    }
  /** For a person: why there are no slots here. */
  | { readonly ok: false; readonly reason: string };

export async function locateFirmware(files: Files, agentVersion: string): Promise<Located> {
  const rootHash = rootHashOf((await files.readText('/proc/cmdline')) ?? '');
  if (rootHash === undefined) {
    return {
      ok: false,
      reason:
        'This box does not run from a firmware slot: its kernel was started without a root hash. A lab node is made anew, a Debian package is updated by its package manager.',
    };
  }
  const partition = (await belowRoot(files)) ?? (await byUuid(partitionUuids(rootHash).root));
  if (partition === undefined) {
    return { ok: false, reason: `No partition of this box holds its root ${rootHash.slice(0, 16)}….` };
  }
  const disk = basename(dirname(await realpath(`/sys/class/block/${partition}`)));
  return {
    ok: true,
    device: `/dev/${disk}`,
    rootHash,
    version: imageVersion((await files.readText('/usr/lib/os-release')) ?? '') ?? agentVersion,
  };
}

/** The partition below the device that / is on: certain, where two disks hold the same version (a stick, say). */
async function belowRoot(files: Files): Promise<string | undefined> {
  const { dev } = await stat('/');
  // As glibc's gnu_dev_major and gnu_dev_minor.
  const [major, minor] = [(dev >> 8) & 0xfff, (dev & 0xff) | ((dev >> 12) & 0xfff00)];
  const below = await files.list(`/sys/dev/block/${major}:${minor}/slaves`);
  for (const name of below) {
    if ((await files.readText(`/sys/class/block/${name}/partition`)) !== undefined) return name;
  }
  return undefined;
}

async function byUuid(uuid: string): Promise<string | undefined> {
  return realpath(`/dev/disk/by-partuuid/${uuid}`).then(basename, () => undefined);
}

/** IMAGE_VERSION of os-release(5). */
export function imageVersion(osRelease: string): string | undefined {
  return /^IMAGE_VERSION="?([^"\n]+)"?$/m.exec(osRelease)?.[1];
}
