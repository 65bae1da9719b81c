/**
 * Owns sessions in a machine: a command or a connection to one of its sockets, over a virtio-serial port that nobody
 * else uses meanwhile. Does not own the frames (channel.ts), nor what runs in the machine for it (guest-exec.pl).
 */
import { randomBytes } from 'node:crypto';
import { connect } from 'node:net';
import { Duplex } from 'node:stream';
import { callbackify } from 'node:util';
import { BranchboxError } from '../../model/errors.ts';
import type { Clock } from '../../system/ports.ts';
import {
  createFrameReader,
  encodeInput,
  encodeInputEnd,
  encodeSignal,
  encodeStart,
  type Frame,
  INPUT_WINDOW_BYTES,
  type SessionRequest,
} from './channel.ts';
import { startGuestExec } from './console.ts';
import { type Lock, lockName, tryLock } from '../lock.ts';
import { EXEC_CHANNELS, type MachinePaths } from './machinePaths.ts';

const CHANNEL_POLL_MS = 50;
/** An answer takes milliseconds; an emulated machine that boots its daemons, a second. After that it is seen to. */
const QUIET_MS = 3_000;
/** guest-exec.pl gives a sign of life every 5 s. A machine without one was restarted, or hangs. */
const SILENCE_MS = 60_000;

export interface SessionOptions {
  readonly clock: Clock;
  readonly paths: MachinePaths;
  /** How long the machine may take to begin: one that boots is waited for. */
  readonly beginTimeoutMs: number;
  readonly signal?: AbortSignal | undefined;
  readonly onOutput: (name: 'stdout' | 'stderr', data: Buffer) => void;
}

export interface Session {
  /** Resolves when there is room for more. */
  write(data: Buffer): Promise<void>;
  endInput(): void;
  kill(signal: number): void;
  /** The exit code, as a shell would say it. */
  readonly ended: Promise<number>;
  close(): void;
}

export async function openSession(request: SessionRequest, options: SessionOptions): Promise<Session> {
  const { clock, paths } = options;
  const deadlineMs = clock.monotonicMs() + options.beginTimeoutMs;
  const { lock, channel } = await takeChannel(options, deadlineMs);
  const socket = connect(paths.execSocket(channel));
  const id = randomBytes(16).toString('hex');
  const begun = Promise.withResolvers<void>();
  const ended = Promise.withResolvers<number>();
  // Whoever only waits for the beginning has nobody to hear of a later end.
  ended.promise.catch(() => undefined);
  let isOver = false;
  const end = (outcome: number | BranchboxError): void => {
    if (isOver) return;
    isOver = true;
    clearTimeout(silence);
    options.signal?.removeEventListener('abort', onAbort);
    socket.destroy();
    void lock.release();
    if (typeof outcome === 'number') ended.resolve(outcome);
    else {
      begun.reject(outcome);
      ended.reject(outcome);
    }
    wake();
  };
  const fail = (message: string): void => end(new BranchboxError('lab/not-ready', { message }));
  const onAbort = (): void => fail('the command was stopped before its end');
  let silence: NodeJS.Timeout | undefined;
  const hear = (): void => {
    clearTimeout(silence);
    silence = setTimeout(
      () => fail(`the machine has been silent for ${SILENCE_MS} ms: it hangs, or was restarted meanwhile`),
      SILENCE_MS,
    );
  };

  let inFlightBytes = 0;
  let wake = (): void => undefined;
  const reader = createFrameReader(id);
  const onFrame = (frame: Frame): void => {
    switch (frame.type) {
      case 'stdout':
      case 'stderr':
        options.onOutput(frame.type, frame.data);
        return;
      case 'taken':
        inFlightBytes -= frame.bytes;
        wake();
        return;
      case 'exit':
        end(frame.code);
        return;
      case 'alive':
        return;
    }
  };
  socket.on('data', (chunk) => {
    const frames = reader.push(chunk);
    if (!reader.begun()) return;
    begun.resolve();
    hear();
    for (const frame of frames) onFrame(frame);
  });
  socket.on('error', (error) => fail(`the machine cannot be reached: ${error.message}`));
  socket.on('close', () => fail('the machine was switched off'));
  options.signal?.addEventListener('abort', onAbort, { once: true });
  if (options.signal?.aborted === true) onAbort();
  const start = encodeStart(id, request);
  socket.write(start);
  await awaitBegin(begun.promise, options, { deadlineMs, fail, again: () => void socket.write(start) });
  return {
    ended: ended.promise,
    close: () => end(255),
    kill: (signal) => void (isOver || socket.write(encodeSignal(signal))),
    endInput: () => void (isOver || socket.write(encodeInputEnd())),
    async write(data) {
      if (isOver) return;
      inFlightBytes += data.length;
      socket.write(encodeInput(data));
      while (inFlightBytes > INPUT_WINDOW_BYTES && !isOver) {
        await new Promise<void>((resolve) => (wake = resolve));
      }
    },
  };
}

