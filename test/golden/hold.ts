/**
 * Owns holding a golden file to what was made now. A missing file fails, unless it is being written.
 */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { expect } from 'vitest';

export function hold(path: string, actual: string): void {
  if (process.env['GOLDEN_WRITE'] === '1') writeFileSync(path, actual);
  expect(existsSync(path), `${path} is missing`).toBe(true);
  expect(actual).toBe(readFileSync(path, 'utf8'));
}
