/**
 * Owns the shape of items, plans and drivers: the one pipeline of the box.
 * Does not know any kind of item; the union of all kinds is composed in agent/items.ts.
 */
import type { BranchboxError } from '../model/errors.ts';
import type { ItemId } from '../model/ids.ts';

/** One thing the kernel, FRR or the container engine can hold. `spec` is data: equal specs mean nothing to do. */
export interface ItemBase<K extends string, S> {
  readonly kind: K;
  readonly id: ItemId;
  readonly spec: S;
  /** Must be there (observed, or created before) for this to be applied; deleted after this. */
  readonly needs: readonly ItemId[];
  /** external: somebody else's (a cable, a lease, a kernel feature); it only gates others and is never touched. */
  readonly owner: 'us' | 'external';
}
export type AnyItem = ItemBase<string, unknown>;

export type Step<I extends AnyItem> =
  | { readonly op: 'create'; readonly item: I }
  | { readonly op: 'modify'; readonly from: I; readonly to: I }
  | { readonly op: 'delete'; readonly item: I };

export interface Blocked {
  readonly id: ItemId;
  /** What it waits for; each is neither observed nor to be created (or is itself blocked). */
  readonly missing: readonly ItemId[];
}

export interface Plan<I extends AnyItem> {
  /** In the order to apply. A recreate is a delete and a create. */
  readonly steps: readonly Step<I>[];
  readonly blocked: readonly Blocked[];
}

/** What became of one step. */
export type Outcome =
  | { readonly id: ItemId; readonly ok: true }
  | { readonly id: ItemId; readonly ok: false; readonly error: BranchboxError };

/** Acts on one kind of item. Every call takes many, and makes as few kernel or daemon calls as it can. */
export interface Driver<I extends AnyItem> {
  /** What of this kind is on the box and ours (by its mark), or external and of interest. Never from memory. */
  observe(signal: AbortSignal): Promise<readonly I[]>;
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
