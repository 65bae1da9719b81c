/**
 * Owns a disk with two firmware slots and an ESP whose power can be cut at any byte: what was not synced is kept, lost
 * or torn, as a seed has it. The real disk does the same in the same order (test/lab/firmwareDisk.test.ts).
 */
import { BranchboxError } from '../../src/model/errors.ts';
import type { PartRole } from '../../src/model/firmware.ts';
import { type BootEntry, parseEntryName } from '../../src/update/entries.ts';
import type { Observation, Progress } from '../../src/update/plan.ts';
import type { FirmwareDisk, PartFile, ProgressStore } from '../../src/update/ports.ts';
import { SLOT_NAMES, type SlotName } from '../../src/update/slots.ts';
import { sha256, type Version } from './firmwareVersion.ts';

export class PowerCut extends Error {}

interface Medium {
  durable: Buffer;
  view: Buffer;
  pending: { offset: number; bytes: Uint8Array }[];
}
const newMedium = (bytes: Buffer): Medium => ({
  durable: Buffer.from(bytes),
  view: Buffer.from(bytes),
  pending: [],
});

export interface FakeFirmwareDisk {
  readonly disk: FirmwareDisk;
  readonly progress: ProgressStore;
  /** So many bytes and single steps more, then PowerCut at every use until `crash`. */
  power(left: number): void;
  /** Power comes back: what was not durable is decided by `keep`, called with the number of ways there are. */
  crash(keep: (ways: number) => number): void;
  /** Sentences on what a boot loader would find wrong now; none: it boots. */
  faults(): readonly string[];
  /** One byte of what is to be the next version's goes bad where it stands. */
  rot(role: PartRole, offset: number): void;
  entries(): readonly string[];
  slot(name: SlotName): { readonly rootHash: string; readonly root: Buffer; readonly verity: Buffer };
  /** A boot entry waits, or what is left of one. */
  isStaged(): boolean;
  readonly bootedOnce: string[];
}

