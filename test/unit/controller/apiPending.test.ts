/** The REST API of boxes that nobody named: listed, approved, denied, claimed. */
import { expect, it } from 'vitest';
import { describe as render } from '../../../src/cli/fleetPending.ts';
import type { PendingBox } from '../../../src/controller/store/entities.ts';
import { claimCodeOf } from '../../../src/model/assignment.ts';
import { type RunningApi, useApi } from './apiWorld.ts';
import { branch, SMALL_FLEET } from './fixtures.ts';

let running: RunningApi;
const spkiSha256 = 'ab'.repeat(32);
const BOX: PendingBox = {
  serial: 'SN-new',
  spkiSha256,
  issuerKeyId: '01',
  claimCode: claimCodeOf(spkiSha256),
  state: 'waiting',
  address: '198.51.100.7',
  unproven: { hostname: 'lobby', 'mac-address': ['02:00:00:00:00:01'] },
  rule: 'ours',
  firstSeenMs: 1,
  lastSeenMs: 1,
};
const { serial: _, ...FREE } = branch('free', '10.255.0.21');
const FLEET = {
  ...SMALL_FLEET,
  gateways: [...SMALL_FLEET.gateways, FREE],
  rules: [{ name: 'ours', match: { serial: 'SN-*' }, place: { site: 'free' } }],
};

useApi(async (fresh) => {
  running = fresh;
  await running.call('PUT', '/api/v1/fleet', FLEET);
  await running.store.pending.see(BOX);
});

it('who waits is listed, approved into its place, and stays there under a file that knows nothing of it', async () => {
  expect((await running.call('GET', '/api/v1/pending')).json).toEqual([BOX]);
  const approved = await running.call('POST', '/api/v1/pending/SN-new/approve', {});
  expect([approved.status, approved.json.approved, approved.json.joined]).toEqual([200, true, 'operator']);
  expect((await running.call('GET', '/api/v1/gateways/free')).json.serial).toBe('SN-new');
  expect((await running.call('PUT', '/api/v1/fleet', FLEET)).status).toBe(200);
  expect((await running.call('GET', '/api/v1/gateways/free')).json.serial).toBe('SN-new');
  // Forgotten: the next file takes its place away.
  await running.call('DELETE', '/api/v1/inventory/SN-new');
  await running.call('PUT', '/api/v1/fleet', FLEET);
  expect((await running.call('GET', '/api/v1/gateways/free')).json.serial).toBeUndefined();
});

it('a box that the inventory held without a place stays where an operator, or its claim code, put it', async () => {
  await running.call('POST', '/api/v1/inventory', { serial: 'SN-new', approved: false });
  expect((await running.call('POST', '/api/v1/pending/SN-new/approve', {})).json.joined).toBe('operator');
  expect((await running.call('PUT', '/api/v1/fleet', FLEET)).status).toBe(200);
  expect((await running.call('GET', '/api/v1/gateways/free')).json.serial).toBe('SN-new');
});

it('who is denied is kept as denied, and forgotten on demand', async () => {
  expect((await running.call('POST', '/api/v1/pending/SN-new/deny', {})).status).toBe(204);
  expect((await running.call('GET', '/api/v1/pending')).json).toMatchObject([{ state: 'denied' }]);
  expect((await running.call('DELETE', '/api/v1/pending/SN-new?key=cdcdcdcd')).status).toBe(404);
  expect((await running.call('DELETE', `/api/v1/pending/SN-new?key=${BOX.claimCode}`)).status).toBe(204);
  expect((await running.call('POST', '/api/v1/pending/SN-new/approve', {})).status).toBe(404);
});

it('a claim waits for its box, and can be taken back', async () => {
  const code = 'ABCD-EFGH-JKLM';
  const claim = (body: object) => running.call('POST', '/api/v1/claims', body);
  expect((await claim({ code: 'abcd', gateway: 'free' })).status).toBe(400);
  expect((await claim({ code, gateway: 'nowhere' })).status).toBe(404);
  expect((await claim({ code, gateway: 'branch1' })).status).toBe(409);
  expect(await claim({ code, gateway: 'free' })).toMatchObject({
    status: 201,
    json: { code, gateway: 'free', endsAtMs: expect.any(Number) },
  });
  expect((await running.call('GET', '/api/v1/claims')).json).toMatchObject([{ code, gatewayId: 'free' }]);
  expect((await running.call('DELETE', `/api/v1/claims/${code}`)).status).toBe(204);
  expect((await running.call('DELETE', `/api/v1/claims/${code}`)).status).toBe(404);
  // A box that waits is let in at once.
  expect((await claim({ code: BOX.claimCode, gateway: 'free' })).json).toMatchObject({ serial: 'SN-new' });
});

it('on a terminal a box’s own words are in brackets, and cannot move the cursor', () => {
  const hostile = { ...BOX, unproven: { ...BOX.unproven, hostname: 'x\u001b[2Jy' } };
  const text = render([hostile], [{ serial: 'SN-two', approved: false, twoFactor: true, state: 'expected' }]);
  expect(text).toContain('[x?[2Jy 02:00:00:00:00:01]');
  expect(text).not.toContain('\u001b');
  expect(text).toContain('SN-two');
  expect(render([], [])).toBe('nobody waits');
});

it.each([
  ['made known', () => running.call('POST', '/api/v1/inventory', { serial: 'SN-new' })],
  [
    'put in the place of another',
    () => running.call('POST', '/api/v1/gateways/branch1/replacement', { serial: 'SN-new' }),
  ],
])('a box that waited and was %s waits for nobody any more', async (_, act) => {
  expect((await act()).status).toBeLessThan(300);
  expect((await running.call('GET', '/api/v1/pending')).json).toEqual([]);
});

it('a box that waited and is approved in the inventory waits until it has a place, too', async () => {
  const approve = () => running.call('PATCH', '/api/v1/inventory/SN-new', { approved: true });
  const waiting = async () => (await running.call('GET', '/api/v1/pending')).json;
  await running.call('POST', '/api/v1/inventory', { serial: 'SN-new', approved: false });
  expect((await approve()).status).toBe(200);
  expect(await waiting()).toEqual([BOX]);
  await running.call('PUT', '/api/v1/gateways/free', { ...FREE, serial: 'SN-new' });
  expect((await approve()).status).toBe(200);
  expect(await waiting()).toEqual([]);
});
