/**
 * Owns the two UDP sockets that boxes send probes to; an answer leaves by the socket that was asked. The controller starts also
 * where a port is taken: tests then measure less. One port alone is not used either, since unanswered probes to the other would
 * look like a line that lets no UDP through.
 * Does not own who is answered and how (sessions.ts).
 */
import { createSocket, type Socket } from 'node:dgram';
import { isIP } from 'node:net';
import type { Logger } from '../../system/ports.ts';
import type { ProbeSessions } from './sessions.ts';

export interface Responder {
  /** Whether both ports could be had. */
  readonly answers: boolean;
  close(): void;
}

export async function startResponder(options: {
  readonly address: string;
  readonly ports: readonly [number, number];
  readonly sessions: Pick<ProbeSessions, 'answer'>;
  readonly log: Logger;
}): Promise<Responder> {
  const { address, ports, sessions, log } = options;
  const opened: Socket[] = [];
  for (const port of ports) {
    const socket = createSocket(isIP(address) === 6 ? 'udp6' : 'udp4');
    try {
      await bind(socket, address, port);
    } catch (error) {
      log.warn('uplink tests will measure less: a port for their probes cannot be had', { port, error });
      socket.close();
      for (const one of opened) one.close();
      return { answers: false, close: () => undefined };
    }
    // What the kernel says of an answer that found nobody is no event.
    socket.on('error', () => {});
    socket.on('message', (datagram, from) => {
      // A packet made by hand may name port 0, and to send there throws.
      if (from.port === 0) return;
      const answer = sessions.answer(datagram, from);
      if (answer !== undefined) socket.send(answer, from.port, from.address, () => undefined);
    });
    opened.push(socket);
  }
  return {
    answers: true,
    close() {
      for (const socket of opened) socket.close();
    },
  };
}

function bind(socket: Socket, address: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    socket.once('error', reject);
    socket.bind({ address, port }, () => {
      socket.off('error', reject);
      resolve();
    });
  });
}
