/** Owns publisher and message handler over a real store in memory, with a signer and a broker that can be taken away. */
import type { BrokerLink } from '../../../src/controller/broker/link.ts';
import { createMessageHandler } from '../../../src/controller/gatewayMessages.ts';
import { createPresence } from '../../../src/controller/presence.ts';
import { createPublisher } from '../../../src/controller/publisher.ts';
import type { SignerClient } from '../../../src/controller/signer/client.ts';
import { openSqliteStore } from '../../../src/controller/store/sqlite.ts';
import { BranchboxError } from '../../../src/model/errors.ts';
import type { Fleet } from '../../../src/model/fleet.ts';
import type { Command } from '../../../src/model/mqtt.ts';
import { createLogger } from '../../../src/system/linux/logger.ts';
import { createControllerParts } from './controllerParts.ts';
import { CONTROLLER, SMALL_FLEET } from './fixtures.ts';

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

export async function createPublishing(fleetNow: Fleet = SMALL_FLEET) {
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
    drop: unused,
    revoke: unused,
    revokedForGood: unused,
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
    fleet,
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
