/**
 * Owns saying that a value stands twice where it may stand once, with the place of both. Shared by the schemas whose
 * parts refer to each other. Does not own any schema.
 */

import { renderPath } from './decode.ts';

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

/** Reports each key that an earlier place has already, wherever both stand. */
export function reportRepeats(
  report: Report,
  places: readonly { readonly path: Path; readonly key: string; readonly shown: string }[],
): void {
  const first = new Map<string, Path>();
  for (const { path, key, shown } of places) {
    const earlier = first.get(key);
    if (earlier === undefined) first.set(key, path);
    else report(path, `${shown} is already used by ${renderPath(earlier.slice(0, -1))}`);
  }
}
