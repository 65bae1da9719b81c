/** A row of the fault table that leaves out what the installer is told is refused, before any row of its table runs. */
import { expect, it } from 'vitest';
import { type FaultRow, faultTable } from './table.ts';

const rowTelling = (told: string): FaultRow => ({
  fault: 'a fault',
  must: 'go on',
  outcome: 'OPERATIONAL',
  told,
  run: async () => ({ outcome: 'OPERATIONAL', told }),
});

it.each(['', ' '])('a row that tells %j is none', (told) => {
  expect(() => faultTable('table', [rowTelling(told)])).toThrow(
    'The row "table: a fault" leaves out what the installer is told',
  );
});
