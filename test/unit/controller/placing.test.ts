/** Whose place a box keeps when the fleet is described anew. */
import { describe, expect, it } from 'vitest';
import { keepPlaced } from '../../../src/controller/placing.ts';
import { Fleet } from '../../../src/model/fleet.ts';
import { free, SMALL_FLEET } from './fixtures.ts';

describe('a fleet file that tells no serial', () => {
  const placed = (serial: string | undefined) =>
    Fleet.parse({
      ...SMALL_FLEET,
      gateways: [{ ...free('spare1', '10.255.0.21'), ...(serial === undefined ? {} : { serial }) }],
    });
  const serialAfter = (next: Fleet, present: Fleet, joined: readonly string[]) =>
    keepPlaced(next, present.gateways, new Set(joined)).gateways[0]?.serial;

  it('leaves the box where it was placed, and takes away what it told itself before', () => {
    expect(serialAfter(placed(undefined), placed('SN-x'), ['SN-x'])).toBe('SN-x');
    expect(serialAfter(placed(undefined), placed('SN-x'), [])).toBeUndefined();
    expect(serialAfter(placed('SN-y'), placed('SN-x'), ['SN-x'])).toBe('SN-y');
  });
});
