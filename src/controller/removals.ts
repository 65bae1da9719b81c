/**
 * Owns that boxes are not taken out of the fleet by the dozen unless that is said: one is an ordinary change, more is what
 * a document does that was cut short, or is of another fleet. Does not own what a removal does (revocations.ts). Pure.
 */
import { BranchboxError } from '../model/errors.ts';
import type { Fleet } from '../model/fleet.ts';
import type { HeldPlace } from './store/entities.ts';

/** So many need no word. */
const UNASKED = 1;
const NAMED = 5;

/** Throws controller/conflict where more boxes would lose their place than `meant` says. */
export function checkRemovals(
  places: readonly HeldPlace[],
  next: Pick<Fleet, 'gateways'>,
  meant: number | undefined,
): void {
  const staying = new Set(next.gateways.map(({ id }) => id));
  const removed = places.filter(({ id, serial }) => serial !== undefined && !staying.has(id));
  if (removed.length <= UNASKED || removed.length === meant) return;
  const named = removed.slice(0, NAMED).map(({ id }) => id);
  const more = removed.length > NAMED ? ` and ${removed.length - NAMED} more` : '';
  const asTold = meant === undefined ? '' : `, and not ${meant}`;
  throw new BranchboxError('controller/conflict', {
    message: `this fleet is without ${removed.length} gateways that have a box${asTold}: ${named.join(', ')}${more}. Their boxes would be quarantined at once, and tenants there without network`,
    mend: `where that is meant, say how many: PUT /api/v1/fleet?removes=${removed.length} (branchbox fleet apply FILE --removes ${removed.length})`,
  });
}
