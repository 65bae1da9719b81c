/**
 * Owns what goes to a terminal: nothing in it steers one, whoever's words they are. Does not own the words.
 */

/**
 * What a terminal would obey, or show in another order than it stands: what is shown holds words of boxes (a status, a name), of
 * servers and of networks (leases, errors), and any of them may be in other hands. Spelled as JSON and TOML spell it, so that
 * a document stays the same. Pure.
 */
export const spelledOut = (text: string): string =>
  text.replaceAll(
    /\r(?!\n)|[^\P{Cc}\r\n\t]|\p{Bidi_Control}/gu,
    (found) => `\\u${found.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );

/** As lines. */
export const print = (text: string): boolean =>
  process.stdout.write(spelledOut(text.endsWith('\n') ? text : `${text}\n`));
