/**
 * Owns when the power of a machine is cut, as a seed has it: the same seed, the same cuts. Pure.
 */
import type { Horizon } from '../upLog.ts';

/**
 * What the machine is doing when its power goes. `first-table`: its first boot writes the partition table; `update`: the
 * other slot is written; `slot-table`: the other slot is named in the partition table; `entry`: the boot entry of the
 * version is placed.
 */
export type CutKind =
  | 'first-table'
  | 'first-boot'
  | 'bootstrap'
  | 'config-change'
  | 'boot'
  | 'update'
  | 'slot-table'
  | 'entry'
  | 'trial-boot';

/** In the words of the goal: which part of a box's life a cut fell into. */
export const PHASES: Readonly<Record<CutKind, 'boot' | 'bootstrap' | 'config change' | 'update'>> = {
  'first-table': 'boot',
  'first-boot': 'boot',
  bootstrap: 'bootstrap',
  'config-change': 'config change',
  boot: 'boot',
  update: 'update',
  'slot-table': 'update',
  entry: 'update',
  'trial-boot': 'update',
};

/**
 * Rows of three: within one each goes on from what the cut before left. A version that was tried stays on the disk
 * until the next first boot, so one comes before the next update.
 */
const FROM_FACTORY = ['first-table', 'first-boot', 'bootstrap'] as const;
const CHANGE = ['config-change', 'boot', 'boot'] as const;
const BOOTS = ['boot', 'boot', 'boot'] as const;
const TURN: readonly CutKind[] = [
  ...FROM_FACTORY,
  ...CHANGE,
  ...(['update', 'entry', 'trial-boot'] as const),
  ...FROM_FACTORY,
  ...CHANGE,
  ...(['update', 'slot-table', 'trial-boot'] as const),
  ...BOOTS,
  ...FROM_FACTORY,
  ...CHANGE,
  ...BOOTS,
];
export const CUTS_OF_A_TURN = TURN.length;

export interface PlannedCut {
  readonly kind: CutKind;
  /** When in what the kind names: 0 its beginning, 1 its end. */
  readonly share: number;
  /** Of what is cut at a write: which of the flushes that it waits for is the one that does not happen. */
  readonly atFlush?: number;
}

/** sfdisk and repart flush both copies of the entries and of the header, and the protective MBR, one by one. */
const FLUSHES_OF_A_TABLE = 5;
/** Each 8 MiB of the slot are synced: of the first 96. */
const FLUSHES_OF_A_SLOT = 12;
/** The entry's file, its directory, the unmounting, the new name. */
const FLUSHES_OF_AN_ENTRY = 4;
const FLUSHES: Readonly<Partial<Record<CutKind, number>>> = {
  'first-table': FLUSHES_OF_A_TABLE,
  update: FLUSHES_OF_A_SLOT,
  // The updater names root and verity one after the other.
  'slot-table': 2 * FLUSHES_OF_A_TABLE,
  entry: FLUSHES_OF_AN_ENTRY,
};

export function planCuts(seed: number, count: number): readonly PlannedCut[] {
  const random = seededRandom(seed);
  return Array.from({ length: count }, (_none, index) =>
    planCut(TURN[index % TURN.length] ?? 'boot', random()),
  );
}

/** Where a run may begin or go on: a disk that the factory made owes nothing to a cut before. Counted from 1. */
export const startsOf = (cuts: readonly PlannedCut[]): readonly number[] =>
  cuts.flatMap(({ kind }, index) => (kind === 'first-table' ? [index + 1] : []));

export function planCut(kind: CutKind, share: number): PlannedCut {
  const flushes = FLUSHES[kind];
  return flushes === undefined
    ? { kind, share }
    : { kind, share: 0, atFlush: 1 + Math.floor(share * flushes) };
}

/**
 * After power on; config-change: after the controller was told; at once where a flush is the moment. By how long things
 * take on this host at present: its other work is not in the seed.
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
    // A change is tried and committed in a fraction of a boot, however fast the host is.
    case 'config-change':
      return between(0, inServiceMs / 6);
    case 'first-table':
    case 'update':
    case 'slot-table':
    case 'entry':
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
