/**
 * Owns orders over needs: how deep an item stands on others, and which of the removed goes first.
 * Linear in items and needs. Pure.
 */
import { BranchboxError } from '../model/errors.ts';
import type { ItemId } from '../model/ids.ts';
import type { AnyItem } from './item.ts';

/**
 * Depth of each wanted item: one more than the deepest of its needs among the wanted. Iterates from shallow to deep.
 * Throws reconcile/cycle where items need each other in a circle.
 */
export function depthsOf<I extends AnyItem>(wanted: ReadonlyMap<ItemId, I>): ReadonlyMap<ItemId, number> {
  const open = new Map<ItemId, number>();
  const dependents = new Map<ItemId, ItemId[]>();
  const depths = new Map<ItemId, number>();
  let wave: ItemId[] = [];
  for (const [id, item] of wanted) {
    let count = 0;
    for (const need of item.needs.length > 1 ? new Set(item.needs) : item.needs) {
      if (!wanted.has(need)) continue;
      count += 1;
      const list = dependents.get(need);
      if (list === undefined) dependents.set(need, [id]);
      else list.push(id);
    }
    if (count === 0) wave.push(id);
    else open.set(id, count);
  }
  for (let depth = 0; wave.length > 0; depth += 1) {
    const next: ItemId[] = [];
    for (const id of wave) {
      depths.set(id, depth);
      for (const dependent of dependents.get(id) ?? []) {
        const left = (open.get(dependent) ?? 0) - 1;
        open.set(dependent, left);
        if (left === 0) {
          open.delete(dependent);
          next.push(dependent);
        }
      }
    }
    wave = next;
  }
  if (open.size > 0) throw cycleError(wanted, open);
  return depths;
}

/** Walks needs that are never met until one comes again. */
function cycleError<I extends AnyItem>(
  wanted: ReadonlyMap<ItemId, I>,
  open: ReadonlyMap<ItemId, number>,
): BranchboxError {
  const trail: ItemId[] = [];
  let at = [...open.keys()].toSorted()[0];
  while (at !== undefined && !trail.includes(at)) {
    trail.push(at);
    at = wanted
      .get(at)
      ?.needs.filter((need) => open.has(need))
      .toSorted()[0];
  }
  const circle = at === undefined ? trail : [...trail.slice(trail.indexOf(at)), at];
  return new BranchboxError('reconcile/cycle', {
    message: `items need each other in a circle: ${circle.join(' needs ')}`,
  });
}

/**
 * The removed, each before what it stands on, by its needs on the box and as wanted together.
 * A circle on the box is no error here, since it must be possible to remove it: its members go in the order of ids.
 */
export function dependentsFirst<I extends AnyItem>(
  removed: ReadonlyMap<ItemId, unknown>,
  ours: ReadonlyMap<ItemId, I>,
  wanted: ReadonlyMap<ItemId, I>,
): readonly I[] {
  const needsOf = (id: ItemId): readonly ItemId[] => {
    const both = new Set([...(ours.get(id)?.needs ?? []), ...(wanted.get(id)?.needs ?? [])]);
    return [...both].filter((need) => need !== id && removed.has(need));
  };
  /** How many of the removed still stand on it. */
  const standing = new Map<ItemId, number>([...removed.keys()].map((id) => [id, 0]));
  for (const id of removed.keys()) {
    for (const need of needsOf(id)) standing.set(need, (standing.get(need) ?? 0) + 1);
  }
  const ordered: I[] = [];
  const rank = (id: ItemId): string => `${ours.get(id)?.kind ?? ''}\n${id}`;
  const byRank = (a: ItemId, b: ItemId): number => (rank(a) < rank(b) ? -1 : 1);
  let wave = [...standing].filter(([, count]) => count === 0).map(([id]) => id);
  const take = (id: ItemId, next: ItemId[]): void => {
    standing.delete(id);
    const item = ours.get(id);
    if (item !== undefined) ordered.push(item);
    for (const need of needsOf(id)) {
      const left = standing.get(need);
      if (left === undefined) continue;
      standing.set(need, left - 1);
      if (left === 1) next.push(need);
    }
  };
  while (standing.size > 0) {
    const next: ItemId[] = [];
    for (const id of wave.toSorted(byRank)) take(id, next);
    if (next.length === 0 && standing.size > 0) {
      for (const id of [...standing.keys()].toSorted(byRank)) take(id, []);
    }
    wave = next;
  }
  return ordered;
}
