/**
 * Owns a USB stick that was plugged into the running box: mounted where only this process sees it, and only while its
 * update is read. A stick is hostile: FAT only, read-only, nothing on it is run; its size does not matter, since no
 * more is read than a signed manifest names.
 * Does not own whether a version may be taken (job.ts).
 */
import type { Stats } from 'node:fs';
import { lstat, mkdir, realpath } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { BranchboxError } from '../model/errors.ts';
import { StickName } from '../model/firmware.ts';
import type { Runner } from '../system/ports.ts';
import { type EspFileSystem, FAT } from './esp.ts';
import { type FirmwareDirectory, openDirectory } from './directorySource.ts';

/** Where a stick holds an update: one manifest and its parts. */
const FOLDERS = ['branchbox', 'update'] as const;
const MOUNT_TIMEOUT_MS = 30_000;

export interface OpenStick extends FirmwareDirectory {
  /** Also of one that was pulled out; never fails. */
  close(): Promise<void>;
}

export interface Sticks {
  /** undefined: not for us. Throws `firmware/source` where it means to be, and cannot be taken. One at a time. */
  open(name: string, signal: AbortSignal): Promise<OpenStick | undefined>;
}

export function createSticks(options: {
  readonly runner: Pick<Runner, 'run'>;
  readonly mountPoint: string;
  /** The disk that the box runs from, which may itself be on USB. */
  readonly ownDevice: string;
  /** FAT, but where a test's kernel has none. */
  readonly fileSystem?: EspFileSystem;
  /** Of a test, whose devices are on no USB. */
  readonly blocks?: string;
  /** Of a test, whose stick gives read errors. */
  readonly lookUp?: (path: string) => Promise<Pick<Stats, 'isDirectory'>>;
}): Sticks {
  const { runner, mountPoint, lookUp = lstat } = options;
  const fileSystem = options.fileSystem ?? FAT;
  const close = async (): Promise<void> => {
    // Lazily: a part may still be open, or the stick gone.
    await runner.run('umount', ['-l', mountPoint], { timeoutMs: MOUNT_TIMEOUT_MS }).catch(() => undefined);
  };
  return {
    async open(name, signal) {
      if (!StickName.safeParse(name).success) throw unusable(`${name} is no name of a stick`);
      const place = await realpath(join(options.blocks ?? '/sys/class/block', name)).catch(
        (cause: unknown) => {
          throw unusable(`there is no stick ${name}`, cause);
        },
      );
      if (!/\/usb[0-9]+\//.test(place)) throw unusable(`${name} is not on USB`);
      const disk = (await exists(join(place, 'partition'))) ? dirname(place) : place;
      if (`/dev/${basename(disk)}` === options.ownDevice) return undefined;
      await mkdir(mountPoint, { recursive: true, mode: 0o700 });
      await close();
      const how = `ro,nodev,nosuid,noexec,noatime,${fileSystem.options}`;
      const words = ['-t', fileSystem.type, '-o', how, `/dev/${basename(place)}`, mountPoint];
      const mounted = await runner.run('mount', words, { timeoutMs: MOUNT_TIMEOUT_MS, signal });
      if (mounted.exitCode !== 0) {
        // Pulled out meanwhile.
        if (!(await exists(place))) return undefined;
        throw unusable(
          `its FAT file system is damaged and cannot be mounted (format ${name} with FAT32, copy the files onto it again, or take another stick)`,
        );
      }
      try {
        if (!(await holdsFolder(mountPoint, lookUp))) {
          await close();
          return undefined;
        }
        return { ...(await openDirectory(join(mountPoint, ...FOLDERS))), close };
      } catch (thrown) {
        await close();
        if (!(thrown instanceof UnreadableFolder)) throw thrown;
        // Pulled out meanwhile.
        if (!(await exists(place))) return undefined;
        throw unusable(
          `it gives read errors, so that nobody can tell whether an update is on it (take another stick): ${thrown.message}`,
          thrown,
        );
      }
    },
  };
}

class UnreadableFolder extends Error {}

async function holdsFolder(
  mountPoint: string,
  lookUp: (path: string) => Promise<Pick<Stats, 'isDirectory'>>,
): Promise<boolean> {
  let path = mountPoint;
  for (const folder of FOLDERS) {
    path = join(path, folder);
    const found = await lookUp(path).catch((cause: unknown) => {
      if (isMissing(cause)) return undefined;
      throw new UnreadableFolder(cause instanceof Error ? cause.message : String(cause), { cause });
    });
    // Nor a link, where a file system has them.
    if (found?.isDirectory() !== true) return false;
  }
  return true;
}

const isMissing = (thrown: unknown): boolean =>
  thrown instanceof Error && 'code' in thrown && thrown.code === 'ENOENT';

const exists = (path: string): Promise<boolean> =>
  lstat(path).then(
    () => true,
    () => false,
  );

const unusable = (message: string, cause?: unknown): BranchboxError =>
  new BranchboxError('firmware/source', { message, ...(cause === undefined ? {} : { cause }) });
