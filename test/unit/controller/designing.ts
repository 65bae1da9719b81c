/** Owns what tests of the design start from: keys of three gateways, and one gateway's part of a whole design. */
import { allocate, NO_ALLOCATIONS } from '../../../src/controller/allocations.ts';
import { designFleet, type DesignInputs } from '../../../src/controller/designer.ts';
import type { Fleet } from '../../../src/model/fleet.ts';
import { CONTROLLER, publicKey } from './fixtures.ts';

export const KEYS = new Map([
  ['hub', publicKey(1)],
  ['branch1', publicKey(2)],
  ['branch2', publicKey(3)],
]);

export function inputs(fleet: Fleet, change: Partial<DesignInputs> = {}): DesignInputs {
  return {
    fleet,
    allocations: allocate(fleet, NO_ALLOCATIONS),
    publicKeys: KEYS,
    bundleSizes: new Map(),
    firmware: new Map(),
    controller: CONTROLLER,
    ...change,
  };
}

export function specOf(id: string, from: DesignInputs) {
  const spec = designFleet(from).get(id);
  if (spec === undefined) throw new Error(`no spec for ${id}`);
  return spec;
}
