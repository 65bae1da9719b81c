/**
 * Owns reading the words of a command of this checkout: one that is not understood prints its usage and makes nothing.
 * Does not own any usage, nor what a value must be.
 */
import { type ParseArgsOptionsConfig, parseArgs } from 'node:util';

/** undefined: one of them is not known, or lacks its value; said already. */
export function wordsOf<T extends ParseArgsOptionsConfig>(args: readonly string[], options: T) {
  try {
    return parseArgs({ args: [...args], options }).values;
  } catch (thrown) {
    process.stderr.write(`${thrown instanceof Error ? thrown.message : String(thrown)}\n`);
    return undefined;
  }
}

/** Of a command that has none: whoever asks for help must not begin what takes an hour. */
export function takeNoWords(usage: string): void {
  const words = process.argv.slice(2);
  if (words.length === 0) return;
  const isHelp = words[0] === '--help';
  (isHelp ? process.stdout : process.stderr).write(usage);
  process.exit(isHelp ? 0 : 2);
}
