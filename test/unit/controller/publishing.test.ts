/**
 * What the controller publishes and what it believes, with a signer and a broker that can be taken away.
 */
import { describe, expect, it } from 'vitest';
import type { BrokerLink } from '../../../src/controller/broker/link.ts';
import { createPresence } from '../../../src/controller/presence.ts';
import { createMessageHandler } from '../../../src/controller/gatewayMessages.ts';
import { createPublisher } from '../../../src/controller/publisher.ts';
import type { SignerClient } from '../../../src/controller/signer/client.ts';
import { openSqliteStore } from '../../../src/controller/store/sqlite.ts';
import { BranchboxError } from '../../../src/model/errors.ts';
import type { Fleet } from '../../../src/model/fleet.ts';
import { type Command, topicsOf } from '../../../src/model/mqtt.ts';
import { createLogger } from '../../../src/system/linux/logger.ts';
import { statusWith } from './statusFixture.ts';
import { createControllerParts } from './controllerParts.ts';
import { branch, CONTROLLER, fleetOf, hub, SMALL_FLEET } from './fixtures.ts';

const log = createLogger({ name: 'test', write: () => undefined });
const away = (what: string) => new BranchboxError('controller/unreachable', { message: `${what} is away` });

/** Sleeps end at once, each counted: nothing here waits. */
function createTestClock() {
  const slept: number[] = [];
  return {
    slept,
    nowMs: () => 1_000,
    monotonicMs: () => 0,
    sleep: async (durationMs: number) => void slept.push(durationMs),
  };
}

async function world(fleetNow: Fleet = SMALL_FLEET) {
  const store = openSqliteStore(':memory:');
  const clock = createTestClock();
  const published: { topic: string; payload: string }[] = [];
  const commands: { gatewayId: string; command: Command }[] = [];
  const absent = { signer: 0, broker: 0 };
  let signed = 0;
  const unused = async (): Promise<never> => {
    throw new Error('not part of this test');
  };
  const signer: SignerClient = {
    ldevid: unused,
    serverCertificate: unused,
    clientCertificate: unused,
    conveyed: unused,
    order: unused,
    revocationList: unused,
    anchors: unused,
    async desired(state) {
      if (absent.signer > 0) {
        absent.signer -= 1;
        throw away('the signer');
      }
      signed += 1;
      return `head.${Buffer.from(JSON.stringify(state)).toString('base64url')}.${signed}`;
    },
  };
  const link: Pick<BrokerLink, 'publish' | 'connected'> = {
    connected: true,
    async publish(topic, payload) {
      if (absent.broker > 0) {
        absent.broker -= 1;
        throw away('the broker');
      }
      published.push({ topic, payload });
    },
  };
  await store.gateways.setEpoch(1);
  const { fleet, admissions, setFleet: set } = createControllerParts({ store, clock, log });
  const publisher = createPublisher({
    store,
    fleet,
    admissions,
    signer,
    clock,
    log,
    link: () => link,
    controller: CONTROLLER,
    firmware: async () => new Map(),
  });
  let triggered = 0;
  const answers: { gatewayId: string; ok: boolean }[] = [];
  const presence = createPresence({ clock });
  const handle = createMessageHandler({
    store,
    fleet,
    clock,
    log,
    command: async (gatewayId, command) => void commands.push({ gatewayId, command }),
    onDone: (gatewayId, reply) => void answers.push({ gatewayId, ok: reply.ok }),
    presence,
    onNewFacts: () => {
      triggered += 1;
    },
  });
  await set(fleetNow);
  /** One round, to its end. */
  const round = async (): Promise<string[]> => {
    const from = published.length;
    publisher.trigger();
    await publisher.settled();
    return published.slice(from).map((message) => message.topic);
  };
  const say = (topic: string, value: unknown) => handle(topic, Buffer.from(JSON.stringify(value)));
  return {
    store,
    clock,
    published,
    commands,
    absent,
    publisher,
    set,
    round,
    say,
    answers,
    presence,
    triggered: () => triggered,
  };
}

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

