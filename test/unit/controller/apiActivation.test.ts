/** The REST API of the second factor: who gets a code, that it is told once, and within which limits. */
import { expect, it } from 'vitest';
import { type RunningApi, useApi } from './apiWorld.ts';

const INVENTORY = '/api/v1/inventory';
const ACTIVATION = `${INVENTORY}/SN-1/activation`;
let running: RunningApi;
const make = (body: object = {}) => running.call('POST', ACTIVATION, body);
const approve = (change: object) => running.call('PATCH', `${INVENTORY}/SN-1`, change);

useApi(async (fresh) => {
  running = fresh;
  await running.call('POST', INVENTORY, { serial: 'SN-1', twoFactor: true });
});

it('a box with a second factor is not approved until something approves it', async () => {
  expect((await running.call('GET', `${INVENTORY}/SN-1`)).json).toMatchObject({
    approved: false,
    twoFactor: true,
  });
  await running.call('POST', INVENTORY, { serial: 'SN-2' });
  expect((await running.call('GET', `${INVENTORY}/SN-2`)).json).toMatchObject({
    approved: true,
    twoFactor: false,
  });
});

it('a code is told once, in the words to be sent by two ways', async () => {
  const { status, json } = await make({ codeLength: 5, validS: 60 });
  expect(status).toBe(201);
  expect(json.code).toHaveLength(5);
  expect(json.endsAtMs).toBe(1_000 + 60_000);
  expect(json.mail).toContain(json.link);
  expect(json.mail).not.toContain(json.code);
  expect(json.message).toContain(json.code);
  expect(json.message).not.toContain('link=');
  const standing = await running.call('GET', ACTIVATION);
  expect(standing.json).toEqual({
    endsAtMs: 61_000,
    withLink: true,
    keysTried: 0,
    triesTaken: 0,
    keys: [],
  });
  const audit = (await running.call('GET', '/api/v1/audit')).text;
  expect(audit).toContain('activation-made');
  expect(audit).not.toContain(json.code);
});

it('a code with all as usual needs no body', async () => {
  const made = await running.call('POST', ACTIVATION);
  expect([made.status, made.json.code.length, typeof made.json.link]).toEqual([201, 8, 'string']);
});

it('a code by itself has no link to be mailed', async () => {
  const { json } = await make({ link: false });
  expect([json.code.length, json.link, json.mail]).toEqual([8, undefined, undefined]);
  expect((await running.call('GET', ACTIVATION)).json.withLink).toBe(false);
});

it.each([
  [{ codeLength: 3 }, '$.codeLength'],
  [{ codeLength: 11 }, '$.codeLength'],
  [{ validS: 59 }, '$.validS'],
  [{ validS: 7 * 86_400 + 1 }, '$.validS'],
])('%j is outside the limits', async (body, path) => {
  const { status, json } = await make(body);
  expect(status).toBe(400);
  expect(json.problems.map((problem: { path: string }) => problem.path)).toContain(path);
});

it('is refused for a box that it would not help', async () => {
  await approve({ approved: true });
  expect((await make()).json).toMatchObject({ code: 'controller/conflict', mend: expect.any(String) });
  await approve({ approved: false, twoFactor: false });
  expect((await make()).status).toBe(409);
  await approve({ twoFactor: true, revoked: true });
  expect((await make()).status).toBe(409);
  expect((await running.call('POST', `${INVENTORY}/SN-9/activation`, {})).status).toBe(404);
});

it('can be taken back', async () => {
  await make();
  expect((await running.call('DELETE', ACTIVATION)).status).toBe(204);
  expect((await running.call('DELETE', ACTIVATION)).status).toBe(404);
  expect((await running.call('GET', ACTIVATION)).status).toBe(404);
});
