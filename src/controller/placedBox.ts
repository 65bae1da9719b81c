/**
 * Owns looking up a box that is known and has its place in the fleet, for what is signed for it before it comes.
 * Does not own who gets which place (admission.ts).
 */
import { BranchboxError } from '../model/errors.ts';
import type { Admissions } from './admission.ts';
import type { InventoryEntry } from './store/entities.ts';
import type { Store } from './store/store.ts';

export interface PlacedBoxes {
  readonly store: Pick<Store, 'inventory'>;
  readonly admissions: Pick<Admissions, 'placeOf'>;
}

/** Throws controller/not-found where the serial is unknown or has no place. */
export async function requirePlaced(
  { store, admissions }: PlacedBoxes,
  serial: string,
): Promise<{ readonly entry: InventoryEntry; readonly gatewayId: string }> {
  const entry = await store.inventory.get(serial);
  const gatewayId = await admissions.placeOf(serial);
  if (entry !== undefined && gatewayId !== undefined) return { entry, gatewayId };
  throw new BranchboxError('controller/not-found', {
    message:
      entry === undefined
        ? `the inventory does not hold ${serial}`
        : `${serial} has no place in the fleet yet`,
    mend: 'make it known with `branchbox fleet inventory SERIAL`, and name its serial in the fleet',
  });
}
