/**
 * Owns the shape of items and plans. Drivers, which act on them, stand in driver.ts.
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
  /** because: what it stands on is recreated, so it is too. */
  | { readonly op: 'create'; readonly item: I; readonly because?: ItemId }
  | { readonly op: 'modify'; readonly from: I; readonly to: I }
  /** because: what it stands on is deleted or recreated. */
  | { readonly op: 'delete'; readonly item: I; readonly because?: ItemId };

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
