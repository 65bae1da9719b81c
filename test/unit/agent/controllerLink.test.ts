/**
 * The connection to the controller going back to a better uplink: the real dialer from two addresses of this machine to a
 * broker by hand, by a clock that the test moves.
 */
import { once } from 'node:events';
import { createServer as createTcpServer, type Socket } from 'node:net';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { type ControllerLink, createControllerLink } from '../../../src/agent/controllerLink.ts';
import { RETURN_HOLD_MS } from '../../../src/agent/linkReturn.ts';
import { Secret } from '../../../src/model/secret.ts';
import { exportPrivateKey } from '../../../src/pki/keys.ts';
import { createUplinkDialer } from '../../../src/system/uplinkDial.ts';
import { silentLog as log } from '../../fakes/silentLog.ts';
import { DAY_MS, issue, makeCa } from '../pki/domain.ts';
import { ANCHOR_PEM, handBroker, obliging } from './handBroker.ts';

const GATEWAY = 'branch1';
const WAN1 = '127.0.0.2';
const WAN2 = '127.0.0.3';
/** More than the head start that an uplink has before the next one is dialled beside it. */
const SLOW_MS = 700;
const device = issue(
  makeCa('Devices'),
  { kind: 'ldevid', gatewayId: GATEWAY },
  { notBeforeMs: Date.now() - DAY_MS, notAfterMs: Date.now() + DAY_MS },
);

let nowMs: number;
let sleeps: { readonly durationMs: number; readonly wake: () => void }[];
/** What the provider of the better uplink does with a connection. */
let wan1: (pass: () => void, socket: Socket) => void;
let isWan1Alive: boolean;
/** Source addresses of the connections, in order. */
let dialled: string[];
let changes: number;
let identityReads: number;
let port: number;
let link: ControllerLink;
let end: () => Promise<void>;

/** Waits for going back, of which no other wait is as long. */
const holds = () => sleeps.filter(({ durationMs }) => durationMs >= RETURN_HOLD_MS);
const pass = async (): Promise<void> => {
  await expect.poll(holds).toHaveLength(1);
  const [hold = expect.unreachable()] = holds();
  nowMs += hold.durationMs;
  sleeps = sleeps.filter((one) => one !== hold);
  hold.wake();
};
const isOver = (uplink: string) => expect.poll(() => link.state()).toMatchObject({ connected: true, uplink });
const heal = (): void => {
  isWan1Alive = true;
  link.wake();
};

beforeEach(async () => {
  [nowMs, sleeps, dialled, changes, isWan1Alive] = [1_000_000, [], [], 0, false];
  identityReads = 0;
  wan1 = (pass) => pass();
  const broker = handBroker(obliging);
  const sockets = new Set<Socket>();
  const front = createTcpServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
    const from = socket.remoteAddress ?? 'nobody';
    dialled.push(from);
    const pass = (): void => void broker.emit('connection', socket);
    if (from === WAN1) wan1(pass, socket);
    else pass();
  });
  front.listen(0, '127.0.0.1');
  await once(front, 'listening');
  const address = front.address();
  port = typeof address === 'object' && address !== null ? address.port : 0;
  const endpoint = { host: '127.0.0.1', port };
  const uplinkOf = (ifname: string, address: string, alive: boolean) => ({ ifname, address, dns: [], alive });
  link = createControllerLink({
    identity: async () => {
      identityReads += 1;
      // As files are read: not within the turn.
      await new Promise(setImmediate);
      return {
        gatewayId: GATEWAY,
        key: new Secret(exportPrivateKey(device.key).reveal()),
        certificatePem: device.certificate.pem,
        anchorPem: ANCHOR_PEM,
        anchors: [],
        owner: {
          schema: 1,
          gatewayId: GATEWAY,
          est: endpoint,
          mqtt: endpoint,
          device: endpoint,
          domainAnchorPem: ANCHOR_PEM,
        },
      };
    },
    dialer: createUplinkDialer({ leases: () => [], log }),
    uplinks: () => {
      const lte = uplinkOf('wan2', WAN2, true);
      const internet = uplinkOf('wan1', WAN1, isWan1Alive);
      return isWan1Alive ? [internet, lte] : [lte, internet];
    },
    endpoint: () => ({ ...endpoint, port }),
    onDesired: () => undefined,
    onCommand: () => undefined,
    onState: () => (changes += 1),
    onProblem: () => undefined,
    onRevoked: () => undefined,
    onRefused: () => undefined,
    clock: {
      nowMs: () => nowMs,
      monotonicMs: () => nowMs,
      sleep: (durationMs, signal) =>
        new Promise((resolve, reject) => {
          const own = { durationMs, wake: resolve };
          sleeps.push(own);
          const onAbort = (): void => {
            sleeps = sleeps.filter((one) => one !== own);
            reject(signal?.reason);
          };
          signal?.addEventListener('abort', onAbort, { once: true });
        }),
    },
    log,
  });
  const ending = new AbortController();
  const running = link.run(ending.signal);
  end = async () => {
    ending.abort();
    for (const socket of sockets) socket.destroy();
    front.close();
    await running;
  };
  await isOver('wan2');
});
afterEach(() => end());

