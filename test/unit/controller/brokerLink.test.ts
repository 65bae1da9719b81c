/** The controller's connection to a broker that answers by hand, over real TLS. */
import { type Server, type TLSSocket } from 'node:tls';
import { afterEach, expect, it } from 'vitest';
import { type BrokerLink, openBrokerLink } from '../../../src/controller/broker/link.ts';
import { exportPrivateKey } from '../../../src/pki/keys.ts';
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

async function linkTo(answer: PacketAnswer, onConnected: () => void): Promise<void> {
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
