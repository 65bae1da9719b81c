/**
 * Owns where the partitions of a disk lie, read from its partition table (UEFI 5.3) by label. Pure. Does not judge the
 * table: one that a cut left half written is the box's to mend.
 */
const SECTOR_BYTES = 512;
const ENTRY_BYTES = 128;
const NAME = { from: 56, to: 128 } as const;
/** Protective MBR, header, entries. */
export const TABLE_BYTES = 34 * SECTOR_BYTES;

export interface ByteRange {
  readonly fromByte: number;
  /** The first that is not of it. */
  readonly toByte: number;
}

/** `table`: the first TABLE_BYTES of the disk. */
export function partitionsIn(table: Buffer): ReadonlyMap<string, ByteRange> {
  const found = new Map<string, ByteRange>();
  for (let at = 2 * SECTOR_BYTES; at + ENTRY_BYTES <= table.length; at += ENTRY_BYTES) {
    const entry = table.subarray(at, at + ENTRY_BYTES);
    const [first, last] = [entry.readBigUInt64LE(32), entry.readBigUInt64LE(40)].map(Number);
    const label = entry.toString('utf16le', NAME.from, NAME.to).replace(/\0.*$/, '');
    if (first === undefined || last === undefined || first === 0 || label === '') continue;
    found.set(label, { fromByte: first * SECTOR_BYTES, toByte: (last + 1) * SECTOR_BYTES });
  }
  return found;
}
