/** A word that would do nothing beside the others is refused, and what a command says that it did is so. */
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { createProgram } from '../../../src/cli/program.ts';
import { accessTo, type RunningApi, useApi } from '../controller/apiWorld.ts';
import { SMALL_FLEET } from '../controller/fixtures.ts';

let running: RunningApi;
let access: readonly string[];
let printed: string;
useApi((fresh) => {
  running = fresh;
});
beforeEach(async () => {
  access = await accessTo(running);
  await running.call('PUT', '/api/v1/fleet', SMALL_FLEET);
  printed = '';
  vi.spyOn(process.stdout, 'write').mockImplementation((text) => (printed += String(text)) !== '');
  vi.spyOn(process.stderr, 'write').mockReturnValue(true);
});
afterEach(() => vi.restoreAllMocks());

async function run(line: string): Promise<void> {
  const words = line.split(' ');
  const program = await createProgram((name) => name === words[0]);
  await program.parseAsync([...words, ...(words[0] === 'fleet' ? access : [])], { from: 'user' });
}

it.each([
  ['test uplinks --last --uplink lte', '--last'],
  ['test uplinks --last --budget 131072', '--last'],
  ['fleet activation SN-1 --show --valid 2h', '--show'],
  ['fleet activation SN-1 --show --length 4', '--show'],
  ['fleet activation SN-1 --show --no-link', '--show'],
  ['fleet activation SN-1 --length many', '--length wants a number of characters, not many'],
  ['fleet report branch1 --uplink lte', '--uplink says how to test'],
  ['fleet report branch1 --budget 131072', '--budget says how to test'],
])('%s', async (line, why) => {
  await expect(run(line)).rejects.toThrow(why);
});

it.each([
  ['', {}, 'it enrols by itself.'],
  [' --two-factor', {}, 'it enrols once its installer typed a code (branchbox fleet activation SN-9).'],
  ['', { twoFactor: true }, 'it enrols once its installer typed a code (branchbox fleet activation SN-9).'],
])('fleet replace%s of a box that is known as %j says how it enrols', async (flag, known, how) => {
  if ('twoFactor' in known) await running.call('POST', '/api/v1/inventory', { serial: 'SN-9', ...known });
  await run(`fleet replace branch1 SN-9${flag}`);
  expect(printed).toContain(how);
});
