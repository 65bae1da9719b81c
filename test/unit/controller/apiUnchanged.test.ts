/** A fleet, or a part of it, that is sent as it is: nothing is written, nobody is told anything. */
import { stringify as stringifyToml } from 'smol-toml';
import { beforeEach, describe, expect, it } from 'vitest';
import { type RunningApi, useApi } from './apiWorld.ts';
import { fleetOf, RED, SMALL_FLEET } from './fixtures.ts';
import { createPublishing } from './publishingWorld.ts';

let running: RunningApi;
useApi((fresh) => {
  running = fresh;
});

const FLEET = '/api/v1/fleet';
const audited = async () => (await running.call('GET', '/api/v1/audit')).json.length;
/** The same fields, in the other order. */
const reversed = (value: unknown): unknown =>
  Array.isArray(value)
    ? value.map(reversed)
    : typeof value === 'object' && value !== null
      ? Object.fromEntries(
          Object.entries(value)
            .toReversed()
            .map(([key, field]) => [key, reversed(field)]),
        )
      : value;

describe('a fleet that is as described', () => {
  beforeEach(() => running.call('PUT', FLEET, SMALL_FLEET));

  const toml = { 'content-type': 'application/toml' };
  const [first, ...rest] = SMALL_FLEET.segments;
  it.each<[string, unknown, Record<string, string>]>([
    ['byte by byte', SMALL_FLEET, {}],
    ['with its fields in another order', reversed(SMALL_FLEET), {}],
    ['as TOML', stringifyToml(JSON.parse(JSON.stringify(SMALL_FLEET))), toml],
    ['with what is absent anyway said to be so', { ...SMALL_FLEET, rules: [] }, {}],
    ['under its own tag', SMALL_FLEET, { 'if-match': '"1"' }],
  ])('%s stays at its revision', async (_, body, headers) => {
    const before = { rows: await audited(), told: running.changes.length };
    const answer = await running.call('PUT', FLEET, body, headers);
    expect([answer.status, answer.etag, answer.json]).toEqual([200, '"1"', SMALL_FLEET]);
    expect(await running.store.fleet.revision()).toBe(1);
    expect({ rows: await audited(), told: running.changes.length }).toEqual(before);
  });

  it('is one only to who saw it: another tag is refused as ever', async () => {
    expect((await running.call('PUT', FLEET, SMALL_FLEET, { 'if-match': '"7"' })).status).toBe(412);
  });

  it('is another one where its lists have another order: who comes first has a meaning', async () => {
    const turned = { ...SMALL_FLEET, segments: [...rest, first] };
    expect((await running.call('PUT', FLEET, turned)).etag).toBe('"2"');
  });

  it('stays so where a part of it is replaced by itself', async () => {
    const answer = await running.call('PUT', '/api/v1/segments/red-lan', RED);
    expect([answer.status, answer.etag]).toEqual([200, '"1"']);
    expect((await running.call('PUT', '/api/v1/segments/red-lan', { ...RED, vni: 10_011 })).etag).toBe('"2"');
  });
});

it('the boxes of a fleet that was sent again keep the messages that they have', async () => {
  const world = await createPublishing();
  await world.round();
  const before = await world.store.gateways.allDesired();
  const again = fleetOf(SMALL_FLEET.gateways);
  await world.fleet.change({ actor: 'test', subject: 'fleet', next: { replace: () => again } });
  expect(await world.round()).toEqual([]);
  expect(await world.store.gateways.allDesired()).toEqual(before);
  expect(await world.store.fleet.revision()).toBe(1);
});
