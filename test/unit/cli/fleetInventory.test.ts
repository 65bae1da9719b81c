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
    mend: 'with --change it waits at its next enrolment',
  });
  // The others are done all the same, and so is the same asked for again.
  await expect(inventory('SN-2', ...wish)).resolves.toBeUndefined();
  await expect(inventory('SN-1')).resolves.toBeUndefined();
});

it.each([
  ['--two-factor', { approved: false, twoFactor: true }],
  ['--pending', { approved: false, twoFactor: false }],
])('%s --change makes a box wait that is known already', async (wish, standing) => {
  await inventory('SN-1');
  await inventory('SN-1', 'SN-2', wish, '--change');
  for (const serial of ['SN-1', 'SN-2']) {
    expect(await running.store.inventory.get(serial)).toMatchObject(standing);
  }
});

it('is told that --change alone changes nothing', async () => {
  await expect(inventory('SN-1', '--change')).rejects.toMatchObject({
    code: 'cli/usage',
    message: '--change says nothing of what is to change',
  });
});

it('--two-factor --change makes a box wait again that typed its code before; without --change it is as wished', async () => {
  await inventory('SN-1', '--two-factor');
  await running.store.inventory.update('SN-1', { approved: true });
  await inventory('SN-1', '--two-factor');
  expect(await running.store.inventory.get('SN-1')).toMatchObject({ approved: true });
  await inventory('SN-1', '--two-factor', '--change');
  expect(await running.store.inventory.get('SN-1')).toMatchObject({ approved: false, twoFactor: true });
});
