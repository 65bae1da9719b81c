/**
 * Owns the ESP: mounted only while it is needed, read-only but for the moment of a change; our entries in /EFI/Linux.
 * FAT keeps no journal: each change is a write under a name nobody starts, a sync, a rename, a sync.
 */
import { createHash } from 'node:crypto';
import { type FileHandle, mkdir, open, readdir, rename, rm, stat, statfs } from 'node:fs/promises';
import { join } from 'node:path';
import { BranchboxError } from '../model/errors.ts';
import type { FirmwarePart } from '../model/firmware.ts';
import type { Runner } from '../system/ports.ts';
import { createSerialQueue } from '../system/serialQueue.ts';
import { type BootEntry, type HalfRenamed, parseEntryName } from './entries.ts';
import { hashFrom } from './fetchPart.ts';
import type { Leftover } from './plan.ts';
import type { PartFile } from './ports.ts';
import { readRootHash } from './uki.ts';
import { syncPath } from '../system/syncPath.ts';

const ENTRIES = 'EFI/Linux';
/** No entry to the loader, which takes `*.efi` that begin with no dot. */
const TEMPORARY = '.branchbox.new';
const COPY_BYTES = 1024 * 1024;
/** A stick-slow ESP takes a minute for 100 MB. */
const SYNC_TIMEOUT_MS = 120_000;

/** How it is mounted: `nodev,nosuid,noexec,noatime` and these. */
export interface EspFileSystem {
  readonly type: string;
  readonly options: string;
}
export const FAT: EspFileSystem = { type: 'vfat', options: 'umask=0077' };

export interface EspContent {
  readonly entries: readonly BootEntry[];
  readonly leftovers: readonly Leftover[];
  readonly freeBytes: number;
}

export interface Esp {
  read(node: string, signal: AbortSignal): Promise<EspContent>;
  remove(node: string, files: readonly string[], signal: AbortSignal): Promise<void>;
  rename(node: string, from: string, to: string, signal: AbortSignal): Promise<void>;
  keepOneName(node: string, half: HalfRenamed, signal: AbortSignal): Promise<void>;
  /** The first bytes of `from`, as many as the part has. */
  place(node: string, file: string, from: PartFile, part: FirmwarePart, signal: AbortSignal): Promise<void>;
}

