/** A session with a broker that does not do its part: over real TLS, against a broker that answers by hand. */
import { queryObjects } from 'node:v8';
import { connect, createServer, type Server, type TLSSocket } from 'node:tls';
import { afterEach, describe, expect, it } from 'vitest';
import { openMqttSession } from '../../../src/agent/mqttSession.ts';
import { exportPrivateKey } from '../../../src/pki/keys.ts';
import { issue, makeCa } from '../pki/domain.ts';

const validity = { notBeforeMs: Date.now() - 60_000, notAfterMs: Date.now() + 3_600_000 };
const broker = issue(
  makeCa('Domain CA', validity),
  { kind: 'server', commonName: 'broker', dnsNames: [], ipAddresses: ['127.0.0.1'] },
  validity,
);

/** MQTT 5, 2.1.2: the type of a packet is in the upper half of its first byte. */
const CONNECT = 1;
const PUBLISH = 3;
const SUBSCRIBE = 8;
const CONNACK = Buffer.from([0x20, 3, 0, 0, 0]);
const suback = (id: Buffer): Buffer => Buffer.concat([Buffer.from([0x90, 5]), id, Buffer.from([0, 1, 1])]);
const puback = (id: Buffer): Buffer => Buffer.concat([Buffer.from([0x40, 2]), id]);
/** Of a PUBLISH to us: as large as a packet can be, of which the rest never ends. */
const LARGEST = Buffer.from([0x30, 0xff, 0xff, 0xff, 0x7f]);

let server: Server;
const ends: TLSSocket[] = [];
afterEach(() => {
  for (const socket of ends.splice(0)) socket.destroy();
  server.close();
});

/** `answer` gets each packet: none here is longer than a byte of length can say. */
async function brokerThat(
  answer: (type: number, packet: Buffer, socket: TLSSocket) => void,
): Promise<TLSSocket> {
  const { certificate, key } = broker;
  server = createServer({ cert: certificate.pem, key: exportPrivateKey(key).reveal() }, (socket) => {
    ends.push(socket);
    socket.on('error', () => {});
    let held = Buffer.alloc(0);
    socket.on('data', (chunk: Buffer) => {
      held = Buffer.concat([held, chunk]);
      for (;;) {
        // CONNECT with its will is longer than 127 bytes: two bytes of length.
        const [first = 0, low = 0, high = 0] = held;
        const head = low < 128 ? 2 : 3;
        const size = head + (low < 128 ? low : (low & 0x7f) + high * 128);
        if (held.length < 2 || held.length < size) return;
        answer(first >> 4, held.subarray(head, size), socket);
        held = held.subarray(size);
      }
    });
  });
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
/** A name and two bytes of length before the id (MQTT 5, 3.3.2). */
const idOf = (packet: Buffer): Buffer => {
  const at = 2 + packet.readUInt16BE(0);
  return packet.subarray(at, at + 2);
};

describe('a broker', () => {
  it('that takes a box and then says nothing is given up', async () => {
    const socket = await brokerThat((type, _, end) => void (type === CONNECT && end.write(CONNACK)));
    await expect(open(socket)).rejects.toThrow('the broker does not answer');
    expect(socket.destroyed).toBe(true);
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
    const socket = await brokerThat((type, packet, end) => {
      if (type === CONNECT) end.write(CONNACK);
      if (type === SUBSCRIBE) end.write(suback(packet.subarray(0, 2)));
      if (type === PUBLISH) end.write(puback(idOf(packet)));
    });
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
