/**
 * Owns finding the commands that a page shows, in code spans and blocks, in the notation of our docs: `a | b` and `a|b` for
 * either, `[…]` for what may be left out, `…` for more, `#` or two spaces before what is said of it; `lab` and `fleet` also
 * without `branchbox` before them. Pure.
 */

/** The words behind `branchbox` of each. `pathOf`: how many words of them name a command. */
export function commandsIn(
  page: string,
  pathOf: (words: readonly string[]) => number,
): readonly (readonly string[])[] {
  const blocks = [...page.matchAll(/^```[a-z]*\n(.*?)^```/gms)].flatMap(([, block]) => linesOf(block ?? ''));
  const rest = page.replaceAll(/^```.*?^```/gms, '');
  const spans = [...rest.matchAll(/`([^`]+)`/g)].map(([, span]) => span ?? '');
  return [...blocks, ...spans].flatMap((shown) => alternatives(shown, pathOf));
}

/** Of a block: with what belongs to the line before, without what is said of each. */
function linesOf(block: string): readonly string[] {
  let last = '';
  return block
    .replaceAll(/\\\n/g, ' ')
    .split('\n')
    .map((line) => {
      const [said = ''] = line
        .trim()
        .replaceAll(/\s+--/g, ' --')
        .split(/\s{2,}|\s#\s/);
      if (/^\s+\[--/.test(line)) return `${last} ${said}`;
      last = (/^[a-z ]+(?![a-z]*[^a-z ])/.exec(said)?.[0] ?? '').trim();
      return said;
    });
}

function alternatives(
  shown: string,
  pathOf: (words: readonly string[]) => number,
): readonly (readonly string[])[] {
  const text = shown
    .replaceAll('\\|', '|')
    .replaceAll(/[[\]…]/g, '')
    .replaceAll(/\s+/g, ' ');
  const found =
    /^(?:\.\/)?branchbox ([a-z].*)$/.exec(text)?.[1] ??
    /^(?:lab|fleet) [a-z].*$/.exec(text)?.[0] ??
    /(?:&&|;) branchbox ([a-z].*)$/.exec(text)?.[1];
  if (found === undefined) return [];
  const [own = '', foreign] = found.split(/ -- (.*)/);
  let before: readonly string[] = [];
  const all = (own.split(/ > ?| >|;|&&/)[0] ?? '').split(' | ').flatMap((one) => {
    const each = eitherWord(one.trim().split(' ')).map((words) => [...before, ...words]);
    const [first = []] = each;
    if (before.length === 0) before = first.slice(0, Math.max(0, pathOf(first) - 1));
    return each;
  });
  if (foreign === undefined) return all;
  return [...all.map((words) => [...words, '--', ...foreign.split(' ')]), ...alternatives(foreign, pathOf)];
}

/** `upload|list` is two. */
function eitherWord(words: readonly string[]): readonly (readonly string[])[] {
  return words.reduce<readonly (readonly string[])[]>(
    (all, word) => all.flatMap((before) => word.split('|').map((one) => [...before, one])),
    [[]],
  );
}
