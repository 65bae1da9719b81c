/** A word that is out of its bounds, or would do nothing beside the others, is refused by its own name, and what a command says that it did is so. */
import { existsSync } from 'node:fs';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { createProgram } from '../../../src/cli/program.ts';
import { claimCodeOf } from '../../../src/model/assignment.ts';
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
  ['fleet activation SN-1 --length many', '--length wants a number of characters from 4 to 10, not many'],
  ['fleet activation SN-1 --length 3', '--length wants a number of characters from 4 to 10, not 3'],
  ['fleet activation SN-1 --length 11', '--length wants a number of characters from 4 to 10, not 11'],
  ['fleet activation SN-1 --valid 59s', '--valid wants a span of time from 60s to 7d, not 59s'],
  ['fleet activation SN-1 --valid 8d', '--valid wants a span of time from 60s to 7d, not 8d'],
  ['fleet activation SN-1 --valid soon', '--valid wants a span of time from 60s to 7d, not soon'],
  ['fleet usb SN-1 --out /nowhere --valid 10m', '--valid wants a span of time from 1h to 365d, not 10m'],
  ['fleet apply package.json', 'package.json is not TOML'],
  ['fleet apply src/lab/topologies/default/fleet.toml --removes many', '--removes wants a number of boxes'],
  ['manufacturer init --state /proc/none --name bad_name', '--name wants a DNS name, not "bad_name"'],
  [
    'manufacturer init --state /proc/none --name m.example --address 300.1.1.1',
    '--address wants IP addresses',
  ],
  // As a unit passes two of its environment file: one word.
  [
    'manufacturer init --state /proc/none --name m.example --address 192.0.2.1\t300.1.1.1',
    '--address wants IP addresses, not "300.1.1.1"',
  ],
  ['manufacturer serve --state /proc/none --listen 9443', '--listen wants an address and a port, not "9443"'],
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

it('fleet approve --key that is none says what a key is', async () => {
  await expect(run('fleet approve SN-1 --key zz')).rejects.toMatchObject({
    problems: [{ message: expect.stringContaining('claim code') }],
  });
});

it('fleet approve --key takes a claim code as it is typed', async () => {
  const spkiSha256 = 'ab'.repeat(32);
  const claimCode = claimCodeOf(spkiSha256);
  await running.store.pending.see({
    serial: 'SN-7',
    spkiSha256,
    issuerKeyId: '01',
    claimCode,
    state: 'waiting',
    unproven: { 'mac-address': [] },
    rule: 'ours',
    firstSeenMs: 1,
    lastSeenMs: 1,
  });
  await run(`fleet deny SN-7 --key ${claimCode.toLowerCase().replaceAll('-', '')}`);
  expect((await running.call('GET', '/api/v1/pending')).json).toMatchObject([{ state: 'denied' }]);
});

it('the bounds of spans and lengths are those of the controller', async () => {
  await run('fleet inventory SN-5 --two-factor');
  for (const words of ['--valid 60s', '--valid 7d', '--length 4', '--length 10'])
    await run(`fleet activation SN-5 ${words}`);
  const body = (wish: object) => running.call('POST', '/api/v1/inventory/SN-5/activation', wish);
  for (const wish of [{ validS: 59 }, { validS: 7 * 86_400 + 1 }, { codeLength: 3 }, { codeLength: 11 }])
    expect((await body(wish)).status).toBe(400);
});

it('fleet usb says where it had to make the directory of a stick, which then is none', async () => {
  await run('fleet inventory SN-branch1');
  const said = vi.spyOn(process.stderr, 'write').mockReturnValue(true);
  const told = () => said.mock.calls.map(([text]) => String(text)).join('');
  const mounted = running.directory;
  await run(`fleet usb SN-branch1 --json --out ${mounted}`);
  expect(told()).toBe('');
  await run(`fleet usb SN-branch1 --json --out ${mounted}/stik`);
  expect(told()).toContain(`${mounted}/stik was not there and was made`);
  expect(existsSync(`${mounted}/stik/branchbox/bootstrap/SN-branch1/label.svg`)).toBe(true);
});

it('fleet approve of a box that was denied does not say that it may enrol', async () => {
  await run('fleet inventory SN-6 --two-factor');
  await run('fleet deny SN-6');
  printed = '';
  await expect(run('fleet approve SN-6')).rejects.toMatchObject({
    code: 'controller/conflict',
    message: 'SN-6 is revoked, so it may not enrol',
    mend: expect.stringContaining('branchbox fleet release SN-6'),
  });
  expect(printed).toBe('');
  expect((await running.call('GET', '/api/v1/inventory/SN-6')).json).toMatchObject({ approved: false });
  await run('fleet release SN-6');
  await run('fleet approve SN-6');
  expect(printed).toContain('SN-6 may enrol');
});

it('fleet release of a box that never typed its code does not spare it the code', async () => {
  await run('fleet inventory SN-8 --two-factor');
  await run('fleet deny SN-8');
  await run('fleet release SN-8');
  expect((await running.call('GET', '/api/v1/inventory/SN-8')).json).toMatchObject({
    state: 'expected',
    approved: false,
    twoFactor: true,
  });
  expect(printed).toContain('it enrols once its installer typed a code (branchbox fleet activation SN-8)');
  // One that had enrolled is the box that it was.
  await running.store.inventory.bind('SN-8', { spkiSha256: 'ab'.repeat(32), issuerKeyId: '01' }, 1);
  await run('fleet deny SN-8');
  await run('fleet release SN-8');
  expect((await running.call('GET', '/api/v1/inventory/SN-8')).json).toMatchObject({
    state: 'enrolled',
    approved: true,
  });
});
