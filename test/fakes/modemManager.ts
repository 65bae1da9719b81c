/**
 * Owns a ModemManager with one modem on a bus: on one of its own (serve), or on a real one (join); what it was asked to do,
 * and its signals. Does not own what it answers (modemService.ts) nor what bytes its messages have (busBytes.ts).
 */
import { createConnection, createServer, type Socket } from 'node:net';
import { decodeMessage, type Incoming } from '../../src/system/dbusDecode.ts';
import { busMessage, type Value } from './busBytes.ts';
import { createService, createWorld, MODEM, NAME, nothing, type Reply, type World } from './modemService.ts';

export interface FakeModemManager {
  /** Method calls that do something, oldest first: `SendPin 1234`. */
  readonly calls: readonly string[];
  /** Resolves with the call after those that were waited for. */
  nextCall(): Promise<string>;
  /** What the modem and its network are from now on; told as a signal. */
  set(change: Partial<World>): void;
  readonly world: Readonly<World>;
  /** Everything is gone, as when the process is killed. */
  close(): Promise<void>;
}

/** Numbers of header fields. */
const PATH = 1;
const INTERFACE = 2;
const MEMBER = 3;
const ERROR = 4;
const REPLY = 5;
const TO = 6;

function speak(socket: Socket, answer: (call: Incoming) => Reply | undefined): void {
  let bytes: Buffer = Buffer.alloc(0);
  let isOpen = false;
  socket.on('error', () => undefined);
  socket.on('data', (chunk: Buffer) => {
    bytes = Buffer.concat([bytes, chunk]);
    while (!isOpen) {
      const end = bytes.indexOf('\r\n');
      if (end < 0) return;
      const line = bytes.toString('latin1', 0, end).replace('\0', '');
      bytes = bytes.subarray(end + 2);
      if (line === 'BEGIN' || line.startsWith('OK ')) isOpen = true;
      else if (line === `AUTH EXTERNAL ${Buffer.from('0').toString('hex')}`)
        socket.write('OK 1234deadbeef\r\n');
      else socket.write('REJECTED EXTERNAL\r\n');
      if (line.startsWith('OK ')) socket.write('BEGIN\r\n');
    }
    for (let next = decodeMessage(bytes); next !== undefined; next = decodeMessage(bytes)) {
      const serial = bytes.readUInt32LE(8);
      bytes = bytes.subarray(next.taken);
      const reply = next.message.kind === 1 ? answer(next.message) : undefined;
      if (reply === undefined) continue;
      const back = [
        [REPLY, ['u', serial]],
        ...(next.message.sender === undefined ? [] : [[TO, ['s', next.message.sender]]]),
      ] as [number, [string, Value]][];
      socket.write(
        'error' in reply
          ? busMessage(3, serial + 1000, [...back, [ERROR, ['s', reply.error]]], 's', [reply.words])
          : busMessage(2, serial + 1000, back, reply.signature, reply.values),
      );
    }
  });
}

function createFake(): FakeModemManager & {
  readonly sockets: Set<Socket>;
  readonly answer: (call: Incoming) => Reply | undefined;
  ending: () => void;
} {
  const world = createWorld();
  const sockets = new Set<Socket>();
  const calls: string[] = [];
  const waiting: ((call: string) => void)[] = [];
  let taken = 0;
  const signal = busMessage(
    4,
    7,
    [
      [PATH, ['o', MODEM]],
      [INTERFACE, ['s', 'org.freedesktop.DBus.Properties']],
      [MEMBER, ['s', 'PropertiesChanged']],
    ],
    'sa{sv}as',
    [`${NAME}.Modem`, { State: ['i', 8] }, []],
  );
  const onChange = (): void => {
    for (const socket of sockets) socket.write(signal);
  };
  const onCall = (call: string): void => {
    calls.push(call);
    if (waiting.length > 0) taken += 1;
    waiting.shift()?.(call);
  };
  const fake = {
    sockets,
    calls,
    world,
    answer: createService(world, onCall, onChange),
    ending: () => undefined as void,
    nextCall: () => {
      const there = calls[taken];
      if (there === undefined) return new Promise<string>((resolve) => waiting.push(resolve));
      taken += 1;
      return Promise.resolve(there);
    },
    set(change: Partial<World>) {
      Object.assign(world, change);
      onChange();
    },
    async close() {
      for (const socket of sockets) socket.destroy();
      fake.ending();
    },
  };
  return fake;
}

/** A bus of its own, on which it is alone: it answers as the bus and as ModemManager. */
export async function serveModemManager(socketPath: string): Promise<FakeModemManager> {
  const fake = createFake();
  const server = createServer((socket) => {
    fake.sockets.add(socket);
    socket.on('close', () => fake.sockets.delete(socket));
    speak(socket, (call) => {
      if (call.member === 'Hello') return { signature: 's', values: [':1.1'] };
      return call.member === 'AddMatch' ? nothing : fake.answer(call);
    });
  });
  fake.ending = () => server.close();
  await new Promise<void>((resolve) => server.listen(socketPath, resolve));
  return fake;
}

/** On a bus that is there, by its well-known name; `first` it is from its first moment on. */
export async function joinModemManager(socketPath: string, first: Partial<World>): Promise<FakeModemManager> {
  const fake = createFake();
  fake.set(first);
  const socket = createConnection(socketPath);
  speak(socket, fake.answer);
  socket.write(`\0AUTH EXTERNAL ${Buffer.from('0').toString('hex')}\r\n`);
  const ask = (serial: number, member: string, signature: string, values: readonly Value[]) =>
    socket.write(
      busMessage(
        1,
        serial,
        [
          [PATH, ['o', '/org/freedesktop/DBus']],
          [INTERFACE, ['s', 'org.freedesktop.DBus']],
          [MEMBER, ['s', member]],
          [TO, ['s', 'org.freedesktop.DBus']],
        ],
        signature,
        values,
      ),
    );
  await new Promise((resolve) => socket.once('data', resolve));
  ask(1, 'Hello', '', []);
  ask(2, 'RequestName', 'su', [NAME, 0]);
  // The answer to the second.
  await new Promise<void>((resolve) => {
    let bytes: Buffer = Buffer.alloc(0);
    socket.on('data', function heard(chunk: Buffer) {
      bytes = Buffer.concat([bytes, chunk]);
      for (let next = decodeMessage(bytes); next !== undefined; next = decodeMessage(bytes)) {
        bytes = bytes.subarray(next.taken);
        if (next.message.replySerial === 2) {
          socket.off('data', heard);
          resolve();
        }
      }
    });
  });
  fake.sockets.add(socket);
  return fake;
}
