/** The REST API of a bootstrap medium: what is signed, by whom it may be asked for, and that nothing of it is kept. */
import { expect, it } from 'vitest';
import { MediumConfiguration } from '../../../src/model/medium.ts';
import { type RunningApi, useApi } from './apiWorld.ts';

const INVENTORY = '/api/v1/inventory';
const PPPOE = { schema: 1, addressing: { kind: 'pppoe', user: 'line7', password: 'hunter2' } };
let running: RunningApi;
const make = (serial: string, body: object = {}) =>
  running.call('POST', `${INVENTORY}/${serial}/medium`, body);

useApi(async (fresh) => {
  running = fresh;
  const gateway = {
    id: 'branch1',
    serial: 'SN-1',
    role: 'branch',
    site: 'here',
    vtep: '10.255.0.11',
    uplinks: [{ name: 'internet', port: 'wan1' }],
  };
  await running.call('PUT', '/api/v1/fleet', { fleet: { name: 'test' }, gateways: [gateway] });
  for (const serial of ['SN-1', 'SN-2']) await running.call('POST', INVENTORY, { serial });
});

it('signs owner and network as one, with a voucher that has no nonce and ends', async () => {
  const { status, json } = await make('SN-1', { network: PPPOE, validS: 7_200 });
  expect(status).toBe(201);
  expect(json).toMatchObject({ serial: 'SN-1', gatewayId: 'branch1', expiresOnMs: 1_000 + 7_200_000 });
  expect(json.files.map(({ path }: { path: string }) => path)).toEqual([
    'branchbox/bootstrap/SN-1/conveyed-information.cms',
    'branchbox/bootstrap/SN-1/owner-certificate.cms',
    'branchbox/bootstrap/SN-1/ownership-voucher.vcj',
  ]);
  expect(running.wishes).toMatchObject([{ serialNumber: 'SN-1', expiresOnMs: 1_000 + 7_200_000 }]);
  expect(running.wishes[0]).not.toHaveProperty('nonce');
  const [information] = running.conveyed as {
    'ietf-sztp-conveyed-info:onboarding-information': { configuration: string };
  }[];
  const { configuration } = information?.['ietf-sztp-conveyed-info:onboarding-information'] ?? {};
  const said = MediumConfiguration.parse(JSON.parse(Buffer.from(configuration ?? '', 'base64').toString()));
  expect(said).toMatchObject({ gatewayId: 'branch1', network: PPPOE });
  expect(said.network?.bootstrapServers).toEqual(['https://controller.example:8443']);
  expect((await running.call('GET', '/api/v1/audit')).text).toContain('medium-made');
  expect((await running.call('GET', '/api/v1/audit')).text).not.toContain('hunter2');
});

it.each([
  ['that nobody knows', 'SN-9', {}, 404],
  ['without a place in the fleet', 'SN-2', {}, 404],
  ['for longer than the manufacturer vouches', 'SN-1', { validS: 366 * 86_400 }, 400],
  [
    'with a line break in a password',
    'SN-1',
    { network: { ...PPPOE, addressing: { ...PPPOE.addressing, password: 'a\nb' } } },
    400,
  ],
])('makes none for a box %s', async (_, serial, body, status) => {
  expect((await make(serial, body)).status).toBe(status);
  expect(running.wishes).toEqual([]);
});

it('makes none for a box that is revoked', async () => {
  await running.call('PATCH', `${INVENTORY}/SN-1`, { revoked: true });
  expect((await make('SN-1')).status).toBe(409);
  expect(running.wishes).toEqual([]);
});
