/**
 * Owns the chance of one input: drawn from seed, parser and number alone, so that each input can be had again by itself.
 * Does not own what is done with it.
 */
import { createHash } from 'node:crypto';
import { seededRandom } from '../vm/power/plan.ts';

export interface Chance {
  /** A whole number from 0 to `count` - 1. */
  below(count: number): number;
  /** True once in `times`. */
  once(times: number): boolean;
  /** One of them; throws where there is none. */
  one<T>(items: readonly T[]): T;
  bytes(count: number): Uint8Array;
}

export function chanceOf(seed: number, parser: string, index: number): Chance {
  const digest = createHash('sha256').update(`${seed}/${parser}/${index}`).digest();
  const random = seededRandom(digest.readUInt32LE(0));
  const below = (count: number): number => Math.floor(random() * count);
  return {
    below,
    once: (times) => below(times) === 0,
    one(items) {
      const item = items[below(items.length)];
      if (item === undefined) throw new Error('there is nothing to choose from');
      return item;
    },
    bytes: (count) => Uint8Array.from({ length: count }, () => below(256)),
  };
}
