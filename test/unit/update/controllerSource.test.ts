/** A part from a server that does as it pleases: ranges, sizes, silence. Over a real connection, with raw answers. */
import { once } from 'node:events';
import { connect, createServer, type Server, type TLSSocket } from 'node:tls';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { exportPrivateKey } from '../../../src/pki/keys.ts';
import { createDeviceClient } from '../../../src/system/deviceClient.ts';
import { type FetchParts, fetchPart, isSpoiled, isWrong } from '../../../src/update/fetchPart.ts';
import type { PartFile } from '../../../src/update/ports.ts';
import { createControllerSource } from '../../../src/update/sources.ts';
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

const BYTES = Buffer.from(Array.from({ length: 20_000 }, (_, index) => (index * 31) & 0xff));
const SIZE = BYTES.length;
const STOOD = 8000;
const part = { role: 'root', file: 'x.root', sizeBytes: SIZE, sha256: sha256(BYTES) } as const;

let server: Server;
let sockets: Set<TLSSocket>;
/** Ranges as asked for, one a request. */
let asked: (string | undefined)[];
/** What is answered to each, raw; the connection then stays open where `close` is not said. */
let answer: (range: string | undefined, socket: TLSSocket) => void;

beforeEach(async () => {
  asked = [];
  sockets = new Set();
  server = createServer({ key: exportPrivateKey(own.key).reveal(), cert: own.certificate.pem }, (socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined);
    socket.once('data', (head) => {
      const range = /^range: (.*)\r$/im.exec(head.toString())?.[1];
      asked.push(range);
      answer(range, socket);
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
});
afterEach(() => {
  server.close();
  for (const socket of sockets) socket.destroy();
});

const head = (status: string, headers: Readonly<Record<string, string | number>>): string =>
  [`HTTP/1.1 ${status}`, ...Object.entries(headers).map(([name, value]) => `${name}: ${value}`), '', ''].join(
    '\r\n',
  );
const send = (socket: TLSSocket, text: string, body: Uint8Array = Buffer.alloc(0)): void => {
  socket.end(Buffer.concat([Buffer.from(text), body]));
};
const whole = (socket: TLSSocket, bytes = BYTES): void =>
  send(socket, head('200 OK', { 'Content-Length': bytes.length }), bytes);
const rest = (
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
const WHOLE = { thrown: undefined, durable: SIZE, isWhole: true };

describe('a part of which something stands', () => {
  it('comes from there on', async () => {
    answer = (_, socket) => rest(socket, STOOD);
    expect(await fetched()).toEqual({ ...WHOLE, paid: SIZE - STOOD });
    expect(asked).toEqual([`bytes=${STOOD}-`]);
    answer = (_, socket) => rest(socket, STOOD, { total: '*' });
    expect(await fetched()).toMatchObject(WHOLE);
  });

  it('comes whole from a server that knows no ranges, and every byte of that is paid for', async () => {
    answer = (_, socket) => whole(socket);
    expect(await fetched()).toEqual({ ...WHOLE, paid: SIZE });
  });

  it.each<[string, (socket: TLSSocket) => void]>([
    ['another range', (socket) => rest(socket, STOOD, { said: STOOD + 1 })],
    ['the range of a file of another size', (socket) => rest(socket, STOOD, { total: SIZE + 5 })],
    [
      'no range at all',
      (socket) => send(socket, head('206 Partial Content', { 'Content-Length': 5 }), BYTES),
    ],
    [
      'that there is none',
      (socket) =>
        send(
          socket,
          head('416 Range Not Satisfiable', { 'Content-Range': 'bytes */5', 'Content-Length': 0 }),
        ),
    ],
  ])('is asked for whole where the answer is %s', async (_, misled) => {
    answer = (range, socket) => (range === undefined ? whole(socket) : misled(socket));
    expect(await fetched()).toMatchObject(WHOLE);
    expect(asked).toEqual([`bytes=${STOOD}-`, undefined]);
  });

  it('of a server that has no answer but that is waited for', async () => {
    answer = (_, socket) => rest(socket, STOOD, { said: 1 });
    const { thrown, durable } = await fetched();
    expect(thrown).toMatchObject({
      code: 'firmware/source',
      message: 'the controller answered 206 for x.root',
    });
    expect(durable).toBe(STOOD);
  });

  it('and is another file now does not count', async () => {
    const other = Buffer.from(BYTES).fill(1, STOOD);
    answer = (_, socket) =>
      send(
        socket,
        head('206 Partial Content', {
          ETag: '"another"',
          'Content-Length': SIZE - STOOD,
          'Content-Range': `bytes ${STOOD}-${SIZE - 1}/${SIZE}`,
        }),
        other.subarray(STOOD),
      );
    const { thrown } = await fetched();
    expect([isSpoiled(thrown), isWrong(thrown)]).toEqual([true, false]);
    // From its first byte on there is nobody else to blame.
    answer = (_, socket) => whole(socket, other);
    expect(isWrong((await fetched({ durableBytes: 0 })).thrown)).toBe(true);
  });
});

describe('a server that sends', () => {
  it('more than it announced is heard as far as that', async () => {
    answer = (_, socket) =>
      send(
        socket,
        head('200 OK', { 'Content-Length': SIZE, Connection: 'close' }),
        Buffer.concat([BYTES, BYTES]),
      );
    expect(await fetched({ durableBytes: 0 })).toMatchObject(WHOLE);
  });

  it.each<[string, (socket: TLSSocket) => void]>([
    ['announced', (socket) => whole(socket, Buffer.concat([BYTES, Buffer.from('x')]))],
    [
      'not announced',
      (socket) => send(socket, head('200 OK', { Connection: 'close' }), Buffer.concat([BYTES, BYTES])),
    ],
  ])('more than the manifest names, %s, is refused, and nothing of it counts', async (_, tooMuch) => {
    answer = (_range, socket) => tooMuch(socket);
    const { thrown, durable } = await fetched({ durableBytes: 0 });
    expect([isWrong(thrown), durable]).toEqual([true, 0]);
    expect(thrown).toMatchObject({
      message: expect.stringContaining(`x.root from the controller is larger than ${SIZE} bytes`),
    });
  });

  it('more than the manifest names costs nothing of what stood before', async () => {
    answer = (_, socket) =>
      send(
        socket,
        head('206 Partial Content', {
          Connection: 'close',
          'Content-Range': `bytes ${STOOD}-${SIZE - 1}/*`,
        }),
        Buffer.concat([BYTES.subarray(STOOD), Buffer.from('x')]),
      );
    const { thrown, durable } = await fetched();
    expect([isWrong(thrown), durable]).toEqual([true, STOOD]);
  });

  it('less, and does not say whether there is more, is gone on with', async () => {
    answer = (_, socket) => send(socket, head('200 OK', { Connection: 'close' }), BYTES.subarray(0, 5000));
    const { thrown, durable } = await fetched({ durableBytes: 0 });
    expect(thrown).toMatchObject({
      code: 'firmware/source',
      message: expect.stringMatching(/ended after 5000/),
    });
    expect([isWrong(thrown), durable]).toEqual([false, 5000]);
  });

  it.each<[string, (range: string | undefined, socket: TLSSocket) => void, number]>([
    ['that there is no more', (_, socket) => whole(socket, BYTES.subarray(0, STOOD)), 0],
    [
      'of the rest that it is of less',
      (range, socket) =>
        range === undefined ? whole(socket, BYTES.subarray(0, 9000)) : rest(socket, STOOD, { total: 9000 }),
      STOOD,
    ],
    [
      'that nothing is there',
      (_, socket) =>
        send(
          socket,
          head('416 Range Not Satisfiable', {
            'Content-Range': `bytes */${STOOD}`,
            'Content-Length': 0,
          }),
        ),
      STOOD,
    ],
  ])('less, and says %s, is refused before a byte is fetched', async (_, less, durableBytes) => {
    answer = less;
    const { thrown, durable, paid } = await fetched({ durableBytes });
    expect(thrown).toMatchObject({
      message: expect.stringMatching(/x\.root from the controller is shorter than 20000 bytes: [89]000/),
    });
    expect([isWrong(thrown), durable, paid]).toEqual([true, durableBytes, 0]);
  });

  it('less than it announced, or nothing more, is gone on with', async () => {
    answer = (_, socket) => send(socket, head('200 OK', { 'Content-Length': SIZE }), BYTES.subarray(0, 5000));
    const cut = await fetched({ durableBytes: 0 });
    expect([cut.thrown, cut.durable]).toEqual([
      expect.objectContaining({ code: 'controller/unreachable' }),
      5000,
    ]);
    answer = (_, socket) =>
      void socket.write(
        Buffer.concat([Buffer.from(head('200 OK', { 'Content-Length': SIZE })), BYTES.subarray(0, 5000)]),
      );
    const silent = await fetched({ durableBytes: 0 });
    expect([silent.thrown, silent.durable]).toEqual([
      expect.objectContaining({
        code: 'controller/unreachable',
        message: expect.stringMatching(/no byte for 1 s|aborted/),
      }),
      5000,
    ]);
  });

  it('a part that nobody wants any more is let go at once', async () => {
    const stop = new AbortController();
    answer = (_, socket) =>
      void socket.write(
        Buffer.concat([Buffer.from(head('200 OK', { 'Content-Length': SIZE })), BYTES.subarray(0, 5000)]),
      );
    let paid = 0;
    const { durable } = await fetched({
      durableBytes: 0,
      signal: stop.signal,
      async pace(bytes) {
        paid += bytes;
        if (paid === 5000) stop.abort(new Error('another is wanted'));
      },
    });
    expect(durable).toBe(5000);
    for (const socket of sockets) if (!socket.destroyed) await once(socket, 'close');
  });

  it('no part says so, and what mends it', async () => {
    answer = (_, socket) => send(socket, head('404 Not Found', { 'Content-Length': 0 }));
    expect((await fetched()).thrown).toMatchObject({
      code: 'firmware/source',
      mend: expect.stringMatching(/Upload the version/),
    });
  });
});
