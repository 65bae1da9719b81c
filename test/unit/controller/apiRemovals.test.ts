/** A whole fleet in place of the present one, by the API: boxes that would lose their place are asked for by count. */
import { expect, it } from 'vitest';
import { type RunningApi, useApi } from './apiWorld.ts';

let running: RunningApi;
const ALL = [1, 2, 3, 4];
const fleetOf = (hosts: readonly number[], prefix = 'SN') => ({
  fleet: { name: 'test' },
  gateways: hosts.map((host) => ({
    id: `branch${host}`,
    serial: `${prefix}-${host}`,
    role: 'branch',
    site: 'here',
    vtep: `10.255.0.${host}`,
    uplinks: [{ name: 'internet', port: 'wan1' }],
  })),
});
const put = (fleet: object, query = '') => running.call('PUT', `/api/v1/fleet${query}`, fleet);
const stored = async () => (await running.call('GET', '/api/v1/fleet')).json;

useApi(async (fresh) => {
  running = fresh;
  await put(fleetOf(ALL));
});

it.each([
  ['an empty one', fleetOf([]), '', 4],
  ['one that was cut short', fleetOf([1, 2]), '', 2],
  ['that of another fleet, whose gateways have the same names', fleetOf(ALL, 'OTHER'), '', 4],
  ['two boxes that change places', { ...fleetOf(ALL), gateways: swapped() }, '', 2],
  ['another count than the true one', fleetOf([]), '?removes=3', 4],
  ['a count of none where one goes', fleetOf([1, 2, 3]), '?removes=0', 1],
])('refuses %s, and changes nothing', async (_what, fleet, query, count) => {
  const [before, changes] = [await stored(), running.triggered.length];
  const answer = await put(fleet, query);
  expect([answer.status, answer.json.code]).toEqual([409, 'controller/conflict']);
  expect(answer.json.mend).toContain(`?removes=${count} `);
  expect(await stored()).toEqual(before);
  expect(running.triggered.length).toBe(changes);
  expect((await put(fleet, `?removes=${count}`)).status).toBe(200);
  expect(await stored()).not.toEqual(before);
});

it.each([
  ['one box less', fleetOf([1, 2, 3]), ''],
  [
    'another box in one place',
    { ...fleetOf(ALL), gateways: [...fleetOf([1], 'NEW').gateways, ...rest()] },
    '',
  ],
  ['the same fleet, of which none is to go', fleetOf(ALL), '?removes=0'],
])('takes %s', async (_what, fleet, query) => {
  expect((await put(fleet, query)).status).toBe(200);
});

it('takes no count that is none', async () => {
  for (const count of ['all', '-1', '1.5'])
    expect((await put(fleetOf([]), `?removes=${count}`)).status).toBe(400);
  expect((await stored()).gateways).toHaveLength(4);
});

function rest() {
  return fleetOf([2, 3, 4]).gateways;
}
function swapped() {
  return fleetOf(ALL).gateways.map((one) => {
    const other = { branch1: 'SN-2', branch2: 'SN-1' }[one.id];
    return other === undefined ? one : { ...one, serial: other };
  });
}
