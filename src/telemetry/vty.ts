/**
 * Owns asking FRR's daemons over their vty sockets, as vtysh does, but without a process: 2 ms a question, over one
 * connection to each daemon that stays open, since the box is asked twice a second.
 * The protocol (lib/vty.c, VTY_SHELL): a command ends in NUL; its answer ends in three NULs and a status byte. A daemon
 * closes no such connection by itself. Read-only by use: configuration goes through net/frr.
 */
import { connect } from 'node:net';
import { join } from 'node:path';
import { tryJson } from '../model/decode.ts';

export type FrrDaemon = 'zebra' | 'bfdd' | 'bgpd' | 'staticd';

export interface Vty {
  /** The parsed answer of `show … json`; undefined where the daemon is not there, hangs, or says no JSON. */
  show(daemon: FrrDaemon, command: string, signal: AbortSignal): Promise<unknown>;
}

const TIMEOUT_MS = 3000;
/** `show evpn vni detail json` of 4,096 VNIs is about 2 MB. */
const MAX_ANSWER_BYTES = 32 * 1024 * 1024;
const END = Buffer.from([0, 0, 0]);

/** `signal` closes the connections. */
export function createVty(options: {
  readonly directory: string;
  readonly signal: AbortSignal;
  /** Of one question. */
  readonly timeoutMs?: number;
}): Vty {
  const { directory, timeoutMs = TIMEOUT_MS } = options;
  const lines = new Map<FrrDaemon, Line>();
  const lineOf = (daemon: FrrDaemon): Line => {
    const path = join(directory, `${daemon}.vty`);
    const line = lines.get(daemon) ?? createLine({ path, timeoutMs }, options.signal);
    lines.set(daemon, line);
    return line;
  };
  return {
    async show(daemon, command, signal) {
      const text = await lineOf(daemon).ask(command, signal);
      return text === undefined ? undefined : tryJson(text);
    },
  };
}

interface Place {
  readonly path: string;
  readonly timeoutMs: number;
}

interface Line {
  ask(command: string, signal: AbortSignal): Promise<string | undefined>;
}

/** A daemon answers one question at a time. A connection that ended, or was ended by a question, is opened by the next. */
function createLine(place: Place, ending: AbortSignal): Line {
  let session: Session | undefined;
  let turn: Promise<unknown> = Promise.resolve();
  const askNow = async (command: string, signal: AbortSignal): Promise<string | undefined> => {
    if (signal.aborted || ending.aborted) return undefined;
    if (session === undefined) {
      const fresh = openSession(place, () => {
        if (session === fresh) session = undefined;
      });
      session = fresh;
      // As vtysh begins too: without it bfdd shows nothing.
      if ((await fresh.exchange('enable', signal)) === undefined) return undefined;
    }
    return session?.exchange(command, signal);
  };
  ending.addEventListener('abort', () => session?.end(), { once: true });
  return {
    ask(command, signal) {
      const answer = turn.then(() => askNow(command, signal));
      turn = answer;
      return answer;
    },
  };
}

interface Session {
  /** One at a time; undefined where the session ended over it. */
  exchange(command: string, signal: AbortSignal): Promise<string | undefined>;
  end(): void;
}

function openSession({ path, timeoutMs }: Place, onEnd: () => void): Session {
  const socket = connect({ path });
  let chunks: Buffer[] = [];
  let sizeBytes = 0;
  let tail = Buffer.alloc(0);
  let answer: ((text: string | undefined) => void) | undefined;
  let isOver = false;

  const settle = (text: string | undefined): void => {
    const waiting = answer;
    answer = undefined;
    chunks = [];
    sizeBytes = 0;
    tail = Buffer.alloc(0);
    waiting?.(text);
  };
  const end = (): void => {
    if (isOver) return;
    isOver = true;
    socket.destroy();
    onEnd();
    settle(undefined);
  };
  socket.on('timeout', end);
  socket.on('error', end);
  socket.on('close', end);
  socket.on('data', (chunk) => {
    chunks.push(chunk);
    sizeBytes += chunk.length;
    // Bytes that nobody asked for belong to no answer.
    if (sizeBytes > MAX_ANSWER_BYTES || answer === undefined) return end();
    // The mark may be split over chunks, at any byte.
    tail = Buffer.concat([tail, chunk]).subarray(-4);
    if (tail.length < 4 || !tail.subarray(0, 3).equals(END)) return;
    settle(Buffer.concat(chunks).subarray(0, -4).toString('utf8'));
  });

  return {
    end,
    exchange(command, signal) {
      if (isOver) return Promise.resolve(undefined);
      return new Promise((resolve) => {
        // What is abandoned would be answered all the same, into the next question. Not connect's own `signal`: that
        // keeps each socket for as long as the signal lives, a day or a year.
        signal.addEventListener('abort', end, { once: true });
        answer = (text) => {
          signal.removeEventListener('abort', end);
          socket.setTimeout(0);
          // Kept open, it keeps no process from ending.
          socket.unref();
          resolve(text);
        };
        socket.ref();
        socket.setTimeout(timeoutMs);
        socket.write(`${command}\0`);
      });
    },
  };
}
