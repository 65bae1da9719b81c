/**
 * Owns saying that a value stands twice where it may stand once, with the place of both. Shared by the schemas whose
 * parts refer to each other. Does not own any schema.
 */

type Path = (string | number)[];
export type Report = (path: Path, message: string) => void;

/** Reports each key that an earlier element has already; undefined keys (nothing assigned yet) do not count. */
export function reportDuplicates(
  report: Report,
  list: string,
  what: string,
  keys: readonly (string | number | undefined)[],
): void {
  const first = new Map<string | number, number>();
  keys.forEach((key, index) => {
    if (key === undefined) return;
    const earlier = first.get(key);
    if (earlier === undefined) first.set(key, index);
    else report([list, index], `${what} ${key} is already used by ${list}[${earlier}]`);
  });
}
