/**
 * Owns words that shells have been caught by, as latin1. `pwned` is a command that the bench has and that nobody may call.
 */
import type { Chance } from './chance.ts';

const WORDS: readonly string[] = [
  '',
  ' ',
  '$(pwned)',
  '`pwned`',
  ';pwned;',
  '|pwned',
  '&&pwned',
  '\npwned\n',
  "'\npwned\n'",
  '"$(pwned)"',
  "'$(pwned)'",
  '$((a[$(pwned)]))',
  '${x:=$(pwned)}',
  '>pwned',
  '*',
  '?',
  '/*/*/*',
  '[a-z]*',
  '~root',
  '-rf',
  '--help',
  '-e$(pwned)',
  '--checkpoint-action=exec=pwned',
  '--to-command=pwned',
  '..',
  '../..',
  '../../../etc/shadow',
  '/etc/shadow',
  '/dev/zero',
  'x\ny',
  'x\r\ny',
  'x\ty',
  '\nnew_ip_address=10.0.0.1',
  '\\',
  '\\n\\0101%s%n%d',
  '%s%s%s%n',
  '\u0001\u0081\u0082\u0088',
  '\u00ff\u00fe',
  '\u001b]0;x\u0007',
  '=',
  "'",
  '"',
  '{a,b}',
  '#branchbox-factory',
  '9'.repeat(40),
  '0x1f',
  '-1',
  '08',
  'a'.repeat(300),
  'a/'.repeat(200),
];

export const hostileWord = (chance: Chance): string =>
  chance.once(40) ? chance.one(['x ', 'y', '\u00fe', '\n']).repeat(20_000) : chance.one(WORDS);

/** Now and then the good word, bent. */
export const bentWord = (word: string, chance: Chance): string => {
  const at = chance.below(word.length + 1);
  switch (chance.below(5)) {
    case 0:
      return word;
    case 1:
      return word.slice(0, at) + hostileWord(chance) + word.slice(at);
    case 2:
      return `${word} ${hostileWord(chance)}`;
    case 3:
      return word.slice(0, at) + Buffer.from(chance.bytes(1 + chance.below(6))).toString('latin1');
    default:
      return hostileWord(chance);
  }
};
