/**
 * Owns a ModemManager with one modem: as much of org.freedesktop.ModemManager1 (1.24) as the box asks, with a SIM that
 * counts wrong PINs and a network that says what it is told to. On a bus of its own (serve), or on a real one (join).
 * Does not own what bytes its messages have (busBytes.ts).
 */
import { createConnection, createServer, type Socket } from 'node:net';
import { decodeMessage, type Incoming } from '../../src/system/dbusWire.ts';
import { busMessage, type Value } from './busBytes.ts';

const NAME = 'org.freedesktop.ModemManager1';
const ROOT = '/org/freedesktop/ModemManager1';
export const MODEM = `${ROOT}/Modem/0`;
const SIM = `${ROOT}/SIM/0`;
const BEARER = `${ROOT}/Bearer/0`;
const STATE = { failed: -1, locked: 2, disabled: 3, searching: 7, registered: 8, connected: 11 } as const;

type Reply =
  | { readonly signature: string; readonly values: readonly Value[] }
  | { readonly error: string; readonly words: string };
const nothing: Reply = { signature: '', values: [] };

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

interface World {
  isPlugged: boolean;
  state: keyof typeof STATE;
  failure: number;
  pin: string | undefined;
  pinTries: number;
  registration: number;
  /** Name of the error by which the network refuses a bearer; undefined: it does not. */
  refusal: string | undefined;
  /** MMBearerIpMethod. */
  method: number;
  /** Calls that change something get no answer. */
  isMute: boolean;
  apn: string;
}

function createWorld(): World {
  return {
    isPlugged: true,
    state: 'disabled',
    failure: 0,
    pin: undefined,
    pinTries: 3,
    registration: 1,
    refusal: undefined,
    method: 2,
    isMute: false,
    apn: '',
  };
}

const text = (value: string): Value => ['s', value];
const number = (value: number): Value => ['u', value];

function createService(world: World, onCall: (call: string) => void, onChange: () => void) {
  const modem = (): Record<string, Value> => ({
    State: ['i', STATE[world.state]],
    StateFailedReason: number(world.failure),
    UnlockRequired: number(world.state === 'locked' ? (world.pinTries > 0 ? 2 : 4) : 1),
    UnlockRetries: [
      'a{uu}',
      [
        [2, world.pinTries],
        [4, 10],
      ],
    ],
    Sim: ['o', world.failure === 2 ? '/' : SIM],
    Bearers: ['ao', world.state === 'connected' ? [BEARER] : []],
    Ports: [
      'a(su)',
      [
        ['cdc-wdm0', 6],
        ['wwan0', 2],
      ],
    ],
    EquipmentIdentifier: text('354900000000001'),
    AccessTechnologies: number(1 << 14),
    SignalQuality: ['(ub)', [62, true]],
    // Of types that nobody asks for, but that are there.
    MaxActiveBearers: number(1),
    CurrentModes: ['(uu)', [8, 0]],
    SupportedModes: ['a(uu)', [[8, 0]]],
    Drivers: ['as', ['qmi_wwan', 'option']],
  });
  const cellular = (): Record<string, Value> => ({
    RegistrationState: number(world.registration),
    OperatorName: text('Mobilnetz'),
    InitialEpsBearerSettings: ['a{sv}', { apn: text('') }],
  });
  const properties: Readonly<Record<string, () => Record<string, Value>>> = {
    [`${ROOT} ${NAME}`]: () => ({ Version: text('1.24.0') }),
    [`${SIM} ${NAME}.Sim`]: () => ({ SimIdentifier: text('8949000000000000001'), Active: ['b', true] }),
    [`${BEARER} ${NAME}.Bearer`]: () => ({
      Interface: text('wwan0'),
      Connected: ['b', world.state === 'connected'],
      Properties: ['a{sv}', { apn: text(world.apn), 'ip-type': number(1) }],
      Ip4Config: [
        'a{sv}',
        {
          method: number(world.method),
          ...(world.method === 2 && {
            address: text('10.64.0.2'),
            prefix: number(30),
            gateway: text('10.64.0.1'),
            dns1: text('10.64.0.53'),
            mtu: number(1430),
          }),
        },
      ],
    }),
  };
  const become = (state: World['state']): Reply => {
    world.state = state;
    onChange();
    return nothing;
  };
  const sendPin = (given: string): Reply => {
    if (given === world.pin) {
      world.pinTries = 3;
      return become('disabled');
    }
    world.pinTries -= 1;
    onChange();
    return { error: `${NAME}.Error.MobileEquipment.IncorrectPassword`, words: 'Incorrect password' };
  };
  return (call: Incoming): Reply | undefined => {
    const [first] = call.body;
    const { path = '', member = '' } = call;
    if (member === 'GetManagedObjects') {
      const objects = { [MODEM]: { [`${NAME}.Modem`]: modem(), [`${NAME}.Modem.Modem3gpp`]: cellular() } };
      return { signature: 'a{oa{sa{sv}}}', values: [world.isPlugged ? objects : {}] };
    }
    if (member === 'GetAll') {
      const found = properties[`${path} ${String(first)}`];
      return found === undefined
        ? { error: 'org.freedesktop.DBus.Error.UnknownMethod', words: 'Object does not exist' }
        : { signature: 'a{sv}', values: [found()] };
    }
    onCall(
      [member, ...call.body.map((one) => (typeof one === 'object' ? JSON.stringify(one) : String(one)))].join(
        ' ',
      ),
    );
    if (world.isMute) return undefined;
    switch (member) {
      case 'SendPin':
        return sendPin(String(first));
      case 'Enable':
        return become(world.registration === 1 ? 'registered' : 'searching');
      case 'Connect': {
        if (world.refusal !== undefined) return { error: world.refusal, words: 'refused' };
        const asked: unknown = typeof first === 'object' && first !== null ? Reflect.get(first, 'apn') : '';
        world.apn = typeof asked === 'string' ? asked : '';
        become('connected');
        return { signature: 'o', values: [BEARER] };
      }
      case 'Disconnect':
        return become('registered');
      case 'Reset':
        return become('disabled');
      default:
        return { error: 'org.freedesktop.DBus.Error.UnknownMethod', words: member };
    }
  };
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
