/**
 * Owns the decision what to do so that the box becomes what is wanted: first deletes, dependents before what they
 * depend on; then modifies and creates in the order of their needs. Pure, and independent of the order of its inputs.
 * Does not act (apply.ts), nor know any kind.
 */
import { BranchboxError } from '../model/errors.ts';
import type { ItemId } from '../model/ids.ts';
import { sameSpec } from './equal.ts';
import type { AnyItem, Blocked, Plan, Step } from './item.ts';
import { depthsOf, dependentsFirst } from './order.ts';

/**
 * `recreate` tells whether a change cannot be made in place. What stands on a recreated or deleted item goes with it:
 * the kernel would drop it, and a plan that says so is honest about what a change costs.
 *
 * An item that is on the box but whose needs are not there (a lease went) is blocked and left as it is: nothing is
 * torn down because something could not be seen.
 *
 * `gates` are things that are there and that somebody else brings about: other lanes of the same box.
 */
export function planItems<I extends AnyItem>(
  desired: readonly I[],
  observed: readonly I[],
  recreate: (from: I, to: I) => boolean,
  gates: ReadonlySet<ItemId> = new Set(),
): Plan<I> {
  const wanted = indexWanted(desired);
  const { ours, theirs } = indexObserved(observed);
  const depths = depthsOf(wanted);
  const missing = missingNeeds(wanted, depths, (need) => theirs.has(need) || gates.has(need));

  const removed = new Map<ItemId, ItemId | undefined>();
  const changed: { readonly from: I; readonly to: I }[] = [];
  const created = new Set<ItemId>();
  for (const [id, from] of ours) {
    const to = wanted.get(id);
    if (to === undefined) removed.set(id, undefined);
    else if (missing.has(id) || sameSpec(from.spec, to.spec)) continue;
    else if (recreate(from, to)) removed.set(id, undefined);
    else changed.push({ from, to });
  }
  if (removed.size > 0) addFallen(removed, ours, wanted);
  for (const id of wanted.keys()) {
    if (!missing.has(id) && (!ours.has(id) || removed.has(id))) created.add(id);
  }

  const steps: Step<I>[] = [];
  for (const item of dependentsFirst(removed, ours, wanted)) {
    steps.push({ op: 'delete', item, ...reason(removed.get(item.id)) });
  }
  const rest: (Step<I> & { readonly op: 'create' | 'modify' })[] = [];
  for (const { from, to } of changed) {
    if (!removed.has(to.id)) rest.push({ op: 'modify', from, to });
  }
  for (const id of created) {
    const item = wanted.get(id);
    if (item !== undefined) rest.push({ op: 'create', item, ...reason(removed.get(id)) });
  }
  // Within one depth nothing depends on another; by kind, so that a driver gets many at once.
  const depth = (step: Step<I>): number => depths.get(itemOf(step).id) ?? 0;
  rest.sort(
    (a, b) =>
      depth(a) - depth(b) ||
      compare(b.op, a.op) ||
      compare(itemOf(a).kind, itemOf(b).kind) ||
      compare(itemOf(a).id, itemOf(b).id),
  );
  steps.push(...rest);
  const blocked: Blocked[] = [...missing].map(([id, needs]) => ({ id, missing: needs.toSorted(compare) }));
  return { steps, blocked: blocked.toSorted((a, b) => compare(a.id, b.id)) };
}

/** The item a step leaves behind, or removes. */
export function itemOf<I extends AnyItem>(step: Step<I>): I {
  return step.op === 'modify' ? step.to : step.item;
}

/** By code units: the same everywhere, unlike a locale's order. */
export function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

const reason = (because: ItemId | undefined): { readonly because?: ItemId } =>
  because === undefined ? {} : { because };

/** Ours by id. Two domains may want the same item (loopback, a sysctl): then they must mean the same. */
function indexWanted<I extends AnyItem>(desired: readonly I[]): Map<ItemId, I> {
  const wanted = new Map<ItemId, I>();
  for (const item of desired) {
    if (item.owner !== 'us') continue;
    const twin = wanted.get(item.id);
    if (twin === undefined) wanted.set(item.id, item);
    else if (!sameSpec(twin.spec, item.spec) || twin.kind !== item.kind) {
      throw new BranchboxError('reconcile/conflict', { message: `${item.id} is wanted in two ways at once` });
    } else wanted.set(item.id, { ...twin, needs: [...new Set([...twin.needs, ...item.needs])] });
  }
  return wanted;
}

function indexObserved<I extends AnyItem>(
  observed: readonly I[],
): { readonly ours: ReadonlyMap<ItemId, I>; readonly theirs: ReadonlySet<ItemId> } {
  const ours = new Map<ItemId, I>();
  const theirs = new Set<ItemId>();
  for (const item of observed) {
    if (item.owner === 'us') ours.set(item.id, item);
    else theirs.add(item.id);
  }
  return { ours, theirs };
}

/** What is blocked, and on what; in order of depth, so that a blocked need blocks in turn. */
function missingNeeds<I extends AnyItem>(
  wanted: ReadonlyMap<ItemId, I>,
  depths: ReadonlyMap<ItemId, number>,
  isThere: (need: ItemId) => boolean,
): ReadonlyMap<ItemId, readonly ItemId[]> {
  const missing = new Map<ItemId, readonly ItemId[]>();
  for (const id of depths.keys()) {
    const needs = wanted.get(id)?.needs ?? [];
    const absent = needs.filter((need) => (wanted.has(need) ? missing.has(need) : !isThere(need)));
    if (absent.length > 0) missing.set(id, [...new Set(absent)]);
  }
  return missing;
}

/** Adds to `removed` what stands on it: each with the nearest item it falls with. */
function addFallen<I extends AnyItem>(
  removed: Map<ItemId, ItemId | undefined>,
  ours: ReadonlyMap<ItemId, I>,
  wanted: ReadonlyMap<ItemId, I>,
): void {
  const dependents = new Map<ItemId, ItemId[]>();
  for (const id of ours.keys()) {
    // By what it is to need: one that is modified to stand elsewhere does not fall.
    for (const need of wanted.get(id)?.needs ?? []) {
      const list = dependents.get(need);
      if (list === undefined) dependents.set(need, [id]);
      else list.push(id);
    }
  }
  let wave = [...removed.keys()].toSorted(compare);
  while (wave.length > 0) {
    const next: ItemId[] = [];
    for (const cause of wave) {
      for (const id of (dependents.get(cause) ?? []).toSorted(compare)) {
        if (removed.has(id)) continue;
        removed.set(id, cause);
        next.push(id);
      }
    }
    wave = next.toSorted(compare);
  }
}
