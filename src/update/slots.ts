/**
 * Owns what a disk's partition table says of firmware: the two slots, and the ESP. A slot's partitions are named by the
 * two halves of its root hash (Discoverable Partitions Specification), so that a table tells what is in each.
 * Pure; does not own reading or writing a table (disk.ts).
 */
import { z } from 'zod';
import { tryDecode } from '../model/decode.ts';
import { BranchboxError } from '../model/errors.ts';

export const SLOT_NAMES = ['a', 'b'] as const;
export type SlotName = (typeof SLOT_NAMES)[number];
export const otherSlot = (slot: SlotName): SlotName => (slot === 'a' ? 'b' : 'a');

export interface Partition {
  /** In the table. */
  readonly number: number;
  readonly node: string;
  readonly sizeBytes: number;
  /** Lower case. */
  readonly uuid: string;
}

export interface Slot {
  readonly root: Partition;
  readonly verity: Partition;
  /** By its partitions' names; content that nobody named yet, or half named, has one that is nobody's. */
  readonly rootHash: string;
}

export interface SlotTable {
  readonly device: string;
  readonly esp: Partition;
  readonly slots: Readonly<Record<SlotName, Slot>>;
}

/** `sfdisk --json`; what else it says is passed over. */
const Table = z.object({
  partitiontable: z.object({
    label: z.literal('gpt'),
    device: z.string(),
    sectorsize: z.int().min(512).max(4096).default(512),
    partitions: z
      .array(
        z.object({
          node: z.string(),
          size: z.int().min(1),
          // Halves of hashes: no version of UUID, so any bits.
          uuid: z.guid().transform((uuid) => uuid.toLowerCase()),
          name: z.string().default(''),
        }),
      )
      .max(128),
  }),
});

/** Throws firmware/unavailable where the table is not one of ours. */
export function parseTable(text: string): SlotTable {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw unavailable('the partition table cannot be read', cause);
  }
  const decoded = tryDecode(Table, value);
  if (!decoded.ok) throw unavailable(`the partition table is not understood: ${decoded.problems[0]?.path}`);
  const { device, sectorsize, partitions } = decoded.value.partitiontable;
  const find = (label: string): Partition => {
    const [found, ...more] = partitions.filter(({ name }) => name === label);
    if (found === undefined) throw unavailable(`${device} has no partition ${label}`);
    if (more.length > 0) throw unavailable(`${device} has more than one partition ${label}`);
    const number = Number(found.node.slice(device.length).replace(/^p/, ''));
    if (!Number.isInteger(number) || number < 1)
      throw unavailable(`the partition ${found.node} has no number`);
    return { number, node: found.node, sizeBytes: found.size * sectorsize, uuid: found.uuid };
  };
  const slot = (name: SlotName): Slot => {
    const [root, verity] = [find(`branchbox-root-${name}`), find(`branchbox-verity-${name}`)];
    return { root, verity, rootHash: plain(root.uuid) + plain(verity.uuid) };
  };
  return { device, esp: find('esp'), slots: { a: slot('a'), b: slot('b') } };
}

/** The slot that holds this root; undefined where none does. */
export const slotOf = (
  slots: Readonly<Record<SlotName, Pick<Slot, 'rootHash'>>>,
  rootHash: string,
): SlotName | undefined => SLOT_NAMES.find((name) => slots[name].rootHash === rootHash);

/** First 128 bits for the root, last 128 for its verity. */
export function partitionUuids(rootHash: string): { readonly root: string; readonly verity: string } {
  return { root: dashed(rootHash.slice(0, 32)), verity: dashed(rootHash.slice(32)) };
}

const plain = (uuid: string): string => uuid.replaceAll('-', '');
const dashed = (hex: string): string => hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
const unavailable = (message: string, cause?: unknown): BranchboxError =>
  new BranchboxError('firmware/unavailable', { message, ...(cause === undefined ? {} : { cause }) });
