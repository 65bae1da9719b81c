/**
 * Numbers that the controller gives a fleet, held against any fleet that grows in any order: stable, unshared,
 * bounded.
 */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { allocate, NO_ALLOCATIONS } from '../../src/controller/allocations.ts';
import { designFleet } from '../../src/controller/designer.ts';
import type { Fleet } from '../../src/model/fleet.ts';
import { branch, CONTROLLER, fleetOf, hub, publicKey } from '../unit/controller/fixtures.ts';

const ids = Array.from({ length: 12 }, (_, i) => `branch${i + 1}`);
const branchOf = (id: string, uplinkCount: number) =>
  branch(id, `10.255.1.${ids.indexOf(id) + 1}`, ['internet', 'lte', 'mpls'].slice(0, uplinkCount));

const members = fc.uniqueArray(
  fc.record({ id: fc.constantFrom(...ids), uplinks: fc.integer({ min: 1, max: 3 }) }),
  { selector: (m) => m.id, maxLength: ids.length },
);

function fleetWith(list: readonly { id: string; uplinks: number }[]): Fleet {
  return fleetOf([
    hub('hub1', '10.255.0.1'),
    hub('hub2', '10.255.0.2'),
    ...list.map((m) => branchOf(m.id, m.uplinks)),
  ]);
}

const publicKeys = new Map([
  ['hub1', publicKey(1)],
  ['hub2', publicKey(2)],
  ...ids.map((id, i) => [id, publicKey(i + 10)] as const),
]);

const designs = (fleet: Fleet, allocations: ReturnType<typeof allocate>) =>
  designFleet({
    fleet,
    allocations,
    publicKeys,
    bundleSizes: new Map(),
    firmware: new Map(),
    controller: CONTROLLER,
  });

describe('numbers of a fleet', () => {
  it('stay as they are when gateways are added, wherever in the file', () => {
    fc.assert(
      fc.property(members, fc.nat(), (list, where) => {
        fc.pre(list.length > 0);
        const added = list[where % list.length];
        const before = fleetWith(list.filter((m) => m !== added));
        const after = fleetWith(list);
        const numbers = allocate(before, NO_ALLOCATIONS);
        const grown = allocate(after, numbers);
        expect(grown).toMatchObject(numbers);
        const old = designs(before, numbers);
        const now = designs(after, grown);
        const branches = before.gateways.filter((gateway) => gateway.role === 'branch');
        expect(branches.map(({ id }) => now.get(id))).toEqual(branches.map(({ id }) => old.get(id)));
      }),
      { numRuns: 50 },
    );
  });

  it('are never shared: each tunnel address stands on one interface', () => {
    fc.assert(
      fc.property(members, members, (first, second) => {
        const numbers = allocate(fleetWith(second), allocate(fleetWith(first), NO_ALLOCATIONS));
        const specs = [...designs(fleetWith(second), numbers).values()];
        const addresses = specs.flatMap((spec) => spec.tunnels.map((tunnel) => tunnel.address));
        expect(new Set(addresses).size).toBe(addresses.length);
      }),
      { numRuns: 50 },
    );
  });

  it('that do not fit are refused by path', () => {
    const tight = fleetWith([{ id: 'branch1', uplinks: 3 }]);
    const fleet: Fleet = { ...tight, fleet: { ...tight.fleet, tunnelRange: '10.254.0.0/29' } };
    expect(() => allocate(fleet, NO_ALLOCATIONS)).toThrow(
      expect.objectContaining({
        problems: expect.arrayContaining([expect.objectContaining({ path: '$.fleet.tunnelRange' })]),
      }),
    );
  });
});
