/** The controller's connection to a broker that answers by hand, over real TLS. */
import { type Server, type TLSSocket } from 'node:tls';
import { afterEach, expect, it } from 'vitest';
import { type BrokerLink, openBrokerLink, reconnectMsAfter } from '../../../src/controller/broker/link.ts';
import { exportPrivateKey } from '../../../src/pki/keys.ts';
import type { Logger } from '../../../src/system/ports.ts';
import { silentLog } from '../../fakes/silentLog.ts';
import {
  ANCHOR_PEM,
  BROKER,
  CONNECT,
  CONNACK,
  handBroker,
  type PacketAnswer,
  SUBSCRIBE,
} from '../agent/handBroker.ts';

/** Of three topics (MQTT 5, 3.9.3): 0x97 is quota exceeded. */
const GRANTED = [1, 1, 1];
const ONE_REFUSED = [1, 0x97, 1];
const suback = (id: Buffer, reasons: readonly number[]): Buffer =>
  Buffer.concat([Buffer.from([0x90, 6]), id, Buffer.from([0, ...reasons])]);

let server: Server;
let link: BrokerLink;
const ends: TLSSocket[] = [];
afterEach(async () => {
  await link.close();
  for (const socket of ends.splice(0)) socket.destroy();
  server.close();
});

async function linkTo(
  answer: PacketAnswer,
  onConnected: () => void,
  more: {
    readonly log?: Logger;
    readonly subscribeTimeoutMs?: number;
    readonly reconnectMs?: (refusals: number) => number;
  } = {},
): Promise<void> {
  server = handBroker(answer, (socket) => ends.push(socket));
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  const address = server.address();
  link = openBrokerLink({
    host: '127.0.0.1',
    port: typeof address === 'object' && address !== null ? address.port : 0,
    serverName: '',
    domainAnchorPem: ANCHOR_PEM,
    credential: {
      key: exportPrivateKey(BROKER.key),
      certificatePem: BROKER.certificate.pem,
      notAfterMs: BROKER.certificate.notAfterMs,
    },
    log: silentLog,
    onMessage() {},
    onConnected,
    ...more,
  });
}

it('that takes no subscription is left, and subscribed to again by the next connection', async () => {
  const subscribed: number[] = [];
  const heard = Promise.withResolvers<void>();
  await linkTo((type, packet, socket) => {
    if (type === CONNECT) socket.write(CONNACK);
    if (type !== SUBSCRIBE) return;
    subscribed.push(ends.indexOf(socket));
    socket.write(suback(packet.subarray(0, 2), subscribed.length === 1 ? ONE_REFUSED : GRANTED));
  }, heard.resolve);
  await heard.promise;
  expect(subscribed).toEqual([0, 1]);
  // Of the two the second alone is there.
  await expect.poll(() => ends.map(({ destroyed }) => destroyed)).toEqual([true, false]);
  expect(link.connected).toBe(true);
});

it('that goes on refusing is asked ever later, until it takes the subscription', async () => {
  const waits: number[] = [];
  const heard = Promise.withResolvers<void>();
  let subscribed = 0;
  await linkTo(
    (type, packet, socket) => {
      if (type === CONNECT) socket.write(CONNACK);
      if (type !== SUBSCRIBE) return;
      subscribed += 1;
      socket.write(suback(packet.subarray(0, 2), subscribed < 4 ? ONE_REFUSED : GRANTED));
    },
    heard.resolve,
    {
      reconnectMs: (refusals) => {
        waits.push(refusals);
        return 1;
      },
    },
  );
  await heard.promise;
  expect(waits).toEqual([0, 1, 2, 3, 0]);
  expect([0, 1, 2, 3, 6, 1_000].map(reconnectMsAfter)).toEqual([500, 1_000, 2_000, 4_000, 30_000, 30_000]);
});

it.each([
  ['does not answer a subscription', () => {}, 'it does not answer'],
  [
    'ends the connection at a subscription',
    (socket: TLSSocket) => void socket.destroy(),
    'Connection closed',
  ],
])('that %s is left, and the log says so', async (_what, subscription, why) => {
  const warned: unknown[] = [];
  const heard = Promise.withResolvers<void>();
  await linkTo(
    (type, packet, socket) => {
      if (type === CONNECT) socket.write(CONNACK);
      if (type !== SUBSCRIBE) return;
      if (ends.length > 1) socket.write(suback(packet.subarray(0, 2), GRANTED));
      else subscription(socket);
    },
    heard.resolve,
    {
      subscribeTimeoutMs: 200,
      reconnectMs: () => 1,
      log: {
        ...silentLog,
        warn: (message, fields) => void warned.push([message, String(fields?.['error'])]),
      },
    },
  );
  await heard.promise;
  expect(warned).toContainEqual(['the broker took no subscription', expect.stringContaining(why)]);
  expect(link.connected).toBe(true);
});
