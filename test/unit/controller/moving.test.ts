/** Both ends of a move at a controller: whom it invites, and what it orders of whom. What it hears: movedRoute.test.ts. */
import { beforeEach, describe, expect, it } from 'vitest';
import { NO_ALLOCATIONS } from '../../../src/controller/allocations.ts';
import { createInvitations, readInvitation } from '../../../src/controller/moving.ts';
import { createOrders } from '../../../src/controller/orders.ts';
import { openSqliteStore } from '../../../src/controller/store/sqlite.ts';
import type { Store } from '../../../src/controller/store/store.ts';
import type { Owner } from '../../../src/model/bootstrap.ts';
import type { Invitation } from '../../../src/model/move.ts';
import { onboardingOf } from '../../../src/controller/sztp/onboarding.ts';
import { ownerCertificate, signConveyed } from '../../../src/pki/conveyed.ts';
import { issue, makeCa, NOW_MS } from '../pki/domain.ts';
import { type RunningApi, useApi } from './apiWorld.ts';
import { SMALL_FLEET } from './fixtures.ts';
import { statusWith } from './statusFixture.ts';

const ca = makeCa('Next Domain CA');
const signing = issue(ca, { kind: 'owner', commonName: 'next owner' });
const stranger = issue(makeCa('Other CA'), { kind: 'owner', commonName: 'other' });
const here = { host: 'next.example', port: 8443 };
const SERIAL = statusWith('branch1', { sequence: 1, seed: 7 }).facts.serial;

const ownerAs = (gatewayId: string, domainAnchorPem = ca.certificate.pem): Owner => ({
  schema: 1,
  gatewayId,
  est: here,
  mqtt: here,
  device: here,
  domainAnchorPem,
});
const conveyed = (information: unknown, by = signing) => ({
  conveyed: signConveyed({ content: Buffer.from(JSON.stringify(information)), format: 'json', owner: by }),
  ownerCertificate: ownerCertificate(by),
});
const invite = async (by = signing, owner = ownerAs('there')): Promise<Invitation> =>
  (
    await createInvitations({
      store: { inventory: { get: async () => ENTRY } as unknown as Store['inventory'] },
      admissions: { placeOf: async () => 'there' },
      signer: { conveyed: async (information) => conveyed(information, by) },
      domain: ca.certificate,
      ownerOf: () => owner,
    }).make(SERIAL)
  ).invitation;
const ENTRY = {
  serial: SERIAL,
  approved: true,
  twoFactor: false,
  state: 'expected',
  quarantined: [],
  createdAtMs: 1,
} as const;

const INFORMATION = 'ietf-sztp-conveyed-info:onboarding-information';

describe('an invitation', () => {
  it('says what the owner signed, and the CA that a person compares', async () => {
    const { owner, domainCaSha256 } = await readInvitation(await invite(), NOW_MS);
    expect(owner).toEqual(ownerAs('there'));
    expect(domainCaSha256).toBe(ca.certificate.fingerprintSha256);
  });

  it.each([
    ['that somebody else signed', () => invite(stranger), 'pki/untrusted'],
    ['of another domain than it pins', () => invite(signing, ownerAs('there', ANOTHER)), 'pki/mismatch'],
    ['for another gateway than was signed', () => invite(signing, ownerAs('elsewhere')), 'pki/mismatch'],
    [
      'with a redirect',
      async () => {
        const redirect = { 'bootstrap-server': [{ address: '192.0.2.1', port: 443 }] };
        const signed = conveyed({ 'ietf-sztp-conveyed-info:redirect-information': redirect });
        return { ...(await invite()), conveyedInformation: Buffer.from(signed.conveyed).toString('base64') };
      },
      'model/invalid',
    ],
    [
      'with a script, which the box would refuse',
      async () => {
        const { [INFORMATION]: good } = onboardingOf(ownerAs('there'));
        const signed = conveyed({ [INFORMATION]: { ...good, 'pre-configuration-script': 'AAAA' } });
        return { ...(await invite()), conveyedInformation: Buffer.from(signed.conveyed).toString('base64') };
      },
      'pki/mismatch',
    ],
  ])('%s is none', async (_what, make, code) => {
    await expect(readInvitation(await make(), NOW_MS)).rejects.toMatchObject({ code });
  });
});
const ANOTHER = makeCa('Another CA').certificate.pem;

