/** The client of D-Bus: every type a service may send, messages in pieces, refusals, and a bus that goes away. */
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { BranchboxError } from '../../../src/model/errors.ts';
import { connectBus } from '../../../src/system/dbus.ts';
import { decodeMessage } from '../../../src/system/dbusDecode.ts';
import { encodeCall } from '../../../src/system/dbusEncode.ts';
import { splitSignature } from '../../../src/system/dbusTypes.ts';
import { busMessage, type Value } from '../../fakes/busBytes.ts';

const answer = (signature: string, ...values: readonly Value[]) =>
  busMessage(2, 9, [[5, ['u', 1]]], signature, values);
const bodyOf = (bytes: Buffer) => decodeMessage(bytes)?.message.body;
const call = {
  destination: 'a.b',
  path: '/c',
  interface: 'd.e',
  member: 'F',
  signature: ['s', 'u', 'b', 'o', 'a{sv}'],
  args: ['é', 7, true, '/x', { apn: { type: 's', value: 'net' }, kind: { type: 'u', value: 4_000_000_000 } }],
} as const;

describe('messages', () => {
  it('of every type are read, whatever stands before them', () => {
    const cases: readonly (readonly [string, Value, unknown])[] = [
      ['y', 200, 200],
      ['b', 1, true],
      ['n', -2, -2],
      ['q', 65_535, 65_535],
      ['i', -7, -7],
      ['u', 4_294_967_295, 4_294_967_295],
      ['x', '-9007199254740993', -9007199254740993n],
      ['t', '18446744073709551615', 18446744073709551615n],
      ['d', 1.5, 1.5],
      ['s', 'Bränch', 'Bränch'],
      ['o', '/a/b', '/a/b'],
      ['g', 'a{sv}', 'a{sv}'],
      ['v', ['u', 5], 5],
      ['v', ['v', ['s', 'deep']], 'deep'],
      ['as', ['one', '', 'three'], ['one', '', 'three']],
      ['ax', [], []],
      [
        'a(su)',
        [
          ['cdc-wdm0', 6],
          ['wwan0', 2],
        ],
        [
          ['cdc-wdm0', 6],
          ['wwan0', 2],
        ],
      ],
      ['(ub)', [62, 1], [62, true]],
      [
        'a{uu}',
        [
          [2, 3],
          [4, 10],
        ],
        { 2: 3, 4: 10 },
      ],
      [
        'a{oa{sa{sv}}}',
        { '/m': { I: { State: ['i', -1], Ports: ['a(su)', [['w', 2]]] } } },
        { '/m': { I: { State: -1, Ports: [['w', 2]] } } },
      ],
    ];
    for (const [type, sent, read] of cases) {
      expect(bodyOf(answer(type, sent)), type).toEqual([read]);
      // Alignment is that of the message, not of the value.
      for (const before of ['y', 's', 'as'])
        expect(
          bodyOf(answer(`${before}${type}y`, before === 'as' ? ['odd'] : 3, sent, 9))?.slice(1),
          before + type,
        ).toEqual([read, 9]);
    }
  });

  it('are written as another reads them', () => {
    const bytes = encodeCall({ ...call, serial: 3 });
    const expected = busMessage(
      1,
      3,
      [
        [1, ['o', '/c']],
        [2, ['s', 'd.e']],
        [3, ['s', 'F']],
        [6, ['s', 'a.b']],
      ],
      call.signature.join(''),
      ['é', 7, 1, '/x', { apn: ['s', 'net'], kind: ['u', 4_000_000_000] }],
    );
    expect(bytes.equals(expected)).toBe(true);
  });

  it('that are not whole are awaited, and two at once are two', () => {
    const bytes = answer('s', 'text');
    for (let length = 0; length < bytes.length; length += 1)
      expect(decodeMessage(bytes.subarray(0, length)), String(length)).toBeUndefined();
    expect(decodeMessage(Buffer.concat([bytes, bytes]))?.taken).toBe(bytes.length);
  });

  it('that are none end in an error and in nothing else', () => {
    const whole = answer('a{sv}as', { a: ['s', 'b'] }, ['c']);
    for (let at = 0; at < whole.length; at += 1) {
      for (const value of [0, 1, 0x7f, 0xff]) {
        const bytes = Buffer.from(whole);
        bytes[at] = value;
        try {
          decodeMessage(bytes);
        } catch (thrown) {
          expect(thrown).toBeInstanceOf(BranchboxError);
        }
      }
    }
    // `a()`: of elements without a byte there is no end.
    for (const signature of ['a', 'a()', 'a{}', '(', '(s', 'z', '}', '('.repeat(100), 'a'.repeat(100)])
      expect(() => splitSignature(signature), signature).toThrow(BranchboxError);
  });

  it('are not made of what is of another type, and the refusal has no word of it', () => {
    const args = [{ pin: { type: 'u', value: 'geheim' } }] as const;
    let said = '';
    try {
      encodeCall({ ...call, serial: 1, signature: ['a{sv}'], args });
    } catch (thrown) {
      said = String(thrown);
    }
    expect(said).toContain('no u');
    expect(said).not.toContain('geheim');
  });
});

