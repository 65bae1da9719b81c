/** Another box in a gateway's place: what moves, who is revoked, and who cannot take it. */
import { expect, it } from 'vitest';
import { type RunningApi, useApi } from './apiWorld.ts';

let running: RunningApi;
const gateway = (id: string, host: number) => ({
  id,
  serial: `SN-${id}`,
  role: 'branch',
  site: 'here',
  vtep: `10.255.0.${host}`,
  uplinks: [{ name: 'internet', port: 'wan1' }],
});
const replace = (id: string, body: object) =>
  running.call('POST', `/api/v1/gateways/${id}/replacement`, body);
const entry = async (serial: string) => (await running.call('GET', `/api/v1/inventory/${serial}`)).json;
const serialOf = async (id: string) => (await running.call('GET', `/api/v1/gateways/${id}`)).json.serial;

useApi(async (fresh) => {
  running = fresh;
  for (const id of ['one', 'two']) await running.call('POST', '/api/v1/inventory', { serial: `SN-${id}` });
  const gateways = [gateway('one', 11), gateway('two', 12)];
  await running.call('PUT', '/api/v1/fleet', { fleet: { name: 'test' }, gateways });
});

it('moves the place, revokes the old box, and makes the new one known and approved', async () => {
  const before = running.triggered.length;
  const { status, json } = await replace('one', { serial: 'SN-new' });
  expect([status, json]).toEqual([200, { gatewayId: 'one', serial: 'SN-new', replaced: 'SN-one' }]);
  expect(await serialOf('one')).toBe('SN-new');
  expect(await entry('SN-one')).toMatchObject({ state: 'revoked' });
  expect(await entry('SN-new')).toMatchObject({ state: 'expected', approved: true });
  expect(await entry('SN-two')).toMatchObject({ state: 'expected' });
  expect(running.triggered.length).toBe(before + 1);
  expect((await running.call('GET', '/api/v1/audit')).text).toContain('SN-one by SN-new');
});

it.each([
  ['asked for now', async () => undefined, { twoFactor: true }],
  [
    'asked for before',
    () => running.call('POST', '/api/v1/inventory', { serial: 'SN-new', twoFactor: true }),
    {},
  ],
])('a second factor that was %s is kept', async (_when, prepare, flags) => {
  await prepare();
  expect((await replace('one', { serial: 'SN-new', ...flags })).status).toBe(200);
  expect(await entry('SN-new')).toMatchObject({ approved: false, twoFactor: true });
});

it('takes no box of another gateway, none that was revoked, and no gateway that there is not', async () => {
  expect((await replace('one', { serial: 'SN-two' })).status).toBe(409);
  expect((await replace('one', { serial: 'SN-one' })).status).toBe(409);
  expect((await replace('none', { serial: 'SN-new' })).status).toBe(404);
  await replace('two', { serial: 'SN-new' });
  expect((await replace('one', { serial: 'SN-two' })).json.message).toContain('was revoked');
  expect(await serialOf('one')).toBe('SN-one');
  expect(await entry('SN-one')).toMatchObject({ state: 'expected' });
});

it('a second factor that is asked for of a box that is known as approved is asked of it', async () => {
  await running.call('POST', '/api/v1/inventory', { serial: 'SN-new' });
  await replace('one', { serial: 'SN-new', twoFactor: true });
  expect(await entry('SN-new')).toMatchObject({ approved: false, twoFactor: true });
});

it('a box that its code or an operator let in already is not asked for another', async () => {
  await running.call('POST', '/api/v1/inventory', { serial: 'SN-new', twoFactor: true });
  await running.call('PATCH', '/api/v1/inventory/SN-new', { approved: true });
  await replace('one', { serial: 'SN-new', twoFactor: true });
  expect(await entry('SN-new')).toMatchObject({ approved: true, twoFactor: true });
});

it.each([
  ['never told a serial', undefined],
  ['is told the new one', 'SN-new'],
])('the new box keeps its place under a fleet file that %s', async (_, serial) => {
  await replace('one', { serial: 'SN-new' });
  const { serial: _old, ...one } = gateway('one', 11);
  const gateways = [{ ...one, ...(serial === undefined ? {} : { serial }) }, gateway('two', 12)];
  expect((await running.call('PUT', '/api/v1/fleet', { fleet: { name: 'test' }, gateways })).status).toBe(
    200,
  );
  expect(await serialOf('one')).toBe('SN-new');
});

it('a fleet file of before puts no revoked box back in the place of one that works', async () => {
  await replace('one', { serial: 'SN-new' });
  const file = { fleet: { name: 'test' }, gateways: [gateway('one', 11), gateway('two', 12)] };
  const { status, json } = await running.call('PUT', '/api/v1/fleet', file);
  expect(status).toBe(409);
  expect(json).toMatchObject({
    message: 'one would go from SN-new to SN-one, which was revoked',
    mend: expect.stringContaining('branchbox fleet release SN-one'),
  });
  expect((await running.call('PUT', '/api/v1/gateways/one', gateway('one', 11))).status).toBe(409);
  expect(await serialOf('one')).toBe('SN-new');
  // Who means it says so.
  await running.call('PATCH', '/api/v1/inventory/SN-one', { revoked: false });
  expect((await running.call('PUT', '/api/v1/fleet', file)).status).toBe(200);
});
