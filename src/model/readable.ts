/**
 * Owns judging a value that is wrong in form in places: what stands beside them is judged as ever, and a rule that reads
 * a wrong place has nothing to say, since nobody knows what was meant there. So nothing is told that only follows from
 * a problem of form. Does not own any rule (desiredCheck, fleet…) nor finding the wrong places (zod).
 */
import type { z } from 'zod';

/** Ends a rule that reads what is wrong in form; never leaves ifReadable. */
class Unreadable extends Error {}

/** What `read` says; undefined where it reads a place that is wrong in form. */
export function ifReadable<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch (thrown) {
    if (thrown instanceof Unreadable) return undefined;
    throw thrown;
  }
}

/** A rule for each element, each by itself. */
export function eachReadable<E>(
  elements: () => readonly E[],
  rule: (element: E, index: number) => void,
): void {
  ifReadable(() => elements().forEach((element, index) => ifReadable(() => rule(element, index))));
}

/** What can be read of what `map` makes of each element; undefined is left out too. */
export function mapReadable<E, T>(
  elements: () => readonly E[],
  map: (element: E, index: number) => T | undefined,
): readonly T[] {
  const made: T[] = [];
  eachReadable(elements, (element, index) => {
    const one = map(element, index);
    if (one !== undefined) made.push(one);
  });
  return made;
}

export type Finder<E> = (name: string) => E | undefined;

/**
 * Finds elements by a name. Where none has it but one's name cannot be read, that one may be meant: the rule that asks
 * ends there.
 */
export function finderOf<E>(elements: () => readonly E[], nameOf: (element: E) => string): Finder<E> {
  let known: { readonly named: ReadonlyMap<string, E>; readonly isWhole: boolean } | undefined;
  return (name) => {
    if (known === undefined) {
      const all = elements();
      const named = new Map<string, E>();
      for (const element of all) ifReadable(() => named.set(nameOf(element), element));
      known = { named, isWhole: all.every((element) => ifReadable(() => nameOf(element)) !== undefined) };
    }
    const found = known.named.get(name);
    if (found === undefined && !known.isWhole) throw new Unreadable();
    return found;
  };
}

/** Places below a value: either wrong itself, or with wrong ones below. */
interface Places {
  isWrong: boolean;
  readonly below: Map<PropertyKey, Places>;
}

const newPlaces = (): Places => ({ isWrong: false, below: new Map() });

/** `value` with traps where its form is wrong; undefined where it is wrong as a whole. The value itself where nothing is. */
export function readableOf<T>(value: T, issues: readonly z.core.$ZodRawIssue[]): T | undefined {
  const wrong = newPlaces();
  for (const issue of issues) {
    // What may go on was of the right type (a name too long, a reference to nothing); a field too many is not in the value.
    if (issue.continue === true || issue.code === 'unrecognized_keys') continue;
    let at = wrong;
    for (const part of issue.path ?? []) {
      const next = at.below.get(part) ?? newPlaces();
      at.below.set(part, next);
      at = next;
    }
    at.isWrong = true;
  }
  if (wrong.isWrong) return undefined;
  return isHolder(value) && wrong.below.size > 0 ? trapped(value, wrong) : value;
}

const isHolder = (value: unknown): value is object => typeof value === 'object' && value !== null;

/** A wrong element of a list of objects can be counted, and nothing of it read. */
const HOLLOW: object = new Proxy(
  {},
  {
    get() {
      throw new Unreadable();
    },
    has() {
      throw new Unreadable();
    },
    ownKeys() {
      throw new Unreadable();
    },
  },
);

function trapped<T extends object>(holder: T, { below }: Places): T {
  // One for each place, so that what is compared by identity stays the same.
  const views = new Map<string, unknown>();
  const isList = Array.isArray(holder);
  const ofObjects = isList && holder.some(isHolder);
  // zod names an element by its number, a trap gets its name as text.
  const placesAt = (key: string | symbol): Places | undefined =>
    typeof key === 'symbol' ? undefined : below.get(isList ? Number(key) : key);
  return new Proxy(holder, {
    get(target, key) {
      const places = placesAt(key);
      const value: unknown = Reflect.get(target, key);
      if (places === undefined || typeof key === 'symbol') return value;
      if (places.isWrong || !isHolder(value)) {
        if (ofObjects) return HOLLOW;
        throw new Unreadable();
      }
      const view = views.get(key) ?? trapped(value, places);
      views.set(key, view);
      return view;
    },
    has(target, key) {
      // Whether a list has an element is no question of form.
      if (!isList && placesAt(key)?.isWrong === true) throw new Unreadable();
      return Reflect.has(target, key);
    },
    ownKeys(target) {
      if (!isList && [...below.values()].some(({ isWrong }) => isWrong)) throw new Unreadable();
      return Reflect.ownKeys(target);
    },
  });
}
