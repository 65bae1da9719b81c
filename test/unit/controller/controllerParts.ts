/** The fleet and who is let in, over a store of the test's own: what tests of the controller's parts stand on. */
import { createActivations } from '../../../src/controller/activation.ts';
import { createAdmissions } from '../../../src/controller/admission.ts';
import { createFleetService } from '../../../src/controller/fleetService.ts';
import { createPendingBoxes } from '../../../src/controller/pending.ts';
import { createPlacing } from '../../../src/controller/placing.ts';
import type { Store } from '../../../src/controller/store/store.ts';
import type { Clock, Logger } from '../../../src/system/ports.ts';
import { CONTROLLER } from './fixtures.ts';

export function createControllerParts(options: {
  readonly store: Store;
  readonly clock: Clock;
  readonly log: Logger;
}) {
  const { store, clock, log } = options;
  const fleet = createFleetService({
    store,
    clock,
    controller: CONTROLLER,
    firmware: async () => new Map(),
    onChange: () => undefined,
  });
  const activations = createActivations({ store, clock });
  const admissions = createAdmissions({ store, fleet, activations, clock, log });
  const placing = createPlacing({ store, fleet, clock, onChange: () => undefined });
  const pending = createPendingBoxes({ store, fleet, placing, clock, log });
  const setFleet = (next: object) => fleet.change({ actor: 'test', subject: 'fleet', edit: () => next });
  return { fleet, activations, admissions, pending, setFleet };
}
