/**
 * Owns when the power of a machine is cut, as a seed has it: the same seed, the same cuts. Pure.
 */
import type { Horizon } from '../upLog.ts';

/**
 * What the machine is doing when its power goes. `first-table`: its first boot writes the partition table; `update`: the
 * other slot is written; `slot-table`: the other slot is named in the partition table.
 */
export type CutKind =
  | 'first-table'
  | 'first-boot'
  | 'bootstrap'
  | 'config-change'
  | 'boot'
  | 'update'
  | 'slot-table'
  | 'trial-boot';

/**
 * In turn: what the one before left is gone on from. Early boots more than once: they are over soonest. A version that was tried stays on the disk until the next first
 * boot, so that follows.
 */
const TURN: readonly CutKind[] = [
  'first-table',
  'first-boot',
  'first-boot',
  'first-boot',
  'bootstrap',
  'bootstrap',
  'config-change',
  'boot',
  'boot',
  'boot',
  'boot',
  'boot',
  'update',
  'slot-table',
  'trial-boot',
];

export interface PlannedCut {
  readonly kind: CutKind;
  /** When in what the kind names: 0 its beginning, 1 its end. */
  readonly share: number;
  /** Of first-table and slot-table: which of the flushes that the table waits for is the one that does not happen. */
  readonly atFlush?: number;
}

/** sfdisk and repart flush both copies of the entries and of the header, and the protective MBR, one by one. */
const FLUSHES_OF_A_TABLE = 5;
/** The updater names root and verity one after the other. */
const FLUSHES: Readonly<Partial<Record<CutKind, number>>> = {
  'first-table': FLUSHES_OF_A_TABLE,
  'slot-table': 2 * FLUSHES_OF_A_TABLE,
};

export function planCuts(seed: number, count: number): readonly PlannedCut[] {
  const random = seededRandom(seed);
  return Array.from({ length: count }, (_none, index) =>
    planCut(TURN[index % TURN.length] ?? 'boot', random()),
  );
}

export function planCut(kind: CutKind, share: number): PlannedCut {
  const flushes = FLUSHES[kind];
  return flushes === undefined
    ? { kind, share }
    : { kind, share: 0, atFlush: 1 + Math.floor(share * flushes) };
}

/**
 * After power on; config-change: after the controller was told; update: after the first of it was on disk. By how long
 * things take on this host at present: its other work is not in the seed.
 */
export function momentOf({ kind, share }: PlannedCut, { multiUserMs, inServiceMs }: Horizon): number {
  const between = (fromMs: number, toMs: number): number => Math.round(fromMs + share * (toMs - fromMs));
  switch (kind) {
    case 'first-boot':
      return between(0, multiUserMs);
    case 'bootstrap':
      return between(multiUserMs / 2, inServiceMs);
    case 'boot':
    case 'trial-boot':
      return between(0, inServiceMs);
    // A change is tried and committed, and a slot is written, in a fraction of a boot, however fast the host is.
    case 'config-change':
      return between(0, inServiceMs / 6);
    case 'update':
      return between(0, inServiceMs / 2);
    case 'first-table':
    case 'slot-table':
      return 0;
  }
}

/** mulberry32: a small generator with good spread; not for secrets. */
export function seededRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
