/**
 * Owns telling a problem of a gateway's design at what the author of the fleet wrote. Pure.
 * Does not own what one gateway's own words must be: the fleet's schema says that first (model/fleet.ts), so what is
 * left here is what many parts make together, such as too many tunnels.
 */
import type { Problem } from '../model/errors.ts';

/** Parts of a design, by what they are made of; `own` is the gateway's path. The others are called alike. */
const MADE_OF: Readonly<Record<string, (own: string) => string>> = {
  fleet: () => '$.fleet',
  overlay: () => '$.gateways',
  segments: (own) => own,
  tunnels: (own) => `${own}.uplinks`,
  controller: () => '$',
};

/** `index` is the gateway's place in the fleet. The lists of a design are sorted, so no place in them is told. */
export function asWritten({ path, message }: Problem, index: number): Problem {
  const own = `$.gateways[${index}]`;
  const section = /^\$\.(\w+)/.exec(path)?.[1];
  if (section === undefined) return { path: own, message };
  const madeOf = MADE_OF[section];
  if (madeOf === undefined) return { path: `${own}.${section}`, message };
  return { path: madeOf(own), message: `${message} (${path.slice(2)} of a gateway)` };
}
