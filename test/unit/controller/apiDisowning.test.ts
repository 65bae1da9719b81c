/** Letting go of a box at its manufacturer: by the API and by the command, never of one that has its place here. */
import { afterEach, expect, it, vi } from 'vitest';
import { createProgram } from '../../../src/cli/program.ts';
import { accessTo, type RunningApi, useApi } from './apiWorld.ts';
import { SMALL_FLEET } from './fixtures.ts';

let running: RunningApi;
useApi(async (fresh) => {
  running = fresh;
  await running.call('PUT', '/api/v1/fleet', SMALL_FLEET);
});
afterEach(() => vi.restoreAllMocks());
const disown = (serial: string, confirm = serial) =>
  running.call('POST', `/api/v1/inventory/${serial}/disowning`, { confirm });

it('is of a box without a place here, known or long forgotten, and written down', async () => {
  await running.call('POST', '/api/v1/inventory', { serial: 'SN-known' });
  for (const serial of ['SN-known', 'SN-forgotten']) expect((await disown(serial)).status).toBe(200);
  expect(running.disowned).toEqual(['SN-known', 'SN-forgotten']);
  expect((await running.call('GET', '/api/v1/audit')).json).toEqual(
    expect.arrayContaining([expect.objectContaining({ action: 'disowned', subject: 'SN-forgotten' })]),
  );
});

it('is not of a box that has its place here, nor of one that is not named twice', async () => {
  const { status, json } = await disown('SN-branch1');
  expect([status, json.message]).toEqual([409, expect.stringContaining('SN-branch1 is the box of branch1')]);
  expect((await disown('SN-1', 'SN-2')).status).toBe(400);
  expect(running.disowned).toEqual([]);
});

it('is a command that says what follows', async () => {
  const access = await accessTo(running);
  let printed = '';
  vi.spyOn(process.stdout, 'write').mockImplementation((text) => (printed += String(text)) !== '');
  const program = await createProgram((name) => name === 'fleet');
  await program.parseAsync(['fleet', 'disown', 'SN-1', '--yes', ...access], { from: 'user' });
  expect(printed).toContain('who asks for it next owns it');
  expect(running.disowned).toEqual(['SN-1']);
});
