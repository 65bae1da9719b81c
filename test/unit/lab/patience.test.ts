/** How long the lab waits, as its user says. */
import { expect, it } from 'vitest';
import { patiently } from '../../../src/lab/patience.ts';

it('waits longer where the user says so, and says what is wrong with what they said', () => {
  expect(patiently(100, undefined)).toBe(100);
  expect(patiently(100, '2.5')).toBe(250);
  expect(patiently(100, '0.1')).toBe(10);
  for (const wanted of ['0', '0.001', '-1', 'long', '1e9'])
    expect(() => patiently(100, wanted)).toThrow('BRANCHBOX_LAB_PATIENCE');
});
