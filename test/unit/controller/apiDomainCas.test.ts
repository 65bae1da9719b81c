/** The end of a CA rollover by the REST API: who would be shut out, dropping once, what is on record, and what is signed anew. */
import { beforeEach, expect, it } from 'vitest';
import type { Credential } from '../../../src/pki/issue.ts';
import { signJws } from '../../../src/pki/jws.ts';
import { issue } from '../pki/domain.ts';
import { DOMAIN_CAS, type RunningApi, useApi } from './apiWorld.ts';

const FIRST = DOMAIN_CAS.first.certificate.fingerprintSha256;
const NEXT = DOMAIN_CAS.next.certificate.fingerprintSha256;
const PATH = '/api/v1/domain-cas';
const BOXES = ['renewed', 'behind', 'ended', 'revoked', 'never'] as const;
let running: RunningApi;
let atMs = 0;
useApi((fresh) => {
  running = fresh;
});

async function enrolled(name: string, by: Credential, notAfterMs: number): Promise<void> {
  const { certificate } = issue(by, { kind: 'ldevid', gatewayId: name });
  const { fingerprintSha256, number, pem } = certificate;
  const serial = `SN-${name}`;
  const record = {
    fingerprintSha256,
    number,
    kind: 'ldevid',
    subject: name,
    serial,
    notAfterMs,
    pem,
  } as const;
  await running.store.records.enrol(record, (atMs += 1));
}
beforeEach(async () => {
  const gateways = BOXES.map((id, index) => ({
    id,
    serial: `SN-${id}`,
    role: 'branch',
    site: 'here',
    vtep: `10.255.0.${index + 11}`,
    uplinks: [{ name: 'internet', port: 'wan1' }],
  }));
  for (const id of BOXES) await running.call('POST', '/api/v1/inventory', { serial: `SN-${id}` });
  await running.call('PUT', '/api/v1/fleet', { fleet: { name: 'test' }, gateways });
  await enrolled('renewed', DOMAIN_CAS.first, 90_000);
  await enrolled('renewed', DOMAIN_CAS.next, 90_000);
  await enrolled('behind', DOMAIN_CAS.first, 90_000);
  await enrolled('ended', DOMAIN_CAS.first, 500);
  await enrolled('revoked', DOMAIN_CAS.first, 90_000);
  await running.call('PATCH', '/api/v1/inventory/SN-revoked', { revoked: true });
});
const look = () => running.call('GET', PATH);
const drop = (query = '', headers = {}, sha256 = FIRST) =>
  running.call('DELETE', `${PATH}/${sha256}${query}`, undefined, headers);
const audited = async () =>
  (await running.call('GET', '/api/v1/audit')).json
    .filter(({ action }: { action: string }) => action.startsWith('domain-ca'))
    .map(({ action, subject }: { action: string; subject: string }) => `${action} ${subject}`);

it('says which CA signs, and which boxes did not come along', async () => {
  const { json, etag } = await look();
  expect([json.signing.sha256, json.previous.sha256, json.dropped]).toEqual([NEXT, FIRST, []]);
  expect(json.boxes).toEqual({
    renewedCount: 1,
    behind: [{ gatewayId: 'behind', serial: 'SN-behind', notAfterMs: 90_000 }],
    ended: [{ gatewayId: 'ended', serial: 'SN-ended', notAfterMs: 500 }],
  });
  expect((await running.call('GET', PATH, undefined, { 'if-none-match': String(etag) })).status).toBe(304);
});

it('names the boxes that would be shut out, and does nothing by that', async () => {
  const tried = await drop('?dryRun=true');
  expect([tried.status, tried.json.done, tried.json.behind[0].gatewayId]).toEqual([200, false, 'behind']);
  const refused = await drop();
  expect([refused.status, refused.json.code]).toEqual([409, 'controller/conflict']);
  expect(refused.json.problems).toEqual([
    { path: 'gateways/behind', message: 'SN-behind did not renew yet' },
  ]);
  expect([running.drops, await audited()]).toEqual([[], []]);
});

it('drops it once nobody is behind: the signer first, then here, on record; again it is done already', async () => {
  await enrolled('behind', DOMAIN_CAS.next, 90_000);
  const { etag } = await look();
  const done = await drop('', { 'if-match': etag });
  expect([done.status, done.json.done, done.json.behind]).toEqual([200, true, []]);
  expect(running.drops).toEqual([`signer ${FIRST}`, 'followed']);
  expect(await audited()).toEqual([`domain-ca-drop-begun ${FIRST}`, `domain-ca-dropped ${FIRST}`]);
  const again = await drop('', { 'if-match': etag });
  expect([again.status, again.json.done, running.drops.length]).toEqual([200, true, 2]);
  const { json } = await look();
  expect([json.previous, json.dropped[0].sha256, json.dropped[0].actor]).toEqual([undefined, FIRST, 'admin']);
});

it('drops it over boxes that are behind where it is insisted, and says which', async () => {
  const done = await drop('?insist=true');
  expect([done.status, done.json.behind[0].serial, running.drops.length]).toEqual([200, 'SN-behind', 2]);
});

it('takes no tag of another day, and drops neither the one that signs nor one that there is not', async () => {
  const { etag } = await look();
  await enrolled('behind', DOMAIN_CAS.next, 90_000);
  expect((await drop('', { 'if-match': etag })).status).toBe(412);
  expect((await drop('', { 'if-match': 'x' })).status).toBe(400);
  expect((await drop('', {}, NEXT)).json.message).toContain('signs');
  expect((await drop('', {}, 'ab'.repeat(32))).status).toBe(404);
  expect((await drop('?insist=perhaps')).status).toBe(400);
  expect(running.drops).toEqual([]);
});

it('what failed half way is done by the next call', async () => {
  await enrolled('behind', DOMAIN_CAS.next, 90_000);
  running.followFails.push(new Error('the broker is away'));
  expect((await drop()).status).toBe(500);
  expect((await look()).json.dropped[0].doneAtMs).toBeUndefined();
  expect((await drop()).status).toBe(200);
  expect(running.drops.at(-1)).toBe('followed');
  expect((await look()).json.dropped[0].doneAtMs).toBe(1_000);
});

it('has states signed anew that the dropped CA stands behind, and no others', async () => {
  const signed = (by: Credential) =>
    signJws(Buffer.from('{}'), issue(by, { kind: 'configuration-signing', commonName: 'signing' }));
  const { gateways } = running.store;
  for (const [gatewayId, by] of [
    ['renewed', DOMAIN_CAS.next],
    ['behind', DOMAIN_CAS.first],
  ] as const) {
    const number = { epoch: 1, generation: 4, digest: gatewayId, specDigest: 'same' };
    await gateways.putDesired({ gatewayId, ...number, jws: signed(by) }, 1);
  }
  await drop('?insist=true');
  expect((await gateways.allDesired()).map(({ gatewayId, specDigest }) => [gatewayId, specDigest])).toEqual([
    ['behind', ''],
    ['renewed', 'same'],
  ]);
});