export function createEsp(options: {
  readonly runner: Runner;
  readonly mountPoint: string;
  readonly fileSystem: EspFileSystem;
}): Esp {
  const { runner, mountPoint, fileSystem } = options;
  const folder = join(mountPoint, ENTRIES);

  /** One mount point, and a repair wants nothing mounted: a read-out must not take it from a change under way. */
  const inTurn = createSerialQueue();
  const mounted: typeof mountedOnce = (...words) => inTurn(() => mountedOnce(...words));
  /** Of an agent that was killed meanwhile. */
  const letGo = (): Promise<unknown> => runner.run('umount', [mountPoint]);
  const mountedOnce = async <T>(
    node: string,
    mode: 'ro' | 'rw',
    signal: AbortSignal,
    use: () => Promise<T>,
  ): Promise<T> => {
    await mkdir(mountPoint, { recursive: true, mode: 0o700 });
    await letGo();
    const how = `${mode},nodev,nosuid,noexec,noatime,${fileSystem.options}`;
    const words = ['-t', fileSystem.type, '-o', how, node, mountPoint];
    const result = await runner.run('mount', words, { signal });
    if (result.exitCode !== 0) {
      throw failed(`the ESP ${node} cannot be mounted: ${result.stderr.trim().slice(-300)}`, undefined);
    }
    const unmount = (): Promise<string> =>
      runner.runChecked('umount', [mountPoint], { timeoutMs: SYNC_TIMEOUT_MS });
    let used: T;
    try {
      used = await use();
    } catch (thrown) {
      // What went wrong first is what a person has to know; one that stays mounted is let go by the next use.
      await unmount().catch(() => undefined);
      throw thrown instanceof BranchboxError ? thrown : failed(`the ESP ${node} failed`, thrown);
    }
    // Only then is all that was written on the medium.
    await unmount();
    return used;
  };

  /** Clusters that a cut left to nobody: without this, each cut would take the size of an entry for good. */
  const repair = async (node: string): Promise<void> => {
    if (fileSystem.type !== FAT.type) return;
    await letGo();
    await runner.run('fsck.fat', ['-a', node], { timeoutMs: SYNC_TIMEOUT_MS }).catch((thrown: unknown) => {
      if (!(thrown instanceof BranchboxError) || thrown.code !== 'system/missing-tool') throw thrown;
    });
  };

  return {
    read: (node, signal) =>
      mounted(node, 'ro', signal, async () => {
        const names = await namesIn(folder);
        const entries: BootEntry[] = [];
        for (const name of names.toSorted()) {
          const parsed = parseEntryName(name);
          if (parsed !== undefined) entries.push({ ...parsed, ...(await look(join(folder, name))) });
        }
        const leftovers: Leftover[] = [];
        for (const file of names.filter((name) => name === TEMPORARY))
          leftovers.push({ file, sizeBytes: (await stat(join(folder, file))).size });
        const { bavail, bsize } = await statfs(mountPoint);
        return { entries, leftovers, freeBytes: bavail * bsize };
      }),
    remove: (node, files, signal) =>
      mounted(node, 'rw', signal, async () => {
        for (const file of files) await rm(join(folder, file), { force: true });
        await syncPath(folder);
      }),
    rename: (node, from, to, signal) =>
      mounted(node, 'rw', signal, async () => {
        await rename(join(folder, from), join(folder, to));
        await syncPath(folder);
      }),
    async keepOneName(node, { kept, other }, signal) {
      // First: to remove one of two names of the same clusters would free them under the other. It leaves them to one of
      // the two, whichever stands first, and the other empty.
      await inTurn(() => repair(node));
      await mounted(node, 'rw', signal, async () => {
        const [own, second] = [join(folder, kept), join(folder, other)];
        const isWhole = async (path: string) => (await look(path)).rootHash !== undefined;
        if (await isWhole(own)) await rm(second);
        else if (await isWhole(second)) await rename(second, own);
        await syncPath(folder);
      });
    },
    async place(node, file, from, part, signal) {
      await inTurn(() => repair(node));
      await mounted(node, 'rw', signal, async () => {
        // What a repair found: clusters of nobody, under names of its own.
        for (const name of await readdir(mountPoint)) {
          if (/^fsck\d{4}\.rec$/i.test(name)) await rm(join(mountPoint, name));
        }
        await mkdir(folder, { recursive: true });
        await copy(from, join(folder, TEMPORARY), part.sizeBytes, signal);
        await syncPath(folder);
      });
      // From the medium, before the loader is shown it.
      await runner.runChecked('blockdev', ['--flushbufs', node]);
      await mounted(node, 'ro', signal, async () => {
        const sha256 = await digestOf(join(folder, TEMPORARY), part.sizeBytes);
        if (sha256 === part.sha256) return;
        throw failed(`the boot entry reads as ${sha256} on the ESP, not as ${part.sha256}`, undefined);
      });
      await mounted(node, 'rw', signal, async () => {
        await rename(join(folder, TEMPORARY), join(folder, file));
        await syncPath(folder);
      });
    },
  };
}

/**
 * None where there is no such directory yet. One that cannot be read is no empty one: a version on trial would be taken for
 * committed, since no entry of it has a count.
 */
async function namesIn(folder: string): Promise<readonly string[]> {
  try {
    return await readdir(folder);
  } catch (thrown) {
    if (thrown instanceof Error && 'code' in thrown && thrown.code === 'ENOENT') return [];
    throw thrown;
  }
}

async function look(path: string): Promise<Pick<BootEntry, 'sizeBytes' | 'rootHash'>> {
  const { size } = await stat(path);
  const handle = await open(path, 'r');
  try {
    return {
      sizeBytes: size,
      rootHash: await readRootHash((offset, length) => readAt(handle, offset, length)),
    };
  } finally {
    await handle.close();
  }
}

async function digestOf(path: string, sizeBytes: number): Promise<string> {
  const hash = createHash('sha256');
  const handle = await open(path, 'r');
  try {
    await hashFrom({ read: (offset, length) => readAt(handle, offset, length) }, sizeBytes, hash);
  } finally {
    await handle.close();
  }
  return hash.digest('hex');
}

async function copy(from: PartFile, path: string, sizeBytes: number, signal: AbortSignal): Promise<void> {
  await rm(path, { force: true });
  const handle = await open(path, 'wx', 0o600);
  try {
    for (let offset = 0; offset < sizeBytes; ) {
      signal.throwIfAborted();
      const bytes = await from.read(offset, Math.min(COPY_BYTES, sizeBytes - offset));
      if (bytes.length === 0) throw failed('the staged boot entry is too short', undefined);
      await handle.write(bytes, 0, bytes.length, offset);
      offset += bytes.length;
    }
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** Fewer bytes at the end. */
export async function readAt(handle: FileHandle, offset: number, length: number): Promise<Uint8Array> {
  const buffer = Buffer.allocUnsafe(length);
  const { bytesRead } = await handle.read(buffer, 0, length, offset);
  return buffer.subarray(0, bytesRead);
}

function failed(message: string, cause: unknown): BranchboxError {
  const why = cause instanceof Error ? `: ${cause.message}` : '';
  return new BranchboxError('firmware/disk', { message: message + why, cause });
}
