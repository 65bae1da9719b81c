/**
 * Owns when two specs are the same: structurally, whatever the order of their keys; a key that is undefined is absent.
 * Lists are ordered: a driver that reads a set sorts it. Pure.
 */

export function sameSpec(left: unknown, right: unknown): boolean {
  if (Object.is(left, right)) return true;
  if (typeof left !== 'object' || typeof right !== 'object' || left === null || right === null) return false;
  if (Array.isArray(left) || Array.isArray(right)) {
    if (!Array.isArray(left) || !Array.isArray(right) || left.length !== right.length) return false;
    return left.every((value, index) => sameSpec(value, right[index]));
  }
  return sameFields(left, right);
}

/** Nothing is allocated on the way: a plan compares every item of the box. */
function sameFields(left: object, right: object): boolean {
  for (const key of Object.keys(left)) {
    if (!sameSpec(fieldOf(left, key), fieldOf(right, key))) return false;
  }
  for (const key of Object.keys(right)) {
    if (fieldOf(right, key) !== undefined && !Object.hasOwn(left, key)) return false;
  }
  return true;
}

const fieldOf = (from: object, key: string): unknown =>
  Object.hasOwn(from, key) ? Reflect.get(from, key) : undefined;