it('goes back also where the better uplink takes longer than the one that it is on', async () => {
  wan1 = (pass) => void setTimeout(pass, SLOW_MS);
  heal();
  await pass();
  await isOver('wan1');
  // Nothing was dialled over the metered one again.
  expect(dialled).toEqual([WAN2, WAN1]);
});

it('stays connected where the better uplink does not lead to the controller, and tries it later', async () => {
  wan1 = (_, socket) => void socket.destroy();
  heal();
  const before = [changes, link.state()];
  await pass();
  await expect.poll(holds).toHaveLength(1);
  expect(holds()[0]?.durationMs).toBeGreaterThanOrEqual(2 * RETURN_HOLD_MS);
  expect(dialled).toEqual([WAN2, WAN1]);
  expect([changes, link.state()]).toEqual(before);
  wan1 = (pass) => pass();
  await pass();
  await isOver('wan1');
});

it('leaves the connection of a trial alone, and goes back after it', async () => {
  const trial = new AbortController();
  const proved = link.prove(trial.signal);
  proved.catch(() => undefined);
  await expect.poll(() => dialled).toEqual([WAN2, WAN2]);
  await isOver('wan2');
  heal();
  await pass();
  await expect.poll(holds).toHaveLength(1);
  expect(holds()[0]?.durationMs).toBeLessThanOrEqual(2 * RETURN_HOLD_MS);
  expect(dialled).toEqual([WAN2, WAN2]);
  trial.abort(new Error('the trial is over'));
  await expect(proved).rejects.toThrow('the trial is over');
  await pass();
  await isOver('wan1');
});

it('gives up a way that is being made for going back where a trial asks for a connection meanwhile', async () => {
  const held = Promise.withResolvers<Socket>();
  wan1 = (_, socket) => held.resolve(socket);
  heal();
  await pass();
  const early = await held.promise;
  const closed = once(early, 'close');
  wan1 = (pass) => pass();
  const trial = new AbortController();
  const proved = link.prove(trial.signal);
  proved.catch(() => undefined);
  // The one that was made after the question, and not the one from before.
  await isOver('wan1');
  await closed;
  expect(dialled).toEqual([WAN2, WAN1, WAN1]);
  trial.abort(new Error('the trial is over'));
  await expect(proved).rejects.toThrow('the trial is over');
});

it('looks at who the box is once for all that the kernel tells at once, and once more for what came meanwhile', async () => {
  const before = identityReads;
  for (let route = 0; route < 1000; route += 1) link.wake();
  expect(identityReads - before).toBe(1);
  // The controller moved after that look began, to where nobody answers.
  const changesBefore = changes;
  port = 1;
  link.wake();
  await expect.poll(() => changes - changesBefore).toBe(1);
  // The first look, the one for this, and the one by which the next connection is tried.
  expect(identityReads - before).toBeLessThanOrEqual(3);
});