describe('an order to move', () => {
  let store: Store;
  let nowMs: number;
  let orders: ReturnType<typeof createOrders>;
  const signed: Record<string, unknown>[] = [];
  /** undefined: none comes. */
  let answer: { ok: boolean; message: string } | undefined;
  beforeEach(async () => {
    signed.length = 0;
    answer = { ok: true, message: 'moving' };
    nowMs = NOW_MS;
    store = openSqliteStore(':memory:');
    orders = createOrders({
      store,
      signer: {
        order: async (order) => {
          signed.push(order);
          return 'jws';
        },
      },
      command: async (gatewayId, command) => {
        const id = 'id' in command ? command.id : '';
        if (answer !== undefined) orders.answered(gatewayId, { kind: 'done', id, ...answer });
      },
      timeoutMs: 20,
      clock: { nowMs: () => nowMs },
    });
    await store.gateways.putStatus(statusWith('branch1', { sequence: 1, seed: 7 }), 1);
  });
  const known = async (): Promise<void> => {
    await store.inventory.add(SERIAL, { approved: true }, 1);
    await store.inventory.bind(SERIAL, { issuerKeyId: 'aa', spkiSha256: 'c'.repeat(64) }, 1);
  };
  const order = async (wish: Partial<Invitation> = {}) =>
    orders.move('branch1', { invitation: { ...(await invite()), ...wish }, withinS: 900 }, 'admin');

  it('names the box by serial, factory key and life, ends, and is written down with the CA it pins', async () => {
    await known();
    expect(await order()).toMatchObject({ to: 'next.example', becomes: 'there', message: 'moving' });
    expect(signed).toMatchObject([
      {
        order: 'move',
        gatewayId: 'branch1',
        serial: SERIAL,
        idevidSpkiSha256: 'c'.repeat(64),
        notAfterMs: NOW_MS + 600_000,
        withinS: 900,
        domainAnchorPem: ca.certificate.pem,
      },
    ]);
    const audit = await store.records.auditPage({ limit: 10 });
    expect(audit.map(({ action }) => action)).toEqual(['move-ordered', 'move', 'move']);
    expect(audit[0]?.detail).toContain(ca.certificate.fingerprintSha256);
  });

  it('is remembered with the box; where that refuses, or is gone already, what was remembered before counts', async () => {
    await known();
    await order();
    const first = (await store.inventory.get(SERIAL))?.move;
    expect(first).toEqual({
      to: 'next.example',
      becomes: 'there',
      generation: signed[0]?.['generation'],
      orderedAtMs: NOW_MS,
    });
    answer = { ok: false, message: 'on its way already' };
    await expect(order()).rejects.toMatchObject({ code: 'controller/refused' });
    expect((await store.inventory.get(SERIAL))?.move).toEqual(first);
    answer = undefined;
    await expect(order()).rejects.toMatchObject({ code: 'controller/unreachable' });
    const second = (await store.inventory.get(SERIAL))?.move;
    expect(second?.generation).toBe(signed[2]?.['generation']);
    if (second === undefined) throw new Error('nothing is remembered');
    await store.inventory.recordMove(SERIAL, { ...second, movedAtMs: NOW_MS });
    await expect(order()).rejects.toMatchObject({ code: 'controller/unreachable' });
    expect((await store.inventory.get(SERIAL))?.move).toEqual({ ...second, movedAtMs: NOW_MS });
  });

  it('has a generation that grows, also where the clock was put back', async () => {
    await known();
    await order();
    nowMs -= 1_000;
    await order();
    const [first, second] = signed.map(({ generation }) => Number(generation));
    expect(second).toBe((first ?? 0) + 1);
  });

  it('is made of nobody who has not enrolled, nor by an invitation of another box, nor by one that nobody signed', async () => {
    await expect(order()).rejects.toMatchObject({ code: 'controller/not-found' });
    await known();
    await expect(order({ serial: 'SN-other' })).rejects.toMatchObject({ code: 'controller/conflict' });
    await expect(order({ domainAnchorPem: ANOTHER })).rejects.toMatchObject({ code: 'pki/untrusted' });
    expect(signed).toEqual([]);
  });

  it('of a place that was given to another box waits for that one, and has no other invited', async () => {
    await known();
    const gateways = SMALL_FLEET.gateways.map((one) =>
      one.id === 'branch1' ? { ...one, serial: 'SN-9' } : one,
    );
    await store.fleet.replace({ fleet: { ...SMALL_FLEET, gateways }, allocations: NO_ALLOCATIONS }, 0, 1);
    await expect(order({ serial: 'SN-9' })).rejects.toMatchObject({
      code: 'controller/not-found',
      message: 'SN-9 has the place of branch1 now, and has not reported yet, so there is none to be moved',
    });
    await expect(order({ serial: 'SN-other' })).rejects.toMatchObject({
      code: 'controller/conflict',
      message: 'the invitation is for SN-other, branch1 is SN-9',
      mend: 'have the other controller invite it: branchbox fleet invite SN-9',
    });
    expect(signed).toEqual([]);
  });
});

describe('over the API', () => {
  let running: RunningApi;
  useApi(async (fresh) => {
    running = fresh;
    const gateway = { id: 'one', serial: 'SN-1', role: 'branch', site: 'here', vtep: '10.255.0.11' };
    const gateways = [{ ...gateway, uplinks: [{ name: 'internet', port: 'wan1' }] }];
    await running.call('PUT', '/api/v1/fleet', { fleet: { name: 'test' }, gateways });
  });
  const ask = () => running.call('POST', '/api/v1/inventory/SN-1/invitation', {});

  it('a box is invited that could enrol by itself, and no other', async () => {
    expect((await ask()).status).toBe(404);
    await running.call('POST', '/api/v1/inventory', { serial: 'SN-1', approved: false });
    expect((await ask()).json.message).toContain('not approved');
    await running.store.inventory.update('SN-1', { approved: true });
    const { status, json } = await ask();
    expect([status, json.invitation.gatewayId]).toEqual([201, 'one']);
    await running.store.inventory.update('SN-1', { state: 'revoked' });
    expect((await ask()).json.message).toContain('revoked');
    expect((await running.call('GET', '/api/v1/audit')).text).toContain('invited');
  });

  it('a gateway is ordered away within a time that has bounds', async () => {
    const invitation = await invite();
    const move = (withinS?: number) =>
      running.call('POST', '/api/v1/gateways/one/move', { invitation, ...(withinS && { withinS }) });
    expect(await move()).toMatchObject({ status: 200, json: { becomes: 'there', to: 'next.example' } });
    expect(running.resets).toEqual(['one moves within 900 s for admin']);
    expect((await move(5)).status).toBe(400);
    expect((await move(90_000)).status).toBe(400);
  });
});
