/** A session with a broker that does not do its part: over real TLS, against a broker that answers by hand. */
import { queryObjects } from 'node:v8';
import { connect, type Server, type TLSSocket } from 'node:tls';
import { afterEach, describe, expect, it } from 'vitest';
import { openMqttSession } from '../../../src/agent/mqttSession.ts';
import {
  CONNACK,
  CONNECT,
  handBroker,
  obliging,
  type PacketAnswer,
  SUBSCRIBE,
  suback,
} from './handBroker.ts';

/** Of a PUBLISH to us: as large as a packet can be, of which the rest never ends. */
const LARGEST = Buffer.from([0x30, 0xff, 0xff, 0xff, 0x7f]);

let server: Server;
const ends: TLSSocket[] = [];
afterEach(() => {
  for (const socket of ends.splice(0)) socket.destroy();
  server.close();
});

async function brokerThat(answer: PacketAnswer): Promise<TLSSocket> {
  server = handBroker(answer, (socket) => ends.push(socket));
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  const socket = connect({ host: '127.0.0.1', port, rejectUnauthorized: false });
  socket.on('error', () => {});
  await new Promise<void>((resolve) => {
    socket.once('secureConnect', resolve);
  });
  return socket;
}
const open = (socket: TLSSocket) =>
  openMqttSession({ socket, gatewayId: 'branch1', openTimeoutMs: 200, onMessage() {} });

describe('a broker', () => {
  it('that takes a box and then says nothing is given up', async () => {
    const socket = await brokerThat((type, _, end) => void (type === CONNECT && end.write(CONNACK)));
    await expect(open(socket)).rejects.toThrow('the broker does not answer');
    expect(socket.destroyed).toBe(true);
  });

  it.each([
    ['does not answer a subscription', undefined, { message: 'MQTT: the broker does not answer' }],
    [
      'refuses one',
      Buffer.from([0, 1, 0x87]),
      {
        message: 'MQTT: the broker took no subscription: Subscribe error: Not authorized',
        fields: { obstacle: 'not-authorised' },
      },
    ],
  ])('that %s is left, and it is said why', async (_what, reasons, refusal) => {
    const socket = await brokerThat((type, packet, end) => {
      if (type === CONNECT) end.write(CONNACK);
      if (type !== SUBSCRIBE || reasons === undefined) return;
      end.write(Buffer.concat([Buffer.from([0x90, 5]), packet.subarray(0, 2), reasons]));
    });
    await expect(open(socket)).rejects.toMatchObject({ code: 'controller/refused', ...refusal });
  });

  it('that sends a packet without end is cut off before it fills the memory', async () => {
    let sentBytes = 0;
    const socket = await brokerThat((type, packet, end) => {
      if (type === CONNECT) end.write(CONNACK);
      if (type !== SUBSCRIBE) return;
      end.write(suback(packet.subarray(0, 2)));
      end.write(LARGEST);
      const part = Buffer.alloc(256 * 1024);
      const more = (): void => {
        sentBytes += part.length;
        end.write(part, (error) => error ?? more());
      };
      more();
    });
    const session = await open(socket);
    expect(await session.ended).toBe('the broker sent a packet that is too large');
    expect(sentBytes).toBeLessThan(64 * 1024 * 1024);
  });

  it('that keeps a session for long is told much, and nothing of it is held', async () => {
    const socket = await brokerThat(obliging);
    const session = await open(socket);
    const tell = async (times: number): Promise<number> => {
      for (let i = 0; i < times; i += 1) await session.publish('t', 'status', false);
      return queryObjects(Promise, { format: 'count' });
    };
    const before = await tell(100);
    expect((await tell(500)) - before).toBeLessThan(100);
    session.end('enough');
    await expect(session.publish('t', 'late', false)).rejects.toThrow('enough');
  });
});
