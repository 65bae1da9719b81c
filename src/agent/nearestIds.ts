/**
 * Owns which known ids somebody may have meant by an unknown one: first those within a few typing mistakes, then those
 * that it begins, then those that name the same thing. Pure.
 * Does not own what is known (explain.ts).
 *
 * The question comes over a socket, and a box has thousands of ids: each costs at most LONGEST x (2 x SLIPS + 1) steps
 * (only the cells of the table that can still be within SLIPS are looked at).
 */

/** As many as somebody reads. */
const MOST = 5;
/** No id is longer: a path's is 160 characters, and its kind stands before it. */
const LONGEST = 200;
/** Insertions, deletions and other characters; more is another word. */
const SLIPS = 3;
/** A part in common that is shorter says nothing. */
const SHORTEST_PART = 2;

/** The nearest first; ids that are as near, in their order. Nothing where nothing is alike. */
export function nearestIds(asked: string, known: Iterable<string>): readonly string[] {
  if (asked.length < SHORTEST_PART || asked.length > LONGEST) return [];
  const word = asked.toLowerCase();
  // In a short word fewer slips make another word.
  const slips = Math.min(SLIPS, Math.floor(word.length / 3));
  const parts = partsOf(word);
  const found: {
    readonly id: string;
    readonly slips: number;
    readonly begun: number;
    readonly shared: number;
  }[] = [];
  for (const id of known) {
    // Without its kind too: people ask for what `ip link` shows.
    const named = (word.includes(':') ? id : id.slice(id.indexOf(':') + 1)).toLowerCase();
    const away = slipsBetween(word, named, slips);
    const begun = named.startsWith(word) ? 1 : 0;
    const shared = sharedWith(parts, id);
    if (away <= slips || begun === 1 || shared > 0) found.push({ id, slips: away, begun, shared });
  }
  return found
    .toSorted(
      (a, b) => a.slips - b.slips || b.begun - a.begun || b.shared - a.shared || (a.id < b.id ? -1 : 1),
    )
    .slice(0, MOST)
    .map(({ id }) => id);
}

/** Names and numbers within it; not its kind, which it shares with all of that kind. */
function partsOf(id: string): ReadonlySet<string> {
  const name = id.slice(id.indexOf(':') + 1).toLowerCase();
  return new Set(name.split(/[^a-z0-9]+/).filter((part) => part.length >= SHORTEST_PART));
}

/** Share of the parts of both that are of both (Jaccard), so that what merely has many parts is not the nearest. */
function sharedWith(parts: ReadonlySet<string>, id: string): number {
  const others = partsOf(id);
  const both = [...parts].filter((part) => others.has(part)).length;
  return both === 0 ? 0 : both / (parts.size + others.size - both);
}

/** Levenshtein's distance up to `most`; one more than that where it is larger. */
function slipsBetween(a: string, b: string, most: number): number {
  const over = most + 1;
  if (Math.abs(a.length - b.length) > most) return over;
  // Of each row of the table, the cells from `most` left of the diagonal to `most` right of it.
  let above = Array.from({ length: 2 * most + 1 }, (_, at) => (at < most ? over : at - most));
  for (let row = 1; row <= a.length; row += 1) {
    const line: number[] = [];
    for (let at = 0; at <= 2 * most; at += 1) {
      const column = row + at - most;
      const other = a[row - 1] === b[column - 1] ? 0 : 1;
      const least = Math.min(
        (above[at] ?? over) + other,
        (above[at + 1] ?? over) + 1,
        (line[at - 1] ?? over) + 1,
      );
      line.push(
        column < 0 || column > b.length ? over : column === 0 ? Math.min(row, over) : Math.min(least, over),
      );
    }
    above = line;
  }
  return above[b.length - a.length + most] ?? over;
}
