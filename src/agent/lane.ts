/**
 * Owns one lane: a reconciler over some kinds of a box's items, with all the others as given. Its type does not say
 * which kinds, so that lanes can be kept in one list.
 */
import type { BranchboxError } from '../model/errors.ts';
import type { ItemId } from '../model/ids.ts';
import type { Driver, Drivers } from '../reconcile/driver.ts';
import type { AnyItem } from '../reconcile/item.ts';
import { createReconciler, type Observer, type Proposal, type Report } from '../reconcile/reconciler.ts';
import type { System } from '../system/ports.ts';

export interface Lane {
  readonly name: string;
  /** Of all items only those of this lane are looked at. */
  plan(items: readonly AnyItem[], signal: AbortSignal): Promise<Proposal<AnyItem>>;
  converge(
    items: readonly AnyItem[],
    held: ReadonlyMap<ItemId, BranchboxError>,
    signal: AbortSignal,
  ): Promise<Report<AnyItem>>;
  owns(kind: string): boolean;
}

export function createLane<I extends AnyItem>(
  name: string,
  drivers: Drivers<I>,
  otherDrivers: Readonly<Record<string, Pick<Driver<AnyItem>, 'observe'>>>,
  system: Pick<System, 'clock' | 'log'>,
): Lane {
  const others = new Map<string, Observer>(
    Object.entries(otherDrivers).map(([kind, driver]) => [kind, (signal) => driver.observe(signal)]),
  );
  const { clock, log } = system;
  const reconciler = createReconciler<I>({ drivers, others, clock, log });
  const owns = (kind: string): boolean => Object.hasOwn(drivers, kind);
  const isOwn = (item: AnyItem): item is I => owns(item.kind);
  return {
    name,
    owns,
    plan: (items, signal) => reconciler.plan(items.filter(isOwn), signal),
    converge: (items, held, signal) => reconciler.converge(items.filter(isOwn), signal, { held }),
  };
}
