/**
 * Owns files on the box: size caps on reading, durable writing, watching a directory.
 * Does not own any path.
 */
import { randomBytes } from 'node:crypto';
import { type FSWatcher, watch as watchDirectory } from 'node:fs';
import { link, mkdir, open, readdir, rename, rm, type FileHandle } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { BranchboxError } from '../../model/errors.ts';
import type { Files, FirstFiles } from '../ports.ts';
import { syncPath } from '../syncPath.ts';

const DEFAULT_MAX_BYTES = 1024 * 1024;
const READ_CHUNK_BYTES = 64 * 1024;
/** Small enough for Node's pool: an agent at rest reads some thirty small files every five seconds. */
const FIRST_CHUNK_BYTES = 2048;
/** Long enough that a rename's pair of events, or a burst of writes, is one call. */
const COALESCE_MS = 20;
/** How long to wait before watching again where a watched directory went away. */
const REWATCH_MS = 1000;

export function createFiles(): FirstFiles {
  const readBytes: Files['readBytes'] = async (path, maxBytes = DEFAULT_MAX_BYTES) => {
    let handle: FileHandle;
    try {
      handle = await open(path, 'r');
    } catch (cause) {
      if (isMissing(cause)) return undefined;
      throw fileError(`${path} cannot be opened`, cause);
    }
    try {
      return await readCapped(handle, path, maxBytes);
    } finally {
      await handle.close();
    }
  };
  return {
    readBytes,
    async readText(path, maxBytes) {
      const bytes = await readBytes(path, maxBytes);
      return bytes === undefined ? undefined : Buffer.from(bytes).toString('utf8');
    },
    writeDurable: (path, content, mode = 0o600) =>
      writeBy(path, content, mode, (temporary) => rename(temporary, path)),
    async writeFirst(path, content, mode = 0o600) {
      let isFirst = true;
      await writeBy(path, content, mode, async (temporary) => {
        // link(2) replaces nothing, as rename(2) does.
        await link(temporary, path).catch((cause: unknown) => {
          if (!isThere(cause)) throw cause;
          isFirst = false;
        });
        await rm(temporary);
      });
      return isFirst;
    },
    async writeKernel(path, content) {
      try {
        // No O_CREAT and no O_TRUNC: what is not there is a missing feature, never a new file.
        const handle = await open(path, 'r+');
        try {
          await handle.write(content);
        } finally {
          await handle.close();
        }
      } catch (cause) {
        throw fileError(`${path} cannot be set to ${content.slice(0, 80)}`, cause);
      }
    },
    async remove(path) {
      try {
        await rm(path);
        await syncPath(dirname(path));
      } catch (cause) {
        if (isMissing(cause)) return;
        throw fileError(`${path} cannot be removed`, cause);
      }
    },
    async list(path) {
      try {
        return (await readdir(path)).toSorted();
      } catch (cause) {
        if (isMissing(cause)) return [];
        throw fileError(`${path} cannot be listed`, cause);
      }
    },
    watch(directory, onChange, signal) {
      void watchFor(directory, onChange, signal);
    },
  };
}

