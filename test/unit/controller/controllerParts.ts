/** The fleet and who is let in, over a store of the test's own: what tests of the controller's parts stand on. */
import { createMembership } from '../../../src/controller/membership.ts';
import type { Store } from '../../../src/controller/store/store.ts';
import type { Clock, Logger } from '../../../src/system/ports.ts';
import { CONTROLLER } from './fixtures.ts';

export function createControllerParts(options: {
  readonly store: Store;
  readonly clock: Clock;
  readonly log: Logger;
}) {
  const membership = createMembership({
    ...options,
    controller: CONTROLLER,
    firmware: async () => new Map(),
    onFleetChange: () => undefined,
    onInventoryChange: () => undefined,
  });
  const { fleet } = membership;
  const setFleet = (next: object) =>
    fleet.change({ actor: 'test', subject: 'fleet', next: { edit: () => next } });
  return { ...membership, setFleet };
}