describe('what a gateway says', () => {
  const topic = topicsOf('branch1').status;
  const status = (sequence: number, seed = 2) => statusWith('branch1', { sequence, seed });

  it('is stored, newest last, and a new key is announced once', async () => {
    const { say, store, triggered } = await world();
    await say(topic, status(5));
    await say(topic, status(4, 7));
    await say(topic, status(6));
    expect((await store.gateways.status('branch1'))?.status.sequence).toBe(6);
    expect(triggered()).toBe(1);
  });

  it('of a newer release is read as far as this one knows it', async () => {
    const { say, store } = await world();
    const told = status(3);
    await say(topic, { ...told, weather: 'fine', facts: { ...told.facts, colour: { of: 'the case' } } });
    expect((await store.gateways.status('branch1'))?.status).toEqual(told);
  });

  it('is not believed in another name, with another gateway’s key, or from outside the fleet', async () => {
    const { say, store } = await world();
    await say(topic, status(1));
    await say(topicsOf('branch2').status, status(9));
    await say(topicsOf('branch2').status, statusWith('branch2', { sequence: 1, seed: 2 }));
    await say(topicsOf('stranger').status, statusWith('stranger', { sequence: 1, seed: 5 }));
    await say(topic, { ...status(2), sentAtMs: 'late' });
    expect((await store.gateways.allStatus()).map((r) => [r.gatewayId, r.status.sequence])).toEqual([
      ['branch1', 1],
    ]);
  });

  it('is not believed from a box that was revoked, until it is taken back', async () => {
    const { say, store } = await world();
    await store.inventory.add('SN-branch1', { approved: true }, 1);
    await say(topic, status(1));
    await store.inventory.update('SN-branch1', { state: 'revoked' });
    await say(topic, status(2));
    expect((await store.gateways.status('branch1'))?.status.sequence).toBe(1);
    await store.inventory.update('SN-branch1', { state: 'enrolled' });
    await say(topic, status(3));
    expect((await store.gateways.status('branch1'))?.status.sequence).toBe(3);
  });

  it('is answered: events by what was stored, a proof request by its proof', async () => {
    const { say, commands, answers } = await world();
    const event = { id: 'b/1', atMs: 1, kind: 'agent-started', subject: 'a', sentence: 's' };
    await say(topicsOf('branch1').events, { gatewayId: 'branch1', events: [event] });
    await say(topicsOf('branch1').events, { gatewayId: 'branch2', events: [event] });
    await say(topicsOf('branch1').reply, { kind: 'proof-request', gatewayId: 'branch1', nonce: 'n' });
    await say(topicsOf('branch1').reply, { kind: 'proof-request', gatewayId: 'branch2', nonce: 'n' });
    expect(commands).toEqual([
      { gatewayId: 'branch1', command: { kind: 'events-stored', ids: ['b/1'] } },
      { gatewayId: 'branch1', command: { kind: 'proof', nonce: 'n' } },
    ]);
    await say(topicsOf('branch1').reply, { kind: 'done', id: 'o', ok: false, message: 'no' });
    expect(answers).toEqual([{ gatewayId: 'branch1', ok: false }]);
  });

  it('of a test of its uplinks is stored and answered, in its own name alone', async () => {
    const { say, commands, store } = await world();
    const when = { occasion: 'ordered', startedAtMs: 1, endedAtMs: 2 };
    const report = { schema: 1, id: 'r1', ...when, serial: 'SN', verdict: 'pass', uplinks: [] };
    const { reply } = topicsOf('branch1');
    await say(reply, { kind: 'uplink-report', gatewayId: 'branch2', report });
    await say(reply, { kind: 'uplink-report', gatewayId: 'branch1', report: { ...report, verdict: 'fine' } });
    expect(commands).toEqual([]);
    await say(reply, { kind: 'uplink-report', gatewayId: 'branch1', report });
    expect(commands).toEqual([{ gatewayId: 'branch1', command: { kind: 'report-stored', id: 'r1' } }]);
    expect((await store.uplinkReports.list('branch1', 9)).map((one) => one.report)).toEqual([report]);
    expect(await store.uplinkReports.list('branch2', 9)).toEqual([]);
  });
});

describe('a gateway that is not heard', () => {
  const { status: topic, reply, events } = topicsOf('branch1');
  const gone = { kind: 'gone', gatewayId: 'branch1' };

  it('is silent from the end of its session until it says something again', async () => {
    const { say, presence, clock } = await world();
    const now = clock.nowMs();
    await say(topic, statusWith('branch1', { sequence: 5, seed: 2 }));
    expect(presence.silentSince('branch1', now)).toBeUndefined();
    await say(reply, { ...gone, gatewayId: 'branch2' });
    expect(presence.silentSince('branch1', now)).toBeUndefined();
    await say(reply, gone);
    expect(presence.silentSince('branch1', now)).toBe(now);
    // What the broker retained is no sign of life.
    await say(topic, statusWith('branch1', { sequence: 5, seed: 2 }));
    expect(presence.silentSince('branch1', now)).toBe(now);
    await say(topic, statusWith('branch1', { sequence: 6, seed: 2 }));
    expect(presence.silentSince('branch1', now)).toBeUndefined();
    await say(reply, gone);
    const event = { id: 'b/1', atMs: 1, kind: 'agent-started', subject: 'a', sentence: 's' };
    await say(events, { gatewayId: 'branch1', events: [event] });
    expect(presence.silentSince('branch1', now)).toBeUndefined();
  });

  it('is silent since its last status where nobody saw its session end', () => {
    let nowMs = 1_000_000;
    const { silentSince } = createPresence({ clock: { nowMs: () => nowMs } as never });
    expect(silentSince('branch1', nowMs)).toBeUndefined();
    nowMs += 150_000;
    expect(silentSince('branch1', 1_000_000)).toBeUndefined();
    nowMs += 1;
    expect(silentSince('branch1', 1_000_000)).toBe(1_000_000);
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
