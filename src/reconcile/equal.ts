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
  return sameFields(new Map(Object.entries(left)), new Map(Object.entries(right)));
}

function sameFields(left: ReadonlyMap<string, unknown>, right: ReadonlyMap<string, unknown>): boolean {
  for (const [key, value] of left) {
    if (!sameSpec(value, right.get(key))) return false;
  }
  for (const [key, value] of right) {
    if (value !== undefined && !left.has(key)) return false;
  }
  return true;
}
