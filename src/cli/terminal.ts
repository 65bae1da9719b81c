/**
 * Owns printing to a terminal so that nothing printed can steer it, whoever wrote it. Does not own what is printed.
 */

/**
 * Spells out characters that a terminal obeys or that reorder text: what is printed holds words of boxes, servers and networks
 * (status, names, leases, errors), any of which may be in other hands. Spelled as JSON and TOML do, so that a document keeps its
 * meaning. Pure.
 */
export const spelledOut = (text: string): string =>
  text.replaceAll(
    /\r(?!\n)|[^\P{Cc}\r\n\t]|\p{Bidi_Control}/gu,
    (found) => `\\u${found.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );

/** As lines. */
export const print = (text: string): boolean =>
  process.stdout.write(spelledOut(text.endsWith('\n') ? text : `${text}\n`));
