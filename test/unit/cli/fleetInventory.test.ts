/** `branchbox fleet inventory` by the real API over TLS: what it says of serials that are known already. */
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { createProgram } from '../../../src/cli/program.ts';
import { accessTo, type RunningApi, useApi } from '../controller/apiWorld.ts';

let running: RunningApi;
let access: readonly string[];
useApi((fresh) => {
  running = fresh;
});
beforeEach(async () => {
  access = await accessTo(running);
  vi.spyOn(process.stdout, 'write').mockReturnValue(true);
});
afterEach(() => vi.restoreAllMocks());

async function inventory(...words: readonly string[]): Promise<void> {
  const program = await createProgram((name) => name === 'fleet');
  await program.parseAsync(['fleet', 'inventory', ...words, ...access], { from: 'user' });
}

it.each([
  [['--two-factor'], 'SN-1 is known already, without a second factor, and stays so'],
  [['--pending'], 'SN-1 is known already, as approved, and stays so'],
])('a box that enrols at once is not said to wait: %j', async (wish, message) => {
  await inventory('SN-1', 'SN-3');
  await expect(inventory('SN-1', 'SN-2', 'SN-3', ...wish)).rejects.toMatchObject({
    code: 'controller/conflict',
    message: `${message}; ${message.replace('SN-1', 'SN-3')}`,
    mend: expect.stringContaining('PATCH /api/v1/inventory/SN-1 with {'),
  });
  // The others are done all the same, and so is the same asked for again.
  await expect(inventory('SN-2', ...wish)).resolves.toBeUndefined();
  await expect(inventory('SN-1')).resolves.toBeUndefined();
});
