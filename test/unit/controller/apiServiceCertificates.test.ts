/** The controller's own certificates by the REST API and by the command line: which there are, and taking one out of use. */
import { expect, it } from 'vitest';
import { SERVICE_CERTIFICATES, type RunningApi, useApi } from './apiWorld.ts';

const PATH = '/api/v1/service-certificates';
const { server, client, next } = SERVICE_CERTIFICATES;
let running: RunningApi;
useApi((fresh) => {
  running = fresh;
});
const revoke = (number: string, body: unknown = {}) =>
  running.call('POST', `${PATH}/${number}/revocation`, body);

it('says which are in use, and what is revoked', async () => {
  const { status, json } = await running.call('GET', PATH);
  expect([status, json.revoked]).toEqual([200, []]);
  expect(json.inUse.map(({ kind, number }: { kind: string; number: string }) => [kind, number])).toEqual([
    ['server', server.certificate.number],
    ['client', client.certificate.number],
  ]);
});

it('revokes one in use once there is another, and says so', async () => {
  const { number } = server.certificate;
  const { status, json } = await revoke(number);
  expect([status, json.number, json.replaced]).toEqual([200, number, true]);
  expect(json.certificates.inUse[0].number).toBe(next.certificate.number);
  expect(json.certificates.revoked).toEqual([{ number, revokedAtMs: 1_000, reason: 'keyCompromise' }]);
  expect(running.lists.length).toBe(1);
  expect((await running.call('GET', '/api/v1/audit')).json[0]).toMatchObject({
    action: 'service-certificate-revoked',
    subject: number,
  });
});

it('takes another reason for one that nobody has any more, and no reason that may leave the list', async () => {
  expect((await revoke('0a', { reason: 'superseded' })).json).toMatchObject({
    replaced: false,
    certificates: { revoked: [{ number: '0a', reason: 'superseded' }] },
  });
  expect((await revoke('0b', { reason: 'certificateHold' })).status).toBe(400);
});

it.each(['0', 'xy', 'AB', 'aa'.repeat(21)])('%s is no number', async (number) => {
  expect((await revoke(number)).status).toBe(400);
  expect(running.lists).toEqual([]);
});
