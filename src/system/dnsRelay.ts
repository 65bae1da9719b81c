/**
 * Owns a way to a DNS server that is known on one link alone (`fe80::1` on wan1, as RFC 8106 5.1 lets a router advertise): Node's
 * resolver forgets the interface (its setServers takes a zone and drops it), so it asks on the loopback, and this asks the server.
 * Does not own what is asked nor whether the answer is one: the resolver judges it by its number and its question.
 */
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket as Stream } from 'node:net';

const DNS_PORT = 53;
const LOOPBACK = '127.0.0.1';
/** Enough for one resolver that asks for a few names twice at most; no more for whoever else is on the loopback. */
const MAX_QUESTIONS = 64;

export interface DnsRelay {
  /** As Node's `Resolver.setServers` takes it. */
  readonly server: string;
  close(): void;
}

/** `server` with its zone: `fe80::1%wan1`. Throws where the loopback gives no port of both kinds. */
export async function openDnsRelay(server: string, port = DNS_PORT): Promise<DnsRelay> {
  const open = new Set<Socket | Stream>();
  const end = (socket: Socket | Stream): void => {
    if (!open.delete(socket)) return;
    if ('destroy' in socket) socket.destroy();
    else socket.close();
  };

  // What does not fit into a datagram is asked for again by TCP (RFC 7766).
  const streams = createServer((inside) => {
    if (open.size >= MAX_QUESTIONS) {
      inside.destroy();
      return;
    }
    const outside = connect({ host: server, port });
    for (const [stream, other] of [
      [inside, outside],
      [outside, inside],
    ] as const) {
      open.add(stream);
      stream.on('error', () => undefined);
      stream.on('close', () => {
        end(stream);
        end(other);
      });
      stream.pipe(other);
    }
  });
  // A question by TCP that could not be accepted, for want of descriptors: it is asked again.
  streams.on('error', () => undefined);
  const questions = createSocket('udp4');
  questions.on('message', (question, asker) => {
    if (open.size >= MAX_QUESTIONS) return;
    // A port of its own for each: who would answer in the server's place must guess it (RFC 5452 9.2).
    const outside = createSocket('udp6');
    open.add(outside);
    outside.on('error', () => end(outside));
    outside.on('message', (answer) => questions.send(answer, asker.port, asker.address));
    // Not by a callback: it would be called with the error of a link that has just gone, and send then throws.
    outside.once('connect', () => outside.send(question));
    outside.connect(port, server);
  });
  // Where nobody asks any more: an answer that comes too late is for nobody.
  questions.on('error', () => undefined);

  streams.listen(0, LOOPBACK);
  try {
    await once(streams, 'listening');
    const at = (streams.address() as AddressInfo).port;
    questions.bind(at, LOOPBACK);
    await once(questions, 'listening');
    return {
      server: `${LOOPBACK}:${at}`,
      close() {
        streams.close();
        questions.close();
        for (const socket of open) end(socket);
      },
    };
  } catch (thrown) {
    streams.close();
    questions.close();
    throw thrown;
  }
}