/** `place`: gives the whole and synced temporary file its name. */
async function writeBy(
  path: string,
  content: string | Uint8Array,
  mode: number,
  place: (temporary: string) => Promise<void>,
): Promise<void> {
  const directory = dirname(path);
  // Hidden and random: a reader that lists the directory, or a second writer, never meets it.
  const temporary = join(directory, `.${basename(path)}.${randomBytes(6).toString('hex')}`);
  try {
    await makeDirectory(directory);
    const handle = await open(temporary, 'wx', mode);
    try {
      // The umask took its share at open.
      await handle.chmod(mode);
      await handle.writeFile(content);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await place(temporary);
    await syncPath(directory);
  } catch (cause) {
    // On a read-only file system this fails as well: why it could not be written is what matters.
    await rm(temporary, { force: true }).catch(() => undefined);
    throw fileError(`${path} cannot be written`, cause);
  }
}

/**
 * A directory that was just made is a name in the one above, and a power cut takes it as it takes any other. One by one: Node's
 * `recursive` never ends where the kernel says ENOENT below a directory that is there, as it does of /proc.
 */
async function makeDirectory(directory: string, aboveIsThere = false): Promise<void> {
  try {
    await mkdir(directory);
  } catch (cause) {
    const code = cause instanceof Error && 'code' in cause ? cause.code : undefined;
    if (code === 'EEXIST') return;
    if (code !== 'ENOENT' || aboveIsThere) throw cause;
    await makeDirectory(dirname(directory));
    await makeDirectory(directory, true);
    return;
  }
  await syncPath(dirname(directory));
}

/** By chunks, since /proc and /sys files name no true size. A chunk is read into until it is full: most files fill none. */
async function readCapped(handle: FileHandle, path: string, maxBytes: number): Promise<Uint8Array> {
  const full: Buffer[] = [];
  let sizeBytes = 0;
  try {
    for (let chunkBytes = FIRST_CHUNK_BYTES; ; chunkBytes = READ_CHUNK_BYTES) {
      const chunk = Buffer.allocUnsafe(Math.min(chunkBytes, maxBytes + 1 - sizeBytes));
      let filled = 0;
      while (filled < chunk.length) {
        const { bytesRead } = await handle.read(chunk, filled);
        if (bytesRead === 0) return Buffer.concat([...full, chunk.subarray(0, filled)]);
        filled += bytesRead;
      }
      full.push(chunk);
      sizeBytes += filled;
      if (sizeBytes > maxBytes) break;
    }
  } catch (cause) {
    throw fileError(`${path} cannot be read`, cause);
  }
  throw fileError(`${path} is larger than ${maxBytes} bytes`, undefined);
}

async function watchFor(directory: string, onChange: () => void, signal: AbortSignal): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const changed = (): void => {
    if (timer !== undefined || signal.aborted) return;
    timer = setTimeout(() => {
      timer = undefined;
      if (!signal.aborted) onChange();
    }, COALESCE_MS);
  };
  signal.addEventListener('abort', () => clearTimeout(timer), { once: true });
  for (let first = true; !signal.aborted; first = false) {
    const watched = await watchOnce(directory, changed, signal);
    if (signal.aborted) return;
    if (watched && !first) changed();
    await new Promise((resolve) => setTimeout(resolve, REWATCH_MS).unref());
  }
}

/** Until the directory goes away, the watcher fails or the signal aborts. */
async function watchOnce(directory: string, changed: () => void, signal: AbortSignal): Promise<boolean> {
  let watcher: FSWatcher;
  try {
    await mkdir(directory, { recursive: true });
    // Throws where it is gone again, and where the kernel gives no watch: containers that run as root use up the same
    // 128 of root (inotify(7), max_user_instances).
    watcher = watchDirectory(directory, { signal, persistent: false });
  } catch {
    return false;
  }
  return new Promise((resolve) => {
    watcher.on('change', (event, name) => {
      changed();
      // The directory itself was renamed or removed: the watch is dead, though no error is told.
      if (event === 'rename' && name === basename(directory)) watcher.close();
    });
    watcher.on('error', () => watcher.close());
    watcher.on('close', () => resolve(true));
  });
}

const isThere = (cause: unknown): boolean =>
  cause instanceof Error && 'code' in cause && cause.code === 'EEXIST';

function isMissing(cause: unknown): boolean {
  return cause instanceof Error && 'code' in cause && (cause.code === 'ENOENT' || cause.code === 'ENOTDIR');
}

/** What a person can mend is said in words; of the rest the system's own. Pure. */
export function fileError(what: string, cause: unknown): BranchboxError {
  const known = cause instanceof Error && 'code' in cause ? STORAGE_PROBLEMS[String(cause.code)] : undefined;
  const why = known?.why ?? (cause instanceof Error ? cause.message : undefined);
  return new BranchboxError('system/file', {
    message: why === undefined ? what : `${what}: ${why}`,
    ...(known && { mend: known.mend }),
    cause,
  });
}

const NO_ROOM = 'make room on it; the box keeps what it has and goes on by itself when there is some';
const STORAGE_PROBLEMS: Readonly<Record<string, { readonly why: string; readonly mend: string }>> = {
  ENOSPC: { why: 'the disk is full', mend: NO_ROOM },
  EDQUOT: { why: 'the quota of the disk is used up', mend: NO_ROOM },
  EROFS: {
    why: 'the file system is read-only',
    mend: 'restart the box; where it comes back, the disk failed and is to be replaced. The box keeps what it has and tries on',
  },
};