describe('a connection', () => {
  let directory: string;
  let server: Server;
  let socket: Socket;
  let heard: string[];
  let onCall: (to: Socket, call: { member: string | undefined; serial: number }) => void;
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'bbt-dbus-'));
    heard = [];
    onCall = (to, { serial }) => to.write(busMessage(2, 9, [[5, ['u', serial]]], 's', [':1.1']));
    server = createServer((to) => {
      socket = to;
      let bytes = Buffer.alloc(0);
      let isOpen = false;
      to.on('data', (chunk: Buffer) => {
        bytes = Buffer.concat([bytes, chunk]);
        if (!isOpen) {
          const end = bytes.indexOf('\r\n');
          const line = bytes.toString('latin1', 0, end);
          heard.push(line);
          bytes = bytes.subarray(end + 2);
          if (line !== 'BEGIN')
            return void to.write(heard.length > 1 || line.includes('30') ? 'OK 12\r\n' : 'REJECTED\r\n');
          isOpen = true;
        }
        for (let next = decodeMessage(bytes); next !== undefined; next = decodeMessage(bytes)) {
          const serial = bytes.readUInt32LE(8);
          bytes = bytes.subarray(next.taken);
          onCall(to, { member: next.message.member, serial });
        }
      });
    });
    await new Promise<void>((resolve) => server.listen(join(directory, 'bus'), resolve));
  });
  afterEach(async () => {
    socket?.destroy();
    server.close();
    await rm(directory, { recursive: true, force: true });
  });
  const connect = (more: Partial<Parameters<typeof connectBus>[0]> = {}) =>
    connectBus({
      socketPath: join(directory, 'bus'),
      uid: 0,
      onSignal: () => undefined,
      onClose: () => undefined,
      ...more,
    });
  const codeOf = (error: unknown) =>
    error instanceof BranchboxError ? [error.code, error.fields['name']] : [String(error)];

  it('greets as who it is, and is told where it may not', async () => {
    const bus = await connect();
    expect(heard).toEqual(['\0AUTH EXTERNAL 30', 'BEGIN']);
    bus.close();
    heard = [];
    await expect(connect({ uid: 5 })).rejects.toThrow('takes no calls');
  });

  it('gives each call its own answer, in whatever order and pieces they come', async () => {
    const bus = await connect();
    const serials: number[] = [];
    onCall = (to, { serial }) => {
      serials.push(serial);
      if (serials.length < 2) return;
      const bytes = Buffer.concat(
        serials.toReversed().map((own) => busMessage(2, 9, [[5, ['u', own]]], 'u', [own])),
      );
      for (const byte of bytes) to.write(Buffer.from([byte]));
    };
    const values = await Promise.all([bus.call(call), bus.call(call)]);
    expect(values.flat()).toEqual(serials);
    bus.close();
  });

  it('tells of a refusal by its name, of silence and of a bus that went', async () => {
    const bus = await connect();
    onCall = (to, { serial }) =>
      void to.write(
        busMessage(
          3,
          9,
          [
            [5, ['u', serial]],
            [4, ['s', 'x.y.Error.No']],
          ],
          's',
          ['words'],
        ),
      );
    const refused: unknown = await bus.call(call).catch((error: unknown) => error);
    expect([codeOf(refused), String(refused)]).toEqual([
      ['system/dbus', 'x.y.Error.No'],
      expect.stringContaining('Error.No: words'),
    ]);
    onCall = () => undefined;
    expect(codeOf(await bus.call({ ...call, timeoutMs: 1 }).catch((error: unknown) => error))).toEqual([
      'system/dbus',
      'timeout',
    ]);
    onCall = (to) => void to.destroy();
    expect(codeOf(await bus.call(call).catch((error: unknown) => error))).toEqual(['system/dbus', 'closed']);
    expect(codeOf(await bus.call(call).catch((error: unknown) => error))).toEqual(['system/dbus', 'closed']);
  });

  it('ends where the bus speaks nonsense, and says so once', async () => {
    let closed = 0;
    const ended = new Promise<void>((resolve) => {
      void connect({
        onClose: () => {
          closed += 1;
          resolve();
        },
      }).then(() => socket.write(Buffer.alloc(64, 1)));
    });
    await ended;
    expect(closed).toBe(1);
  });

  it('hands on that there was a signal', async () => {
    const signalled = new Promise<void>((resolve) => {
      void connect({ onSignal: resolve }).then(() =>
        socket.write(busMessage(4, 3, [[1, ['o', '/a']]], 's', ['x'])),
      );
    });
    await signalled;
  });
});
