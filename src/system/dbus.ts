/**
 * Owns one connection to a message bus (D-Bus): the greeting, calls with a time cap each, signals. Written here, since
 * our calls take five kinds of values, and mmcli or busctl would have a PIN among their arguments.
 * Does not own the form of messages (dbusEncode.ts, dbusDecode.ts) nor who is called.
 */
import { createConnection, type Socket } from 'node:net';
import { BranchboxError } from '../model/errors.ts';
import { decodeMessage, type Incoming } from './dbusDecode.ts';
import { encodeCall, type Outgoing } from './dbusEncode.ts';
import { MESSAGE } from './dbusTypes.ts';

export const SYSTEM_BUS = '/run/dbus/system_bus_socket';
const BUS = {
  destination: 'org.freedesktop.DBus',
  path: '/org/freedesktop/DBus',
  interface: 'org.freedesktop.DBus',
} as const;
const TIMEOUT_MS = 10_000;

export type BusCall = Omit<Outgoing, 'serial' | 'signature' | 'args'> &
  Partial<Pick<Outgoing, 'signature' | 'args'>> & {
    /** Default 10 000. */
    readonly timeoutMs?: number;
  };

export interface Bus {
  /** Values of the answer. One that was refused is `system/dbus` with the error's name in `fields.name`; `timeout`
   * or `closed` where nobody answered. */
  call(call: BusCall): Promise<readonly unknown[]>;
  /** Signals of the sender that has a name reach `onSignal` from now on, its coming and going too. */
  follow(name: string): Promise<void>;
  close(): void;
}

export interface BusOptions {
  readonly socketPath: string;
  /** Whose name the greeting says; the bus compares it with the socket's owner. */
  readonly uid: number;
  /** An event only says that something changed. */
  readonly onSignal: () => void;
  /** Once, also after close(). */
  readonly onClose: () => void;
}

interface Waiting {
  readonly resolve: (body: readonly unknown[]) => void;
  readonly reject: (error: BranchboxError) => void;
  readonly timer: NodeJS.Timeout;
}

export async function connectBus({ socketPath, uid, onSignal, onClose }: BusOptions): Promise<Bus> {
  const socket = createConnection({ path: socketPath });
  const waiting = new Map<number, Waiting>();
  let serial = 0;
  let why = 'it was closed';
  const gone = (): BranchboxError =>
    new BranchboxError('system/dbus', {
      message: `the message bus at ${socketPath} does not answer: ${why}`,
      fields: { name: 'closed' },
    });
  socket.on('error', (cause) => {
    why = cause.message;
  });
  socket.on('close', () => {
    for (const { reject, timer } of waiting.values()) {
      clearTimeout(timer);
      reject(gone());
    }
    waiting.clear();
    onClose();
  });
  const heard = (message: Incoming): void => {
    if (message.kind === MESSAGE.signal) onSignal();
    const own = message.replySerial === undefined ? undefined : waiting.get(message.replySerial);
    if (own === undefined || message.replySerial === undefined) return;
    waiting.delete(message.replySerial);
    clearTimeout(own.timer);
    if (message.kind === MESSAGE.error) own.reject(refusal(message));
    else own.resolve(message.body);
  };

  const call: Bus['call'] = ({ timeoutMs = TIMEOUT_MS, signature = [], args = [], ...to }) =>
    new Promise((resolve, reject) => {
      serial += 1;
      const own = serial;
      if (socket.destroyed) {
        reject(gone());
        return;
      }
      const timer = setTimeout(() => {
        waiting.delete(own);
        reject(
          new BranchboxError('system/dbus', {
            message: `${to.interface}.${to.member} has no answer after ${timeoutMs} ms`,
            fields: { name: 'timeout' },
          }),
        );
      }, timeoutMs);
      waiting.set(own, { resolve, reject, timer });
      socket.write(encodeCall({ serial: own, signature, args, ...to }));
    });

  try {
    await greet(socket, uid, gone);
    readMessages(socket, heard);
    await call({ ...BUS, member: 'Hello' });
  } catch (thrown) {
    socket.destroy();
    throw thrown;
  }
  const match = (rule: string) => call({ ...BUS, member: 'AddMatch', signature: ['s'], args: [rule] });
  return {
    call,
    async follow(name) {
      await match(`type='signal',sender='${name}'`);
      await match(
        `type='signal',sender='${BUS.destination}',interface='${BUS.interface}',member='NameOwnerChanged',arg0='${name}'`,
      );
    },
    close: () => socket.destroy(),
  };
}

/** SASL EXTERNAL ("Authentication Protocol"): the bus knows by the socket who calls. */
function greet(socket: Socket, uid: number, gone: () => BranchboxError): Promise<void> {
  return new Promise((resolve, reject) => {
    let text = '';
    const onGone = (): void => reject(gone());
    const timer = setTimeout(() => socket.destroy(), TIMEOUT_MS);
    const onData = (chunk: Buffer): void => {
      text += chunk.toString('latin1');
      if (!text.includes('\r\n') && text.length < 1024) return;
      clearTimeout(timer);
      socket.off('data', onData);
      socket.off('close', onGone);
      if (!text.startsWith('OK ')) {
        reject(
          new BranchboxError('system/dbus', { message: 'the message bus takes no calls of this process' }),
        );
        return;
      }
      socket.write('BEGIN\r\n');
      resolve();
    };
    socket.once('close', onGone);
    socket.once('close', () => clearTimeout(timer));
    socket.on('data', onData);
    socket.write(`\0AUTH EXTERNAL ${Buffer.from(String(uid)).toString('hex')}\r\n`);
  });
}

function readMessages(socket: Socket, heard: (message: Incoming) => void): void {
  let bytes: Buffer = Buffer.alloc(0);
  socket.on('data', (chunk: Buffer) => {
    bytes = Buffer.concat([bytes, chunk]);
    try {
      for (;;) {
        const next = decodeMessage(bytes);
        if (next === undefined) return;
        bytes = bytes.subarray(next.taken);
        heard(next.message);
      }
    } catch (thrown) {
      socket.destroy(thrown instanceof Error ? thrown : undefined);
    }
  });
}

function refusal({ errorName, body }: Incoming): BranchboxError {
  const name = errorName ?? 'unnamed';
  const words = typeof body[0] === 'string' ? body[0] : '';
  return new BranchboxError('system/dbus', {
    message: `${name.split('.').slice(-2).join('.')}: ${words}`.slice(0, 500),
    fields: { name },
  });
}
