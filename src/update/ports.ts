/**
 * Owns the types through which an update touches a box: its disk, where parts come from, how far it has come.
 * Holds no implementation: disk.ts, controllerSource.ts and directorySource.ts are the real ones, the tests have a disk whose
 * power can be cut at any byte.
 */
import type { FirmwarePart } from '../model/firmware.ts';
import type { HalfRenamed } from './entries.ts';
import type { Observation, Progress } from './plan.ts';
import type { SlotName } from './slots.ts';

/** A partition, or a file, that is written from its beginning and read back. */
export interface PartFile {
  /** Fewer bytes at its end. */
  read(offset: number, length: number): Promise<Uint8Array>;
  write(offset: number, bytes: Uint8Array): Promise<void>;
  /** What was written is on the medium when it resolves. */
  sync(): Promise<void>;
  close(): Promise<void>;
}

/** Each change is durable when it resolves. */
export interface FirmwareDisk {
  observe(signal: AbortSignal): Promise<Observation>;
  openSlot(slot: SlotName, role: 'root' | 'verity', signal: AbortSignal): Promise<PartFile>;
  /** Where the boot entry waits until all else is in place. */
  openStaged(signal: AbortSignal): Promise<PartFile>;
  /** Nothing waits there any more; no error where nothing did. */
  dropStaged(): Promise<void>;
  /** So that what is read next comes from the medium. */
  dropCache(slot: SlotName, signal: AbortSignal): Promise<void>;
  nameSlot(slot: SlotName, rootHash: string, signal: AbortSignal): Promise<void>;
  removeEntries(files: readonly string[], signal: AbortSignal): Promise<void>;
  /** Why the first staged bytes would not start this root here, for a person; undefined: nothing speaks against it. */
  judgeStaged(rootHash: string, sizeBytes: number, signal: AbortSignal): Promise<string | undefined>;
  /** The staged bytes, whole under this name or not there; held against `part` as they are read back. */
  placeEntry(file: string, part: FirmwarePart, signal: AbortSignal): Promise<void>;
  renameEntry(from: string, to: string, signal: AbortSignal): Promise<void>;
  /** Of one entry under two names, that may stand for the same bytes on the medium: the name that is kept alone, whole. */
  keepOneName(half: HalfRenamed, signal: AbortSignal): Promise<void>;
  /** The loader's next start takes this entry (as the loader names it), once. */
  bootOnce(entryId: string): Promise<void>;
}

export interface PartBytes {
  /** So many of the first bytes are there already: they come, and cost, and are to be skipped. */
  readonly skipBytes: number;
  readonly chunks: AsyncIterable<Uint8Array>;
}

export interface PartSource {
  /** For a person: where parts come from. */
  readonly name: string;
  /** `pieceBytes`: no more than that is to be under way that nobody has taken yet, as far as the source can. */
  open(part: FirmwarePart, fromBytes: number, signal: AbortSignal, pieceBytes?: number): Promise<PartBytes>;
}

export interface ProgressStore {
  read(): Promise<Progress | undefined>;
  write(progress: Progress): Promise<void>;
}

/** Resolves when so many bytes more may have been taken. */
export type Pace = (bytes: number, signal: AbortSignal) => Promise<void>;
