/** What the controller publishes, with a signer and a broker that can be taken away. */
import { describe, expect, it } from 'vitest';
import type { openSqliteStore } from '../../../src/controller/store/sqlite.ts';
import { topicsOf } from '../../../src/model/mqtt.ts';
import { branch, fleetOf, hub, SMALL_FLEET } from './fixtures.ts';
import { createPublishing as world } from './publishingWorld.ts';
import { statusWith } from './statusFixture.ts';

const desiredOf = (id: string) => topicsOf(id).desired;
const generationOf = async (store: ReturnType<typeof openSqliteStore>, id: string) =>
  (await store.gateways.desired(id))?.generation;

describe('publishing', () => {
  it('tells every gateway first, then only those whose design changed', async () => {
    const { round, set, store } = await world();
    expect(await round()).toEqual(['hub', 'branch1', 'branch2'].map(desiredOf));
    expect(await round()).toEqual([]);
    const [hubNow, one, two] = SMALL_FLEET.gateways;
    if (hubNow === undefined || one === undefined || two === undefined) throw new Error('fixture');
    await set({ ...SMALL_FLEET, gateways: [hubNow, { ...one, site: 'elsewhere' }, two] });
    expect(await round()).toEqual([desiredOf('branch1')]);
    expect(await generationOf(store, 'branch1')).toBe(2);
    expect(await generationOf(store, 'branch2')).toBe(1);
  });

  it('waits for a signer and a broker that are away, and uses no number twice', async () => {
    const { round, absent, clock, store } = await world();
    absent.signer = 4;
    absent.broker = 4;
    expect((await round()).sort()).toEqual(['branch1', 'branch2', 'hub'].map(desiredOf));
    expect(clock.slept.length).toBeGreaterThan(1);
    expect(await generationOf(store, 'hub')).toBe(1);
  });

  it('clears what a removed gateway would find, and goes on counting when it comes back', async () => {
    const { round, set, published, store } = await world();
    await round();
    await set({ ...SMALL_FLEET, gateways: SMALL_FLEET.gateways.filter((g) => g.id !== 'branch2') });
    expect(await round()).toEqual([desiredOf('hub'), desiredOf('branch2'), topicsOf('branch2').status]);
    expect(published.at(-1)?.payload).toBe('');
    expect(await round()).toEqual([]);
    await set(SMALL_FLEET);
    expect(await round()).toContain(desiredOf('branch2'));
    expect(await generationOf(store, 'branch2')).toBe(2);
  });

  it('hears of a change at whatever moment of a round, its last one too', async () => {
    const { fleet, publisher, round } = await world();
    await round();
    let rounds = 0;
    const read = fleet.read.bind(fleet);
    fleet.read = () => {
      rounds += 1;
      return read();
    };
    /** A change so many turns of the queue after the first one; whether the first one's round was over by then. */
    const changeAfter = async (turns: number): Promise<boolean> => {
      let isOver = false;
      publisher.trigger();
      void publisher.settled().then(() => {
        isOver = true;
      });
      for (let turn = 0; turn < turns; turn += 1) await Promise.resolve();
      const wasOver: boolean = isOver;
      publisher.trigger();
      await publisher.settled();
      return wasOver;
    };
    for (let turns = 0, wasOver = false; !wasOver; turns += 1) {
      rounds = 0;
      wasOver = await changeAfter(turns);
      expect([turns, rounds]).toEqual([turns, 2]);
    }
  });

  it('sends all of it once more to a broker that may have lost it, unchanged', async () => {
    const { round, publisher, published } = await world();
    await round();
    const first = [...published];
    publisher.republish();
    await publisher.settled();
    expect(published.slice(first.length)).toEqual(first);
  });
});

describe('a box as a peer of others', () => {
  const peersOfHub = async (store: ReturnType<typeof openSqliteStore>): Promise<string[]> => {
    const jws = (await store.gateways.desired('hub'))?.jws.split('.')[1] ?? '';
    const { spec } = JSON.parse(Buffer.from(jws, 'base64url').toString()) as {
      spec: { tunnels: { peers: { gatewayId: string }[] }[] };
    };
    return [...new Set(spec.tunnels.flatMap(({ peers }) => peers.map(({ gatewayId }) => gatewayId)))].sort();
  };
  const enrolled = async ({ store, say }: Awaited<ReturnType<typeof world>>): Promise<void> => {
    for (const [index, id] of ['branch1', 'branch2'].entries()) {
      await store.inventory.add(`SN-${id}`, { approved: true }, 1);
      await store.inventory.update(`SN-${id}`, { state: 'enrolled' });
      await say(topicsOf(id).status, statusWith(id, { sequence: 1, seed: 2 + index }));
    }
  };

  it('is one while it counts: revoked it is none, and one again when it is taken back', async () => {
    const here = await world();
    await enrolled(here);
    await here.round();
    expect(await peersOfHub(here.store)).toEqual(['branch1', 'branch2']);
    await here.store.inventory.update('SN-branch1', { state: 'revoked' });
    expect(await here.round()).toContain(desiredOf('hub'));
    expect(await peersOfHub(here.store)).toEqual(['branch2']);
    await here.store.inventory.update('SN-branch1', { state: 'enrolled' });
    await here.round();
    expect(await peersOfHub(here.store)).toEqual(['branch1', 'branch2']);
  });

  it('is none any more where another box has its place, whose key is not known yet', async () => {
    const here = await world();
    await enrolled(here);
    await here.set({
      ...SMALL_FLEET,
      gateways: SMALL_FLEET.gateways.map((each) =>
        each.id === 'branch2' ? { ...each, serial: 'SN-new' } : each,
      ),
    });
    await here.store.inventory.add('SN-new', { approved: true }, 1);
    await here.store.inventory.update('SN-new', { state: 'enrolled' });
    await here.round();
    expect(await peersOfHub(here.store)).toEqual(['branch1']);
  });
});

it('a fleet of 200 branches tells one hub and one branch of a new branch', async () => {
  const many = Array.from({ length: 200 }, (_, i) =>
    branch(`b${i}`, `10.255.${1 + Math.floor(i / 250)}.${1 + (i % 250)}`),
  );
  const { round, set } = await world(fleetOf([hub('hub', '10.255.0.1'), ...many]));
  expect((await round()).length).toBe(201);
  await set(fleetOf([hub('hub', '10.255.0.1'), ...many, branch('new', '10.255.9.9')]));
  expect((await round()).sort()).toEqual([desiredOf('hub'), desiredOf('new')]);
});
