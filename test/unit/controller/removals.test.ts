/** How many boxes a new fleet may leave without a place, and what is said of it. */
import { expect, it } from 'vitest';
import { checkRemovals } from '../../../src/controller/removals.ts';
import { Fleet } from '../../../src/model/fleet.ts';

const ids = (count: number, from = 1) => Array.from({ length: count }, (_, i) => `branch${from + i}`);
const places = (count: number, from = 1) => ids(count, from).map((id) => ({ id, serial: `SN-${id}` }));
const fleetOf = (count: number) =>
  Fleet.parse({
    fleet: { name: 'test' },
    gateways: ids(count).map((id, i) => ({
      id,
      serial: `SN-${id}`,
      role: 'branch',
      site: 'here',
      vtep: `10.255.0.${i + 1}`,
      uplinks: [{ name: 'internet', port: 'wan1' }],
    })),
  });

it('takes one away, or places that never had a box, without a word', () => {
  expect(() => checkRemovals(places(3), fleetOf(2), undefined)).not.toThrow();
  expect(() =>
    checkRemovals(
      ids(9).map((id) => ({ id })),
      fleetOf(0),
      undefined,
    ),
  ).not.toThrow();
  expect(() => checkRemovals(places(3), fleetOf(5), undefined)).not.toThrow();
});

it('asks for the count where more would lose their place, and takes no other', () => {
  expect(() => checkRemovals(places(3), fleetOf(1), undefined)).toThrow(
    /^by this fleet 2 boxes would lose the place .*: branch2 \(SN-branch2\), branch3 \(SN-branch3\)\. Such a box is/,
  );
  expect(() => checkRemovals(places(9), fleetOf(0), 8)).toThrow(
    /^by this fleet 9 boxes would .*, and not 8: branch1 \(.*\), branch5 \(SN-branch5\) and 4 more\. /,
  );
  expect(() => checkRemovals(places(9), fleetOf(0), 9)).not.toThrow();
});