async function takeChannel(
  { clock, paths, signal }: SessionOptions,
  deadlineMs: number,
): Promise<{ readonly lock: Lock; readonly channel: number }> {
  for (;;) {
    for (let channel = 0; channel < EXEC_CHANNELS; channel += 1) {
      const lock = await tryLock(lockName(paths.execSocket(channel)));
      if (lock !== undefined) return { lock, channel };
    }
    if (clock.monotonicMs() > deadlineMs) {
      throw new BranchboxError('lab/not-ready', {
        message: `${EXEC_CHANNELS} commands run in the machine already, and none has ended`,
      });
    }
    await clock.sleep(CHANNEL_POLL_MS, signal);
  }
}

interface BeginOptions {
  readonly deadlineMs: number;
  readonly fail: (message: string) => void;
  /** Says once more what is to begin: UEFI firmware has a driver for these ports, and swallows what it gets. */
  readonly again: () => void;
}

/** After a boot nothing in the machine answers yet: then its debug shell is told to start what does. */
async function awaitBegin(
  begun: Promise<void>,
  { clock, paths }: SessionOptions,
  { deadlineMs, fail, again }: BeginOptions,
): Promise<void> {
  const settled = new AbortController();
  begun.then(
    () => settled.abort(),
    () => settled.abort(),
  );
  while (!settled.signal.aborted) {
    const leftMs = deadlineMs - clock.monotonicMs();
    if (leftMs <= 0) fail('the machine does not answer: it is still starting, or has no debug shell');
    await clock.sleep(Math.max(0, Math.min(QUIET_MS, leftMs)), settled.signal).catch(() => undefined);
    if (settled.signal.aborted) break;
    const options = { deadlineMs, signal: settled.signal };
    const started = await startGuestExec(clock, paths, options).catch(() => false);
    if (started && !settled.signal.aborted) again();
  }
  await begun;
}

/** A connection to a unix socket in the machine, for an HTTP client of the host. */
export async function connectInMachine(
  path: string,
  options: Omit<SessionOptions, 'onOutput'>,
): Promise<Duplex> {
  // Nobody's server speaks before it is asked, but what it said would not be lost.
  const early: Buffer[] = [];
  let deliver = (data: Buffer): void => void early.push(data);
  const session = await openSession(
    { kind: 'connect', path },
    { ...options, onOutput: (name, data) => void (name === 'stdout' && deliver(data)) },
  );
  const write = callbackify(session.write);
  const stream = new Duplex({
    read: () => undefined,
    write: (chunk: Buffer, _encoding, done) => write(chunk, (error) => done(error)),
    final: (done) => {
      session.endInput();
      done();
    },
    destroy: (error, done) => {
      session.close();
      done(error);
    },
  });
  deliver = (data) => void stream.push(data);
  for (const data of early) deliver(data);
  session.ended.then(
    () => stream.push(null),
    (error: unknown) => stream.destroy(error instanceof Error ? error : new Error(String(error))),
  );
  return stream;
}
