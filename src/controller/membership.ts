/**
 * Owns putting together who belongs to the fleet: the fleet itself, who is let in to it, by a code, a rule or a person,
 * and at which place. Does not own what any of these does.
 */
import type { DesiredSpec } from '../model/desired.ts';
import type { Clock, Logger } from '../system/ports.ts';
import { type Activations, createActivations } from './activation.ts';
import { type Admissions, createAdmissions } from './admission.ts';
import { createFleetService, type FleetService } from './fleetService.ts';
import { createPendingBoxes, type PendingBoxes } from './pending.ts';
import { createPlacing } from './placing.ts';
import type { Store } from './store/store.ts';

export interface Membership {
  readonly fleet: FleetService;
  readonly activations: Activations;
  readonly admissions: Admissions;
  readonly pending: PendingBoxes;
}

export function createMembership(options: {
  readonly store: Store;
  /** Where boxes reach this controller. */
  readonly controller: DesiredSpec['controller'];
  /** Whole firmware versions: version → signed manifest. */
  readonly firmware: () => Promise<ReadonlyMap<string, string>>;
  readonly onFleetChange: () => void;
  readonly onInventoryChange: () => void;
  readonly clock: Clock;
  readonly log: Logger;
}): Membership {
  const { store, controller, firmware, clock, log } = options;
  const fleet = createFleetService({ store, clock, controller, firmware, onChange: options.onFleetChange });
  const activations = createActivations({ store, clock });
  const admissions = createAdmissions({ store, fleet, activations, clock, log });
  const placing = createPlacing({ store, fleet, clock, onChange: options.onInventoryChange });
  const pending = createPendingBoxes({ store, fleet, placing, clock, log });
  return { fleet, activations, admissions, pending };
}