/** `running` stands committed in slot a; whatever stood in slot b is half of something. */
export function createFakeFirmwareDisk(running: Version, known: readonly Version[]): FakeFirmwareDisk {
  let left = Number.POSITIVE_INFINITY;
  const spend = (cost: number): number => {
    const allowed = Math.min(cost, left);
    left -= allowed;
    return allowed;
  };
  const step = (): void => {
    if (spend(1) < 1) throw new PowerCut();
  };
  const media = {
    a: {
      root: newMedium(padded(running.bytes.root, 5000)),
      verity: newMedium(padded(running.bytes.verity, 500)),
    },
    b: { root: newMedium(Buffer.alloc(5000, 7)), verity: newMedium(Buffer.alloc(500, 7)) },
  };
  const staged = newMedium(Buffer.alloc(2000));
  let isStaged = false;
  const uuids: Record<SlotName, { root: string; verity: string }> = {
    a: {
      root: running.target.manifest.rootHash.slice(0, 32),
      verity: running.target.manifest.rootHash.slice(32),
    },
    b: { root: '0'.repeat(32), verity: '1'.repeat(32) },
  };
  const esp = new Map<string, Buffer>([
    [`branchbox_${running.target.manifest.version}.efi`, running.bytes.uki],
    ['branchbox_0.0.1+0-2.efi', Buffer.from('cut')],
  ]);
  /** Changes of the directory that a sync has not made durable: each is undone, in one of two ways, or not. */
  let undo: ((way: number) => void)[] = [];
  /** Two names of one chain of clusters, as FAT has them after half a rename: freeing one takes the other's content. */
  const twins = new Map<string, string>();
  let progress: Progress | undefined;
  const bootedOnce: string[] = [];

  const open = (medium: Medium): PartFile => ({
    async read(offset, length) {
      return medium.view.subarray(offset, offset + length);
    },
    async write(offset, bytes) {
      const allowed = spend(bytes.length);
      const part = bytes.subarray(0, allowed);
      medium.view.set(part, offset);
      medium.pending.push({ offset, bytes: Uint8Array.from(part) });
      if (allowed < bytes.length) throw new PowerCut();
    },
    async sync() {
      step();
      medium.durable = Buffer.from(medium.view);
      medium.pending = [];
    },
    async close() {},
  });
  const entryOf = (file: string, bytes: Buffer): BootEntry | undefined => {
    const name = parseEntryName(file);
    const rootHash = bytes.subarray(-64).toString('latin1');
    return name === undefined
      ? undefined
      : {
          ...name,
          sizeBytes: bytes.length,
          rootHash: /^[0-9a-f]{64}$/.test(rootHash) ? rootHash : undefined,
        };
  };
  const listEntries = (): BootEntry[] => [...esp].flatMap(([file, bytes]) => entryOf(file, bytes) ?? []);
  const syncDirectory = (): void => {
    step();
    undo = [];
  };
  const rename = (from: string, to: string): void => {
    step();
    const bytes = esp.get(from);
    if (bytes === undefined) throw new Error(`no ${from}`);
    esp.delete(from);
    esp.set(to, bytes);
    undo.push((way) => {
      esp.set(from, bytes);
      if (way === 0) esp.delete(to);
      else twins.set(from, to).set(to, from);
    });
    syncDirectory();
  };

  const disk: FirmwareDisk = {
    async observe(): Promise<Observation> {
      step();
      const slot = (name: SlotName) => ({
        rootHash: uuids[name].root + uuids[name].verity,
        rootBytes: media[name].root.view.length,
        verityBytes: media[name].verity.view.length,
      });
      return {
        running: { version: running.target.manifest.version, rootHash: running.target.manifest.rootHash },
        slots: { a: slot('a'), b: slot('b') },
        entries: listEntries(),
        espFreeBytes: 1000,
        leftovers: [...esp].flatMap(([file, { length }]) =>
          file.startsWith('.') ? [{ file, sizeBytes: length }] : [],
        ),
      };
    },
    openSlot: async (slot, role) => open(media[slot][role]),
    async openStaged() {
      isStaged = true;
      return open(staged);
    },
    async dropStaged() {
      step();
      isStaged = false;
      Object.assign(staged, newMedium(Buffer.alloc(2000)));
    },
    async dropCache(slot) {
      step();
      for (const medium of [media[slot].root, media[slot].verity]) medium.view = Buffer.from(medium.durable);
    },
    async nameSlot(slot, rootHash) {
      step();
      uuids[slot].root = rootHash.slice(0, 32);
      step();
      uuids[slot].verity = rootHash.slice(32);
    },
    async removeEntries(files) {
      for (const file of files) {
        step();
        const bytes = esp.get(file);
        esp.delete(file);
        const twin = twins.get(file);
        const shared = twin === undefined ? undefined : esp.get(twin);
        // Its end still reads as it was, until somebody writes there.
        if (twin !== undefined && shared !== undefined)
          esp.set(twin, Buffer.concat([Buffer.from('freed'), shared.subarray(5)]));
        if (bytes !== undefined) undo.push(() => esp.set(file, bytes));
      }
      syncDirectory();
    },
    async judgeStaged(rootHash) {
      const text = staged.view.toString('latin1');
      return text.includes(rootHash) ? undefined : 'its boot entry starts another root';
    },
    async placeEntry(file, part) {
      const temporary = `.${file}`;
      const bytes = Buffer.from(staged.view.subarray(0, part.sizeBytes));
      const allowed = spend(bytes.length);
      esp.set(temporary, bytes.subarray(0, allowed));
      if (allowed < bytes.length) throw new PowerCut();
      // Not synced yet: a cut leaves anything under the temporary name.
      undo.push(() => esp.set(temporary, Buffer.from('torn')));
      syncDirectory();
      if (sha256(bytes) !== part.sha256)
        throw new BranchboxError('firmware/disk', { message: 'staged otherwise' });
      rename(temporary, file);
    },
    renameEntry: async (from, to) => rename(from, to),
    async keepOneName({ kept, other }) {
      step();
      // As by fsck: one of the two keeps what both had.
      for (const file of [kept, other]) twins.delete(file);
      const bytes = esp.get(other);
      const isWhole = entryOf(kept, esp.get(kept) ?? Buffer.alloc(0))?.rootHash !== undefined;
      if (!isWhole && bytes !== undefined) rename(other, kept);
      else {
        esp.delete(other);
        if (bytes !== undefined) undo.push(() => esp.set(other, bytes));
        syncDirectory();
      }
    },
    bootOnce: async (entryId) => void bootedOnce.push(entryId),
  };

  return {
    disk,
    isStaged: () => isStaged,
    bootedOnce,
    progress: {
      read: async () => progress,
      async write(next) {
        step();
        progress = next;
      },
    },
    power(next) {
      left = next;
    },
    crash(keep) {
      for (const medium of [
        ...SLOT_NAMES.flatMap((name) => [media[name].root, media[name].verity]),
        staged,
      ]) {
        for (const { offset, bytes } of medium.pending) {
          const way = keep(3);
          if (way === 0) continue;
          medium.durable.set(way === 1 ? bytes : bytes.subarray(0, keep(bytes.length + 1)), offset);
        }
        medium.pending = [];
        medium.view = Buffer.from(medium.durable);
      }
      // Newest first, as far back as it pleases.
      while (undo.length > 0 && keep(2) === 1) undo.pop()?.(keep(2));
      undo = [];
      left = Number.POSITIVE_INFINITY;
    },
    rot(role, offset) {
      const medium = role === 'uki' ? staged : media.b[role];
      for (const bytes of [medium.durable, medium.view])
        bytes.writeUInt8(bytes.readUInt8(offset % bytes.length) ^ 1, offset % bytes.length);
    },
    faults() {
      const found: string[] = [];
      const entries = listEntries();
      const holds = (entry: BootEntry): boolean => {
        const version = known.find(({ target }) => target.manifest.rootHash === entry.rootHash);
        const slot = SLOT_NAMES.find((name) => uuids[name].root + uuids[name].verity === entry.rootHash);
        if (version === undefined || slot === undefined) return false;
        const { root, verity } = media[slot];
        return (
          esp.get(entry.file)?.equals(version.bytes.uki) === true &&
          root.durable.subarray(0, version.bytes.root.length).equals(version.bytes.root) &&
          verity.durable.subarray(0, version.bytes.verity.length).equals(version.bytes.verity)
        );
      };
      if (!entries.some((entry) => entry.triesLeft === undefined && holds(entry)))
        found.push('no committed entry boots');
      for (const entry of entries) {
        if (entry.triesLeft !== 0 && !holds(entry))
          found.push(`${entry.file} would be started and is not whole`);
      }
      return found;
    },
    entries: () => [...esp.keys()].toSorted(),
    slot: (name) => ({
      rootHash: uuids[name].root + uuids[name].verity,
      root: media[name].root.durable,
      verity: media[name].verity.durable,
    }),
  };
}

function padded(bytes: Buffer, length: number): Buffer {
  return Buffer.concat([bytes, Buffer.alloc(length - bytes.length, 9)]);
}
