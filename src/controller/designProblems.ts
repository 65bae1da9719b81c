/**
 * Owns translating a problem of a gateway's design into the place in the fleet that its author wrote. Pure.
 * Does not own what a gateway's own fields must be: the fleet's schema (model/fleet.ts) is checked first, so what is left for here
 * is what several parts cause together, such as too many tunnels.
 */
import type { Problem } from '../model/errors.ts';

/** Where in the fleet a part of a design comes from; `own` is the gateway's path. Other parts have the same name in both. */
const MADE_OF: Readonly<Record<string, (own: string) => string>> = {
  fleet: () => '$.fleet',
  overlay: () => '$.gateways',
  segments: (own) => own,
  tunnels: (own) => `${own}.uplinks`,
  controller: () => '$',
};

/** `index`: the gateway's position in the fleet. Lists of a design are sorted, so positions in them are not told. */
export function asWritten({ path, message }: Problem, index: number): Problem {
  const own = `$.gateways[${index}]`;
  const section = /^\$\.(\w+)/.exec(path)?.[1];
  if (section === undefined) return { path: own, message };
  const madeOf = MADE_OF[section];
  if (madeOf === undefined) return { path: `${own}.${section}`, message };
  return { path: madeOf(own), message: `${message} (${path.slice(2)} of a gateway)` };
}
