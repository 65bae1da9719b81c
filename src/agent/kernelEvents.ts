/**
 * Owns which links a line of `ip -o monitor` is about: that alone is believed of it, to tell whom it may concern. Pure.
 * Does not own who is woken (wakeups.ts).
 */

/** `5: wan1@if6: <…` of a link, `5: wan1    inet …` of an address. A rule's number stands before a tab. */
const OWN = /^(?:Deleted )?\d+: ([^\s:@]+)/;
/** Of a route, once for each of its next hops. */
const DEVICE = /\bdev (\S+)/g;

/** Nothing where the line names none: a rule, or a route that leads nowhere. */
export function linksNamed(line: string): readonly string[] {
  const own = OWN.exec(line)?.[1];
  const devices = [...line.matchAll(DEVICE)].flatMap(([, name]) => name ?? []);
  return own === undefined ? devices : [own];
}
