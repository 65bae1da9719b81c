/**
 * Owns that boxes do not lose their place in the fleet by the dozen unless the caller says so (one is an ordinary change, more is
 * typical of a document that was cut short, or belongs to another fleet), nor any of them to a revoked box. Does not own what
 * follows for a box (admission.ts, revocations.ts). Pure.
 */
import { BranchboxError } from '../model/errors.ts';
import type { Fleet } from '../model/fleet.ts';
import type { HeldPlace } from './store/entities.ts';

/** So many may go without being announced. */
const UNASKED = 1;
const NAMED = 5;

/** Throws controller/conflict unless `meant` boxes would lose their place; where it is undefined, one at most. */
export function checkRemovals(
  places: readonly HeldPlace[],
  next: Pick<Fleet, 'gateways'>,
  meant: number | undefined,
): void {
  // As admission.ts has it: a box counts as the gateway that it enrolled as, and under no other name.
  const staying = new Map(next.gateways.map(({ id, serial }) => [id, serial]));
  const removed = places.filter(({ id, serial }) => serial !== undefined && staying.get(id) !== serial);
  if (meant === undefined ? removed.length <= UNASKED : removed.length === meant) return;
  const named = removed.slice(0, NAMED).map(({ id, serial }) => `${id} (${serial})`);
  const more = removed.length > NAMED ? ` and ${removed.length - NAMED} more` : '';
  const asTold = meant === undefined ? '' : `, and not ${meant}`;
  const boxes = removed.length === 1 ? '1 box' : `${removed.length} boxes`;
  const who = removed.length === 0 ? '' : `: ${named.join(', ')}${more}`;
  throw new BranchboxError('controller/conflict', {
    message: `by this fleet ${boxes} would lose the place that the present one gives${asTold}${who}. Such a box is quarantined at once, and its tenants are without network`,
    mend: `where that is meant, say just how many: PUT /api/v1/fleet?removes=${removed.length} (branchbox fleet apply FILE --removes ${removed.length})`,
  });
}

/**
 * A file of before a replacement names the box that was replaced. Throws controller/conflict where one that works would lose
 * its place to one that was revoked, and nobody would have it.
 */
export function checkRevoked(
  places: readonly HeldPlace[],
  next: Pick<Fleet, 'gateways'>,
  revoked: ReadonlySet<string>,
): void {
  for (const { id, serial } of next.gateways) {
    const present = places.find((place) => place.id === id)?.serial;
    if (serial === undefined || present === undefined || serial === present) continue;
    if (!revoked.has(serial) || revoked.has(present)) continue;
    throw new BranchboxError('controller/conflict', {
      message: `${id} would go from ${present} to ${serial}, which was revoked`,
      mend: `name ${present} as the serial of ${id}; where ${serial} is meant, trust it first: branchbox fleet release ${serial}`,
    });
  }
}
