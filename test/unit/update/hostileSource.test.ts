/** A part from a server that does as it pleases: sizes, silence, ends. Over a real connection, with raw answers. */
import type { TLSSocket } from 'node:tls';
import { describe, expect, it } from 'vitest';
import { isWrong } from '../../../src/update/fetchPart.ts';
import { BYTES, head, rest, send, SIZE, STOOD, whole, WHOLE, useRawController } from './rawController.ts';

const raw = useRawController();

describe('a server that sends', () => {
  it('more than it announced is heard as far as that', async () => {
    raw.answers((_, socket) =>
      send(
        socket,
        head('200 OK', { 'Content-Length': SIZE, Connection: 'close' }),
        Buffer.concat([BYTES, BYTES]),
      ),
    );
    expect(await raw.fetched({ durableBytes: 0 })).toMatchObject(WHOLE);
  });

  it.each<[string, (socket: TLSSocket) => void]>([
    ['announced', (socket) => whole(socket, Buffer.concat([BYTES, Buffer.from('x')]))],
    [
      'not announced',
      (socket) => send(socket, head('200 OK', { Connection: 'close' }), Buffer.concat([BYTES, BYTES])),
    ],
  ])('more than the manifest names, %s, is refused, and nothing of it counts', async (_, tooMuch) => {
    raw.answers((_range, socket) => tooMuch(socket));
    const { thrown, durable } = await raw.fetched({ durableBytes: 0 });
    expect([isWrong(thrown), durable]).toEqual([true, 0]);
    expect(thrown).toMatchObject({
      message: expect.stringContaining(`x.root from the controller is larger than ${SIZE} bytes`),
    });
  });

  it('more than the manifest names costs nothing of what stood before', async () => {
    raw.answers((_, socket) =>
      send(
        socket,
        head('206 Partial Content', {
          Connection: 'close',
          'Content-Range': `bytes ${STOOD}-${SIZE - 1}/*`,
        }),
        Buffer.concat([BYTES.subarray(STOOD), Buffer.from('x')]),
      ),
    );
    const { thrown, durable } = await raw.fetched();
    expect([isWrong(thrown), durable]).toEqual([true, STOOD]);
  });

  it('less, and does not say whether there is more, is gone on with', async () => {
    raw.answers((_, socket) =>
      send(socket, head('200 OK', { Connection: 'close' }), BYTES.subarray(0, 5000)),
    );
    const { thrown, durable } = await raw.fetched({ durableBytes: 0 });
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
    raw.answers(less);
    const { thrown, durable, paid } = await raw.fetched({ durableBytes });
    expect(thrown).toMatchObject({
      message: expect.stringMatching(/x\.root from the controller is shorter than 20000 bytes: [89]000/),
    });
    expect([isWrong(thrown), durable, paid]).toEqual([true, durableBytes, 0]);
  });

  it('less than it announced, or nothing more, is gone on with', async () => {
    raw.answers((_, socket) =>
      send(socket, head('200 OK', { 'Content-Length': SIZE }), BYTES.subarray(0, 5000)),
    );
    const cut = await raw.fetched({ durableBytes: 0 });
    expect([cut.thrown, cut.durable]).toEqual([
      expect.objectContaining({ code: 'controller/unreachable' }),
      5000,
    ]);
    raw.answers(
      (_, socket) =>
        void socket.write(
          Buffer.concat([Buffer.from(head('200 OK', { 'Content-Length': SIZE })), BYTES.subarray(0, 5000)]),
        ),
    );
    const silent = await raw.fetched({ durableBytes: 0 });
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
    raw.answers(
      (_, socket) =>
        void socket.write(
          Buffer.concat([Buffer.from(head('200 OK', { 'Content-Length': SIZE })), BYTES.subarray(0, 5000)]),
        ),
    );
    let paid = 0;
    const { durable } = await raw.fetched({
      durableBytes: 0,
      signal: stop.signal,
      async pace(bytes) {
        paid += bytes;
        if (paid === 5000) stop.abort(new Error('another is wanted'));
      },
    });
    expect(durable).toBe(5000);
    await raw.untilClosed();
  });

  it('no part says so, and what mends it', async () => {
    raw.answers((_, socket) => send(socket, head('404 Not Found', { 'Content-Length': 0 })));
    expect((await raw.fetched()).thrown).toMatchObject({
      code: 'firmware/source',
      mend: expect.stringMatching(/Upload the version/),
    });
  });
});
