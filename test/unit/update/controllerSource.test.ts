/** A part of which something stands: ranges, and what a server says of its size. Over a real connection, with raw answers. */
import type { TLSSocket } from 'node:tls';
import { gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { isSpoiled, isWrong } from '../../../src/update/fetchPart.ts';
import { BYTES, head, rest, send, SIZE, STOOD, whole, WHOLE, useRawController } from './rawController.ts';

const raw = useRawController();

describe('a part of which something stands', () => {
  it('comes from there on', async () => {
    raw.answers((_, socket) => rest(socket, STOOD));
    expect(await raw.fetched()).toEqual({ ...WHOLE, paid: SIZE - STOOD });
    expect(raw.asked()).toEqual([`bytes=${STOOD}-`]);
    raw.answers((_, socket) => rest(socket, STOOD, { total: '*' }));
    expect(await raw.fetched()).toMatchObject(WHOLE);
  });

  it('comes whole from a server that knows no ranges, and every byte of that is paid for', async () => {
    raw.answers((_, socket) => whole(socket));
    expect(await raw.fetched()).toEqual({ ...WHOLE, paid: SIZE });
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
    raw.answers((range, socket) => (range === undefined ? whole(socket) : misled(socket)));
    expect(await raw.fetched()).toMatchObject(WHOLE);
    expect(raw.asked()).toEqual([`bytes=${STOOD}-`, undefined]);
  });

  it('of a server that has no answer but that is waited for', async () => {
    raw.answers((_, socket) => rest(socket, STOOD, { said: 1 }));
    const { thrown, durable } = await raw.fetched();
    expect(thrown).toMatchObject({
      code: 'firmware/source',
      message: 'the controller answered 206 for x.root',
    });
    expect(durable).toBe(STOOD);
  });

  it('is asked for in no content coding; one that comes in one all the same is waited for, and says nothing of the version', async () => {
    const packed = gzipSync(BYTES);
    const coded = (status: string, more: Readonly<Record<string, string>> = {}) =>
      head(status, { 'Content-Encoding': 'gzip', 'Content-Length': packed.length, ...more });
    raw.answers((_, socket) => send(socket, coded('200 OK'), packed));
    const { thrown, durable } = await raw.fetched();
    expect(thrown).toMatchObject({
      code: 'firmware/source',
      message: 'the controller answered 200 for x.root, in the content coding gzip, which nobody asked for',
    });
    expect([isWrong(thrown), durable]).toEqual([false, STOOD]);
    expect(raw.heads()).toEqual([expect.stringMatching(/^accept-encoding: identity\r$/im)]);
    const range = { 'Content-Range': `bytes ${STOOD}-${SIZE - 1}/${SIZE}` };
    raw.answers((_, socket) => send(socket, coded('206 Partial Content', range), packed));
    const rest206 = await raw.fetched();
    expect(rest206.thrown).toMatchObject({ message: expect.stringContaining('in the content coding gzip') });
    expect([isSpoiled(rest206.thrown), rest206.durable]).toEqual([false, STOOD]);
  });

  it('and is another file now does not count', async () => {
    const other = Buffer.from(BYTES).fill(1, STOOD);
    raw.answers((_, socket) =>
      send(
        socket,
        head('206 Partial Content', {
          ETag: '"another"',
          'Content-Length': SIZE - STOOD,
          'Content-Range': `bytes ${STOOD}-${SIZE - 1}/${SIZE}`,
        }),
        other.subarray(STOOD),
      ),
    );
    const { thrown } = await raw.fetched();
    expect([isSpoiled(thrown), isWrong(thrown)]).toEqual([true, false]);
    // From its first byte on there is nobody else to blame.
    raw.answers((_, socket) => whole(socket, other));
    expect(isWrong((await raw.fetched({ durableBytes: 0 })).thrown)).toBe(true);
  });
});
