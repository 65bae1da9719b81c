/**
 * Owns a controller that answers for a part as a test pleases, raw and over a real connection, and a box that fetches it.
 * Does not own what is answered.
 */
import { once } from 'node:events';
import { connect, createServer, type Server, type TLSSocket } from 'node:tls';
import { afterEach, beforeEach } from 'vitest';
import { exportPrivateKey } from '../../../src/pki/keys.ts';
import { createDeviceClient } from '../../../src/system/deviceClient.ts';
import { type FetchParts, fetchPart } from '../../../src/update/fetchPart.ts';
import type { PartFile } from '../../../src/update/ports.ts';
import { createControllerSource } from '../../../src/update/controllerSource.ts';
import { sha256 } from '../../fakes/firmwareVersion.ts';
import { issue, makeCa } from '../pki/domain.ts';

const validity = { notBeforeMs: Date.now() - 86_400_000, notAfterMs: Date.now() + 86_400_000 };
const ca = makeCa('Device API', validity);
const own = issue(
  ca,
  { kind: 'server', commonName: 'controller', dnsNames: ['localhost'], ipAddresses: ['127.0.0.1'] },
  validity,
);
const box = issue(ca, { kind: 'ldevid', gatewayId: 'branch1' }, validity);
/** Long enough for a busy machine to answer. */
const IDLE_MS = 1000;

export const BYTES = Buffer.from(Array.from({ length: 20_000 }, (_, index) => (index * 31) & 0xff));
export const SIZE = BYTES.length;
export const STOOD = 8000;
export const part = { role: 'root', file: 'x.root', sizeBytes: SIZE, sha256: sha256(BYTES) } as const;

export const head = (status: string, headers: Readonly<Record<string, string | number>>): string =>
  [`HTTP/1.1 ${status}`, ...Object.entries(headers).map(([name, value]) => `${name}: ${value}`), '', ''].join(
    '\r\n',
  );
export const send = (socket: TLSSocket, text: string, body: Uint8Array = Buffer.alloc(0)): void => {
  socket.end(Buffer.concat([Buffer.from(text), body]));
};
export const whole = (socket: TLSSocket, bytes = BYTES): void =>
  send(socket, head('200 OK', { 'Content-Length': bytes.length }), bytes);
export const rest = (
  socket: TLSSocket,
  from: number,
  change: { readonly total?: number | '*'; readonly said?: number } = {},
): void =>
  send(
    socket,
    head('206 Partial Content', {
      'Content-Length': SIZE - from,
      'Content-Range': `bytes ${change.said ?? from}-${SIZE - 1}/${change.total ?? SIZE}`,
    }),
    BYTES.subarray(from),
  );
export const WHOLE = { thrown: undefined, durable: SIZE, isWhole: true };

type Answer = (range: string | undefined, socket: TLSSocket) => void;

/** One of its own for each test of a file. */
export function useRawController() {
  let server: Server;
  let sockets: Set<TLSSocket>;
  /** Ranges as asked for, one a request. */
  let asked: (string | undefined)[];
  let heads: string[];
  let answer: Answer;

  beforeEach(async () => {
    asked = [];
    heads = [];
    sockets = new Set();
    server = createServer(
      { key: exportPrivateKey(own.key).reveal(), cert: own.certificate.pem },
      (socket) => {
        sockets.add(socket);
        socket.on('error', () => undefined);
        socket.once('data', (head) => {
          const range = /^range: (.*)\r$/im.exec(head.toString())?.[1];
          asked.push(range);
          heads.push(head.toString());
          answer(range, socket);
        });
      },
    );
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
  });
  afterEach(() => {
    server.close();
    for (const socket of sockets) socket.destroy();
  });

  /** Fetches from what stood before; what became durable, and what was paid for. */
  async function fetched(change: Partial<FetchParts> = {}) {
    const file = Buffer.alloc(SIZE + 1000);
    const durableBytes = change.durableBytes ?? STOOD;
    BYTES.copy(file, 0, 0, durableBytes);
    const address = server.address();
    if (address === null || typeof address === 'string') throw new Error('no port');
    const to: PartFile = {
      read: async (offset, length) => file.subarray(offset, offset + length),
      async write(offset, bytes) {
        file.set(bytes, offset);
      },
      sync: async () => undefined,
      close: async () => undefined,
    };
    const source = createControllerSource(
      createDeviceClient({
        server: () => ({ host: '127.0.0.1', port: address.port }),
        credentials: async () => ({
          key: exportPrivateKey(box.key),
          certificatePem: box.certificate.pem,
          anchorPem: ca.certificate.pem,
        }),
        dialer: {
          async connectTls({ host, port, tls }) {
            const socket = connect({ host, port, ...tls });
            await once(socket, 'secureConnect');
            return { socket, uplink: { ifname: 'lo', address: '127.0.0.1', dns: [] } };
          },
        },
        idleTimeoutMs: IDLE_MS,
      }),
    );
    let durable = durableBytes;
    let paid = 0;
    const thrown = await fetchPart({
      part,
      to,
      source,
      durableBytes,
      onDurable: async (bytes) => {
        durable = bytes;
      },
      pace: async (bytes) => void (paid += bytes),
      sizes: { writeBytes: 1000, syncBytes: 4000 },
      signal: new AbortController().signal,
      ...change,
    }).then(
      () => undefined,
      (error: unknown) => error,
    );
    return { thrown, durable, paid, isWhole: file.subarray(0, SIZE).equals(BYTES) };
  }
  return {
    asked: () => asked,
    /** Requests to the letter. */
    heads: () => heads,
    /** To each, raw; the connection then stays open where `close` is not said. */
    answers(next: Answer): void {
      answer = next;
    },
    fetched,
    async untilClosed(): Promise<void> {
      for (const socket of sockets) if (!socket.destroyed) await once(socket, 'close');
    },
  };
}
