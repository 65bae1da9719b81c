/**
 * Owns how many TLS handshakes are worked on at once. The others wait in line before a byte of theirs is read, so that a thousand
 * boxes do not all time out half way through; networks take turns, so that one which opens connections without end waits behind
 * itself. Does not own TLS, the line's order (fairLine.ts), nor the kernel's own backlog.
 */
import type { Server } from 'node:https';
import type { Socket } from 'node:net';
import type { Clock } from '../system/ports.ts';
import { createFairLine, networksOf } from './fairLine.ts';

export interface HandshakeGate {
  /** Once, before the server listens; its sockets must come paused (`pauseOnConnect`). */
  guard(server: Server): void;
}

interface Comer {
  readonly socket: Socket;
  readonly sinceMs: number;
  readonly begin: () => void;
}

export function createHandshakeGate(options: {
  readonly clock: Pick<Clock, 'monotonicMs'>;
  readonly together: number;
  readonly waiting: number;
  /** A client gives up about then: its handshake would be for nobody. */
  readonly patienceMs: number;
  /** How long a silent peer keeps its turn: a few of them must not hold up everybody. */
  readonly turnMs: number;
}): HandshakeGate {
  const { clock, together, waiting, patienceMs, turnMs } = options;
  const line = createFairLine<Comer>(waiting);
  let running = 0;

  function next(): void {
    while (running < together) {
      const comer = line.shift();
      if (comer === undefined) return;
      if (comer.socket.destroyed) continue;
      if (clock.monotonicMs() - comer.sinceMs > patienceMs) comer.socket.destroy();
      else comer.begin();
    }
  }

  return {
    guard(server) {
      /** By the client's end of the connection: the TLS socket does not tell which one it stands on. */
      const turns = new Map<string, () => void>();
      const end = (socket: Socket): void => turns.get(nameOf(socket))?.();
      const listeners = server.listeners('connection');
      server.removeAllListeners('connection');
      server.on('connection', (socket: Socket) => {
        // Who hung up before being accepted has no address any more, and no use for a turn.
        const { remoteAddress } = socket;
        if (remoteAddress === undefined) {
          socket.destroy();
          return;
        }
        const name = nameOf(socket);
        const begin = (): void => {
          running += 1;
          let isOver = false;
          const turn = setTimeout(() => ended(), turnMs);
          const ended = (): void => {
            clearTimeout(turn);
            // A name may be another's by now: a turn is given back by its own.
            if (isOver) return;
            isOver = true;
            if (turns.get(name) === ended) turns.delete(name);
            running -= 1;
            next();
          };
          turns.set(name, ended);
          socket.once('close', ended);
          for (const listener of listeners) listener.call(server, socket);
        };
        socket.on('error', () => socket.destroy());
        line
          .push(networksOf(remoteAddress), { socket, sinceMs: clock.monotonicMs(), begin })
          ?.socket.destroy();
        next();
      });
      server.on('secureConnection', end);
      server.on('tlsClientError', (_error, socket) => end(socket));
    },
  };
}

const nameOf = ({ remoteAddress, remotePort, localPort }: Socket): string =>
  `${remoteAddress ?? ''} ${remotePort ?? ''} ${localPort ?? ''}`;
