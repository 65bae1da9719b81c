/**
 * Owns the shape of what acts on items. Does not act itself: src/net and src/containers hold the drivers.
 */
import type { AnyItem, Outcome } from './item.ts';

/** Acts on one kind of item. Every call takes many, and makes as few kernel or daemon calls as it can. */
export interface Driver<I extends AnyItem> {
  /**
   * What of this kind is on the box and ours (by its mark), or external and of interest. Never from memory.
   * With `only`, just to verify what was done to these: what of them is on the box, and no matter what else is told.
   * A driver may leave it alone and tell everything.
   */
  observe(signal: AbortSignal, only?: readonly I[]): Promise<readonly I[]>;
  /**
   * Set where `observe` tells everything whatever was asked, and a change may show in items that it did not name,
   * without an event of the kernel: all that is told then counts when a change is verified.
   */
  readonly observesWhole?: true;
  /** One outcome for each item; one item's failure does not keep others from being tried. */
  create(items: readonly I[], signal: AbortSignal): Promise<readonly Outcome[]>;
  modify(
    changes: readonly { readonly from: I; readonly to: I }[],
    signal: AbortSignal,
  ): Promise<readonly Outcome[]>;
  delete(items: readonly I[], signal: AbortSignal): Promise<readonly Outcome[]>;
  /** Whether this change cannot be made in place. Pure. */
  needsRecreate(from: I, to: I): boolean;
}

/** The compiler demands a driver for every kind of a union of items. */
export type Drivers<I extends AnyItem> = {
  readonly [K in I['kind']]: Driver<Extract<I, { readonly kind: K }>>;
};
