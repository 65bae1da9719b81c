/**
 * Owns how parts of a document are held against each other: rules beside a schema, judged also where the document is
 * wrong in form elsewhere, and saying that a value stands twice where it may stand once, with the place of both.
 * Shared by the schemas whose parts refer to each other. Does not own any schema.
 */
import type { z } from 'zod';
import { renderPath } from './decode.ts';
import { eachReadable, ifReadable, readableOf } from './readable.ts';

export type Path = (string | number)[];
export type Report = (path: Path, message: string) => void;

/** `schema` with rules over its output. Each rule that may be silent by itself stands in an `ifReadable` of its own. */
export function crossChecked<S extends z.ZodType>(
  schema: S,
  check: (value: z.output<S>, report: Report) => void,
): S {
  return schema.superRefine(
    (value, context) => {
      const readable = readableOf(value, context.issues);
      if (readable === undefined) return;
      ifReadable(() =>
        check(readable, (path, message) => context.addIssue({ code: 'custom', path, message })),
      );
    },
    // Zod's own way is to look no further once a type is wrong, be it at the other end of the document.
    { when: () => true },
  );
}

/** Reports each key that an earlier element has already; undefined keys (nothing assigned yet) do not count. */
export function reportDuplicates<E>(
  report: Report,
  list: string,
  what: string,
  elements: () => readonly E[],
  keyOf: (element: E) => string | number | undefined,
): void {
  const first = new Map<string | number, number>();
  eachReadable(elements, (element, index) => {
    const key = keyOf(element);
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
