/**
 * Owns bending text: characters, lines, and words that mean something to somebody. Does not own JSON's structure.
 */
import type { Chance } from './chance.ts';
import { type Mutate, mutateBytes } from './mutateBytes.ts';

/** Words that parsers have been caught by. */
const WORDS: readonly string[] = [
  '',
  '0',
  '-1',
  '1e999',
  '9'.repeat(400),
  '0x10',
  'NaN',
  'null',
  '__proto__',
  'constructor',
  '../../etc/passwd',
  '%00',
  '%2e%2e%2f',
  '\u0000',
  '\u001b[2J',
  '\r\nSet-Cookie: a=b',
  '\u202e',
  '\ud800',
  '\ufeff',
  "'",
  '"',
  '$(reboot)',
  '`reboot`',
  ';reboot',
  '${IFS}',
  'https://',
  'https://user:pass@host/',
  'https://[::1',
  'https://[::ffff:127.0.0.1]:99999/',
  'https://xn--a/',
  'javascript:alert(1)',
  'http://127.0.0.1/',
  'file:///etc/passwd',
  'Thu, 01 Jan 1970 00:00:00 GMT',
  'Fri, 31 Dec 9999 23:59:59 GMT',
  'Mon, 99 Foo 2026 99:99:99 GMT',
  '0.0.0.0',
  '255.255.255.255',
  '::',
  'fe80::1%eth0',
  'a'.repeat(2_000),
  '='.repeat(300),
];
const LONG_WORDS: readonly string[] = [
  ' '.repeat(70_000),
  'a.'.repeat(30_000),
  '='.repeat(5_000),
  '9'.repeat(9_000),
];
const wordOf = (chance: Chance): string => chance.one(chance.once(15) ? LONG_WORDS : WORDS);

export const mutateText: Mutate = (sample, chance, others) => {
  if (chance.once(8)) return mutateBytes(sample, chance, others);
  let text = Buffer.from(sample).toString('utf8');
  for (let left = 1 + chance.below(4); left > 0; left -= 1) text = bendText(text, chance);
  return Buffer.from(text, 'utf8');
};

/** One change. */
export function bendText(text: string, chance: Chance): string {
  const at = chance.below(text.length + 1);
  const upTo = at + chance.below(12);
  const lines = text.split('\n');
  const line = chance.below(lines.length);
  switch (chance.below(9)) {
    case 0:
      return text.slice(0, at) + wordOf(chance) + text.slice(at);
    case 1:
      return text.slice(0, at) + wordOf(chance) + text.slice(upTo);
    case 2:
      return text.slice(0, at) + text.slice(upTo);
    case 3:
      return text.slice(0, at) + String.fromCodePoint(chance.below(0x3000)) + text.slice(at + 1);
    case 4:
      return lines.toSpliced(line, 1).join('\n');
    case 5:
      return lines.toSpliced(line, 0, lines[chance.below(lines.length)] ?? '').join('\n');
    case 6: {
      const wordAt = [...text.matchAll(/[^\s=,:/"'.]+/g)];
      const match = wordAt[chance.below(wordAt.length)];
      if (match === undefined) return wordOf(chance);
      return text.slice(0, match.index) + wordOf(chance) + text.slice(match.index + match[0].length);
    }
    case 7:
      return text.slice(0, at);
    default: {
      const piece = text.slice(at, upTo + 20);
      return text.slice(0, at) + piece.repeat(1 + chance.below(chance.once(20) ? 3_000 : 6)) + text.slice(at);
    }
  }
}
