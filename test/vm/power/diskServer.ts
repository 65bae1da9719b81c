/**
 * Owns serving a volatile disk to QEMU over a unix socket, and pulling its plug when QEMU hangs up. The disk can be
 * stopped at a flush, so that a cut falls right before what was written becomes durable.
 */
import { createServer, type Server, type Socket } from 'node:net';
import { COMMANDS, FLAG_FUA, greeting, negotiate, readRequest, REQUEST_BYTES, simpleReply } from './nbd.ts';
import type { VolatileDisk } from './volatileDisk.ts';

const EINVAL = 22;
const CLIENT_FLAGS_BYTES = 4;

export interface DiskServer {
  /** A machine that is still on loses its disk. */
  close(): Promise<void>;
}

export interface DiskEvents {
  /** QEMU is gone, and what was not flushed is lost; before the next connects. */
  readonly onPowerLoss: () => void;
  /** Before a flush: true stops the disk, which answers nothing any more until the next power on. */
  readonly stopsAtFlush: () => boolean;
}

export async function serveDisk(
  socketPath: string,
  disk: VolatileDisk,
  { onPowerLoss, stopsAtFlush }: DiskEvents,
): Promise<DiskServer> {
  let isOn = false;
  const sockets = new Set<Socket>();
  const losePower = (): void => {
    if (isOn) onPowerLoss();
    isOn = false;
  };
  const server: Server = createServer((socket) => {
    // The end of the last one may be told after the beginning of this one.
    losePower();
    let isCurrent = true;
    server.once('connection', () => (isCurrent = false));
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
    serveClient(socket, disk, {
      on: () => (isOn = true),
      off: () => (isCurrent ? losePower() : undefined),
      stopsAtFlush,
    });
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(socketPath, resolve);
  });
  return {
    close: () =>
      new Promise((done) => {
        // No power loss any more: the disk may be closed when its sockets are.
        isOn = false;
        server.close(() => done());
        for (const socket of sockets) socket.destroy();
      }),
  };
}

interface Power {
  on(): void;
  off(): void;
  stopsAtFlush(): boolean;
}

function serveClient(socket: Socket, disk: VolatileDisk, power: Power): void {
  let input: Buffer = Buffer.alloc(0);
  let phase: 'flags' | 'options' | 'transmission' | 'stopped' = 'flags';
  const take = (bytes: number): Buffer => {
    const taken = input.subarray(0, bytes);
    input = input.subarray(bytes);
    return taken;
  };
  /** Whether there was enough of the input to do something. */
  const step = (): boolean => {
    switch (phase) {
      case 'flags':
        if (input.length < CLIENT_FLAGS_BYTES) return false;
        take(CLIENT_FLAGS_BYTES);
        phase = 'options';
        return true;
      case 'options': {
        const done = negotiate(input, disk.sizeBytes);
        if (done === undefined) return false;
        take(done.used);
        socket.write(done.answer);
        if (done.outcome === 'end') socket.end();
        if (done.outcome === 'transmission') {
          phase = 'transmission';
          power.on();
        }
        return true;
      }
      case 'transmission': {
        const request = readRequest(input);
        if (request === undefined) return false;
        const isWrite = request.command === COMMANDS.write;
        if (isWrite && input.length < REQUEST_BYTES + request.length) return false;
        take(REQUEST_BYTES);
        const data = isWrite ? take(request.length) : Buffer.alloc(0);
        if (request.command === COMMANDS.flush && power.stopsAtFlush()) {
          phase = 'stopped';
          return false;
        }
        answer(socket, disk, request, data);
        return true;
      }
      case 'stopped':
        input = Buffer.alloc(0);
        return false;
    }
  };
  socket.on('data', (chunk) => {
    input = Buffer.concat([input, chunk]);
    while (step());
  });
  // A killed QEMU may leave an unread answer behind.
  socket.on('error', () => undefined);
  socket.on('close', () => power.off());
  socket.write(greeting());
}

function answer(
  socket: Socket,
  disk: VolatileDisk,
  { command, flags, cookie, offset, length }: NonNullable<ReturnType<typeof readRequest>>,
  data: Buffer,
): void {
  switch (command) {
    case COMMANDS.read:
      socket.write(simpleReply(cookie, 0, disk.read(offset, length)));
      return;
    case COMMANDS.write:
    case COMMANDS.writeZeroes:
      disk.write(offset, command === COMMANDS.write ? data : Buffer.alloc(length), (flags & FLAG_FUA) !== 0);
      socket.write(simpleReply(cookie, 0));
      return;
    case COMMANDS.flush:
      disk.flush();
      socket.write(simpleReply(cookie, 0));
      return;
    case COMMANDS.disconnect:
      socket.end();
      return;
    default:
      socket.write(simpleReply(cookie, EINVAL));
  }
}
