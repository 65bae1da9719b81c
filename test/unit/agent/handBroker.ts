/** Owns a broker that answers by hand: MQTT 5 over real TLS, each packet answered as a test says. */
import { createServer, type Server, type TLSSocket } from 'node:tls';
import { exportPrivateKey } from '../../../src/pki/keys.ts';
import { issue, makeCa, serverHere } from '../pki/domain.ts';

const validity = { notBeforeMs: Date.now() - 60_000, notAfterMs: Date.now() + 3_600_000 };
export const BROKER_CA = makeCa('Domain CA', validity);
export const BROKER = issue(BROKER_CA, serverHere('broker'), validity);

/** What a box trusts. */
export const ANCHOR_PEM = BROKER_CA.certificate.pem;

/** MQTT 5, 2.1.2: the type of a packet is in the upper half of its first byte. */
export const CONNECT = 1;
export const PUBLISH = 3;
export const SUBSCRIBE = 8;
export const CONNACK = Buffer.from([0x20, 3, 0, 0, 0]);
export const suback = (id: Buffer): Buffer =>
  Buffer.concat([Buffer.from([0x90, 5]), id, Buffer.from([0, 1, 1])]);
export const puback = (id: Buffer): Buffer => Buffer.concat([Buffer.from([0x40, 2]), id]);
/** A name and two bytes of length before the id (MQTT 5, 3.3.2). */
export const idOf = (packet: Buffer): Buffer => {
  const at = 2 + packet.readUInt16BE(0);
  return packet.subarray(at, at + 2);
};

export type PacketAnswer = (type: number, packet: Buffer, socket: TLSSocket) => void;

/** As a broker does that does its part. */
export const obliging: PacketAnswer = (type, packet, socket) => {
  if (type === CONNECT) socket.write(CONNACK);
  if (type === SUBSCRIBE) socket.write(suback(packet.subarray(0, 2)));
  if (type === PUBLISH) socket.write(puback(idOf(packet)));
};

/** `answer` gets each packet: none here is longer than two bytes of length can say. Does not listen by itself. */
export function handBroker(
  answer: PacketAnswer,
  onConnection: (socket: TLSSocket) => void = () => undefined,
): Server {
  const { certificate, key } = BROKER;
  return createServer({ cert: certificate.pem, key: exportPrivateKey(key).reveal() }, (socket) => {
    onConnection(socket);
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
}
