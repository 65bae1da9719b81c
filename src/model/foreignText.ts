/**
 * Owns how the words of others (a server, a medium, a box that nobody knows) are shown to a person: on one line, printable, and
 * cut. Pure. Does not own what a terminal obeys in anybody's words (cli/terminal).
 */

/** Any other character than printable ASCII is a question mark: for words of which no letters are expected but these. */
export const asciiOf = (text: string, maxLength: number): string =>
  text
    .slice(0, 4 * maxLength)
    .trim()
    .replaceAll(/[^\x20-\x7e]/g, '?')
    .slice(0, maxLength);

/** In any script: control characters and white space, of which there are many kinds, become single blanks. */
export const oneLineOf = (text: string, maxLength: number): string =>
  text
    .replaceAll(/[\p{C}\p{Z}]+/gu, ' ')
    .trim()
    .slice(0, maxLength);
