/**
 * Owns bending bytes without knowing what they are. Pure but for the chance. Does not own any structure.
 */
import type { Chance } from './chance.ts';

/** `others`: further samples, of which pieces are put in. */
export type Mutate = (sample: Uint8Array, chance: Chance, others: readonly Uint8Array[]) => Uint8Array;

const EDGES: readonly number[] = [0x00, 0x01, 0x7f, 0x80, 0xff, 0x0a, 0x0d, 0x20, 0x30];

export const mutateBytes: Mutate = (sample, chance, others) => {
  let bytes: Buffer = Buffer.from(sample);
  for (let left = 1 + chance.below(4); left > 0; left -= 1) bytes = bendOnce(bytes, chance, others);
  return Uint8Array.from(bytes);
};

function bendOnce(bytes: Buffer, chance: Chance, others: readonly Uint8Array[]): Buffer {
  const at = chance.below(bytes.length + 1);
  const upTo = Math.min(bytes.length, at + 1 + chance.below(16));
  switch (chance.below(8)) {
    case 0: {
      const copy = Buffer.from(bytes);
      if (at < copy.length) copy[at] = (copy[at] ?? 0) ^ (1 << chance.below(8));
      return copy;
    }
    case 1: {
      const copy = Buffer.from(bytes);
      if (at < copy.length) copy[at] = chance.one(EDGES);
      return copy;
    }
    case 2:
      return bytes.subarray(0, at);
    case 3:
      return Buffer.concat([bytes.subarray(0, at), bytes.subarray(upTo)]);
    case 4:
      return Buffer.concat([bytes.subarray(0, at), chance.bytes(1 + chance.below(8)), bytes.subarray(at)]);
    case 5:
      return Buffer.concat([bytes.subarray(0, upTo), bytes.subarray(at)]);
    case 6: {
      const other = chance.one([bytes, ...others]);
      const from = chance.below(other.length + 1);
      const piece = other.subarray(from, from + chance.below(64));
      return Buffer.concat([bytes.subarray(0, at), piece, bytes.subarray(upTo)]);
    }
    default: {
      const run = Buffer.alloc(1 << chance.below(13), chance.one(EDGES));
      return Buffer.concat([bytes.subarray(0, at), run, bytes.subarray(at)]);
    }
  }
}
