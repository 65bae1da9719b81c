/** A part at a rate: asked for in pieces, so that what is under way is bounded. Over a real connection. */
import type { TLSSocket } from 'node:tls';
import { describe, expect, it } from 'vitest';
import { isWrong } from '../../../src/update/fetchPart.ts';
import { createPace, pieceBytesAt } from '../../../src/update/pace.ts';
import { BYTES, head, send, SIZE, STOOD, whole, WHOLE, useRawController } from './rawController.ts';

const raw = useRawController();
const PIECE = 3000;
/** From 0 on: seven, the last of 2000. */
const RANGES = [0, 1, 2, 3, 4, 5, 6].map(
  (index) => `bytes=${index * PIECE}-${Math.min((index + 1) * PIECE, SIZE) - 1}`,
);

const boundsOf = (range: string | undefined): readonly [number, number] => {
  const [, from, last] = /^bytes=(\d+)-(\d+)$/.exec(range ?? '') ?? [];
  return [Number(from), Number(last)];
};
/** As a server does it that knows ranges; `change`: what it gets wrong. */
function piece(
  range: string | undefined,
  socket: TLSSocket,
  change: { readonly last?: number; readonly total?: number | '*'; readonly more?: number } = {},
): number {
  const [from, last] = boundsOf(range);
  const bytes = BYTES.subarray(from, last + 1 + (change.more ?? 0));
  send(
    socket,
    head('206 Partial Content', {
      Connection: 'close',
      'Content-Range': `bytes ${from}-${change.last ?? last}/${change.total ?? SIZE}`,
    }),
    bytes,
  );
  return bytes.length;
}

describe('a part at a rate', () => {
  it('is never more under way than one piece, beyond what the time so far allows', async () => {
    let nowMs = 0;
    const pace = createPace(8, {
      nowMs: () => nowMs,
      monotonicMs: () => nowMs,
      sleep: async (durationMs) => void (nowMs += durationMs),
    });
    let handed = 0;
    const ahead: number[] = [];
    raw.answers((range, socket) => {
      handed += piece(range, socket);
      // Of 8 kbit/s a byte a millisecond.
      ahead.push(handed - nowMs);
    });
    expect(await raw.fetched({ durableBytes: 0, pieceBytes: PIECE, pace })).toMatchObject(WHOLE);
    expect(raw.asked()).toEqual(RANGES);
    expect(Math.max(...ahead)).toBe(PIECE);
    expect([handed, nowMs]).toEqual([SIZE, SIZE]);
  });

  it('goes on from what stood', async () => {
    raw.answers((range, socket) => void piece(range, socket, { total: '*' }));
    expect(await raw.fetched({ pieceBytes: 10_000 })).toEqual({ ...WHOLE, paid: SIZE - STOOD });
    expect(raw.asked()).toEqual(['bytes=8000-17999', 'bytes=18000-19999']);
  });

  it.each([0, STOOD])(
    'comes whole from a server that knows no ranges, where %d bytes stood',
    async (durableBytes) => {
      raw.answers((_, socket) => whole(socket));
      expect(await raw.fetched({ durableBytes, pieceBytes: PIECE })).toEqual({ ...WHOLE, paid: SIZE });
      expect(raw.asked()).toHaveLength(1);
    },
  );

  it.each<[string, (range: string, socket: TLSSocket) => void]>([
    ['a longer range', (range, socket) => void piece(range, socket, { last: SIZE - 1 })],
    [
      'that there is none',
      (_, socket) => send(socket, head('416 Range Not Satisfiable', { 'Content-Length': 0 })),
    ],
  ])('is asked for whole where the answer is %s', async (_, misled) => {
    raw.answers((range, socket) => (range === undefined ? whole(socket) : misled(range, socket)));
    expect(await raw.fetched({ durableBytes: 0, pieceBytes: PIECE })).toMatchObject(WHOLE);
    expect(raw.asked()).toEqual([RANGES[0], undefined]);
  });

  it.each<[string, (range: string | undefined, socket: TLSSocket) => void, string]>([
    ['the whole', (_, socket) => whole(socket), 'the controller answered 200 for x.root'],
    [
      'a longer range',
      (range, socket) => void piece(range, socket, { last: SIZE - 1 }),
      'the controller answered 206 for x.root',
    ],
    [
      'more than it says',
      (range, socket) => void piece(range, socket, { more: 1000 }),
      'the controller sent more of x.root than was asked for',
    ],
    ['nothing', (range, socket) => void piece(range, socket, { more: -PIECE }), 'ended after 3000'],
  ])('is tried again from there where a later answer is %s', async (_, later, message) => {
    raw.answers((range, socket) => (range === RANGES[0] ? void piece(range, socket) : later(range, socket)));
    const { thrown, durable } = await raw.fetched({ durableBytes: 0, pieceBytes: PIECE });
    expect(thrown).toMatchObject({ code: 'firmware/source', message: expect.stringContaining(message) });
    expect([isWrong(thrown), durable % PIECE]).toEqual([false, 0]);
  });

  it('of which a later answer says another size is refused', async () => {
    raw.answers((range, socket) => void piece(range, socket, range === RANGES[0] ? {} : { total: SIZE + 1 }));
    expect(isWrong((await raw.fetched({ durableBytes: 0, pieceBytes: PIECE })).thrown)).toBe(true);
  });
});

it.each([
  [undefined, undefined],
  [1, 65_536],
  [4000, 500_000],
  [1_000_000, 4_194_304],
])('of %s kbit/s a piece has %s bytes', (rate, bytes) => expect(pieceBytesAt(rate)).toBe(bytes));
