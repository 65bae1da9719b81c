/**
 * Owns the real disk of a box as an update sees it: partition table by sfdisk, slots as block devices, ESP, the
 * loader's variable. Does not own the order of anything (plan.ts).
 */
import { constants } from 'node:fs';
import { mkdir, open, readFile, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { BranchboxError } from '../model/errors.ts';
import type { Runner } from '../system/ports.ts';
import { syncPath } from '../system/syncPath.ts';
import { createEsp, type EspFileSystem, FAT, readAt } from './esp.ts';
import type { FirmwareDisk, PartFile } from './ports.ts';
import {
  REVOKED_SIGNATURES,
  SECURE_BOOT,
  SHIM_LIST,
  SIGNATURE_DATABASE,
  whyNotStarted,
} from './secureBoot.ts';
import { parseTable, partitionUuids, type SlotTable } from './slots.ts';
import { type ReadAt, readRootHash } from './uki.ts';

/** systemd-boot's vendor GUID (Boot Loader Interface). */
const ONE_SHOT = 'LoaderEntryOneShot-4a67b082-0a4c-41cf-b6c7-440b29bb8c4f';
/** Non-volatile, boot and runtime access (UEFI 8.2), which efivarfs wants first. */
const VARIABLE_ATTRIBUTES = 7;
const SFDISK_TIMEOUT_MS = 30_000;

export interface DiskOptions {
  readonly runner: Runner;
  readonly device: string;
  readonly running: { readonly version: string; readonly rootHash: string };
  /** Where the ESP is mounted for a moment. */
  readonly mountPoint: string;
  /** FAT, as UEFI has it, but where a test's kernel has none. */
  readonly espFileSystem?: EspFileSystem;
  /** The boot entry, until its slot is whole. */
  readonly stagedPath: string;
  /** efivarfs. */
  readonly variables: string;
}

export function createFirmwareDisk(options: DiskOptions): FirmwareDisk {
  const { runner, device, running } = options;
  const esp = createEsp({
    runner,
    mountPoint: options.mountPoint,
    fileSystem: options.espFileSystem ?? FAT,
  });
  const table = async (signal?: AbortSignal): Promise<SlotTable> =>
    parseTable(
      await runner.runChecked('sfdisk', ['--json', device], {
        timeoutMs: SFDISK_TIMEOUT_MS,
        ...(signal === undefined ? {} : { signal }),
      }),
    );
  const espNode = async (signal: AbortSignal): Promise<string> => (await table(signal)).esp.node;

  return {
    async observe(signal) {
      const { slots, esp: partition } = await table(signal);
      const content = await esp.read(partition.node, signal);
      const sizes = ({ rootHash, root, verity }: SlotTable['slots']['a']) => ({
        rootHash,
        rootBytes: root.sizeBytes,
        verityBytes: verity.sizeBytes,
      });
      return {
        running,
        slots: { a: sizes(slots.a), b: sizes(slots.b) },
        entries: content.entries,
        espFreeBytes: content.freeBytes,
        leftovers: content.leftovers,
      };
    },
    async openSlot(slot, role, signal) {
      const { node } = (await table(signal)).slots[slot][role];
      // Exclusively: a partition that anything is mounted from, or stands on, is refused by the kernel.
      return openPart(node, constants.O_RDWR | constants.O_EXCL);
    },
    async openStaged() {
      await mkdir(dirname(options.stagedPath), { recursive: true, mode: 0o700 });
      return openPart(options.stagedPath, constants.O_RDWR | constants.O_CREAT | constants.O_NOFOLLOW);
    },
    async dropStaged() {
      const directory = dirname(options.stagedPath);
      try {
        await mkdir(directory, { recursive: true, mode: 0o700 });
        await rm(options.stagedPath, { force: true });
        await syncPath(directory);
      } catch (cause) {
        throw diskError(`${options.stagedPath} cannot be removed`, cause);
      }
    },
    async dropCache(slot, signal) {
      const { root, verity } = (await table(signal)).slots[slot];
      for (const { node } of [root, verity]) await runner.runChecked('blockdev', ['--flushbufs', node]);
    },
    async nameSlot(slot, rootHash, signal) {
      const { root, verity } = (await table(signal)).slots[slot];
      const uuids = partitionUuids(rootHash);
      // Both copies of the table, each by itself whole. The kernel has the disk in use and need not know: names count
      // at the next start.
      const quietly = ['--quiet', '--no-reread', '--no-tell-kernel', '--part-uuid', device];
      for (const [partition, uuid] of [
        [root, uuids.root],
        [verity, uuids.verity],
      ] as const) {
        const words = [...quietly, String(partition.number), uuid];
        await runner.runChecked('sfdisk', words, { timeoutMs: SFDISK_TIMEOUT_MS });
      }
      const now = (await table(signal)).slots[slot].rootHash;
      if (now === rootHash) return;
      throw new BranchboxError('firmware/disk', {
        message: `slot ${slot} is named ${now} after it was named ${rootHash}`,
      });
    },
    async judgeStaged(rootHash, sizeBytes) {
      const staged = await openPart(options.stagedPath, constants.O_RDONLY | constants.O_NOFOLLOW);
      try {
        // What waited there before may have been longer.
        const read: ReadAt = (offset, length) =>
          staged.read(offset, Math.max(0, Math.min(length, sizeBytes - offset)));
        const named = await readRootHash(read);
        if (named !== rootHash) return `its boot entry starts ${named ?? 'no root'}, not ${rootHash}`;
        const variable = (name: string) => readFile(join(options.variables, name)).catch(() => undefined);
        const [secureBoot, database, revoked, shim] = await Promise.all(
          [SECURE_BOOT, SIGNATURE_DATABASE, REVOKED_SIGNATURES, SHIM_LIST].map(variable),
        );
        return await whyNotStarted(read, sizeBytes, { secureBoot, database, revoked, shim });
      } finally {
        await staged.close();
      }
    },
    removeEntries: async (files, signal) => esp.remove(await espNode(signal), files, signal),
    renameEntry: async (from, to, signal) => esp.rename(await espNode(signal), from, to, signal),
    keepOneName: async (half, signal) => esp.keepOneName(await espNode(signal), half, signal),
    async placeEntry(file, part, signal) {
      const staged = await openPart(options.stagedPath, constants.O_RDONLY | constants.O_NOFOLLOW);
      try {
        await esp.place(await espNode(signal), file, staged, part, signal);
      } finally {
        await staged.close();
      }
    },
    async bootOnce(entryId) {
      const path = join(options.variables, ONE_SHOT);
      const attributes = Buffer.alloc(4);
      attributes.writeUInt32LE(VARIABLE_ATTRIBUTES);
      const value = Buffer.concat([attributes, Buffer.from(`${entryId.toLowerCase()}\0`, 'utf16le')]);
      // What is there is immutable (efivarfs); of a restart that did not happen it says the same already.
      const there = await readFile(path).catch(() => undefined);
      if (there?.equals(value) === true) return;
      await writeFile(path, value).catch((cause: unknown) => {
        throw diskError(`the loader's variable ${path} cannot be set`, cause);
      });
    },
  };
}

async function openPart(path: string, flags: number): Promise<PartFile> {
  const handle = await open(path, flags, 0o600).catch((cause: unknown) => {
    throw diskError(`${path} cannot be opened`, cause);
  });
  const told =
    (what: string) =>
    (cause: unknown): never => {
      throw diskError(`${path} cannot be ${what}`, cause);
    };
  return {
    read: (offset, length) => readAt(handle, offset, length).catch(told('read')),
    async write(offset, bytes) {
      for (let done = 0; done < bytes.length; ) {
        const { bytesWritten } = await handle
          .write(bytes, done, bytes.length - done, offset + done)
          .catch(told('written'));
        done += bytesWritten;
      }
    },
    sync: () => handle.sync().catch(told('synced')),
    close: () => handle.close(),
  };
}

function diskError(message: string, cause: unknown): BranchboxError {
  const why = cause instanceof Error ? `: ${cause.message}` : '';
  return new BranchboxError('firmware/disk', { message: message + why, cause });
}
