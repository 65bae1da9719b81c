/**
 * Owns asking FRR's daemons over their vty sockets, as vtysh does, but without a process: 2 ms a question.
 * The protocol (lib/vty.c, VTY_SHELL): a command ends in NUL; its answer ends in three NULs and a status byte.
 * Read-only by use: configuration goes through net/frr.
 */
import { connect } from 'node:net';
import { join } from 'node:path';

export type FrrDaemon = 'zebra' | 'bfdd' | 'bgpd' | 'staticd';

export interface Vty {
  /** The parsed answer of `show … json`; undefined where the daemon is not there, hangs, or says no JSON. */
  show(daemon: FrrDaemon, command: string, signal: AbortSignal): Promise<unknown>;
}

const TIMEOUT_MS = 3000;
/** `show evpn vni detail json` of 4,096 VNIs is about 2 MB. */
const MAX_ANSWER_BYTES = 32 * 1024 * 1024;
const END = Buffer.from([0, 0, 0]);

export function createVty(options: { readonly directory: string }): Vty {
  return {
    async show(daemon, command, signal) {
      const text = await ask(join(options.directory, `${daemon}.vty`), command, signal);
      if (text === undefined) return undefined;
      try {
        return JSON.parse(text);
      } catch {
        return undefined;
      }
    },
  };
}

function ask(path: string, command: string, signal: AbortSignal): Promise<string | undefined> {
  return new Promise((resolve) => {
    const socket = connect({ path });
    let chunks: Buffer[] = [];
    let sizeBytes = 0;
    let tail = Buffer.alloc(0);
    let enabled = false;
    const end = (text: string | undefined): void => {
      signal.removeEventListener('abort', onAbort);
      socket.destroy();
      resolve(text);
    };
    // Not connect's own `signal`: that keeps each socket for as long as the signal lives, a day or a year.
    const onAbort = (): void => end(undefined);
    signal.addEventListener('abort', onAbort, { once: true });
    if (signal.aborted) end(undefined);
    socket.setTimeout(TIMEOUT_MS, () => end(undefined));
    socket.on('error', () => end(undefined));
    socket.on('close', () => end(undefined));
    // As vtysh begins too: bfdd shows nothing to who is not enabled.
    socket.on('connect', () => socket.write('enable\0'));
    socket.on('data', (chunk) => {
      chunks.push(chunk);
      sizeBytes += chunk.length;
      if (sizeBytes > MAX_ANSWER_BYTES) return end(undefined);
      // The mark may be split over chunks, at any byte.
      tail = Buffer.concat([tail, chunk]).subarray(-4);
      if (tail.length < 4 || !tail.subarray(0, 3).equals(END)) return;
      if (!enabled) {
        enabled = true;
        chunks = [];
        tail = Buffer.alloc(0);
        socket.write(`${command}\0`);
        return;
      }
      const all = Buffer.concat(chunks);
      end(all.subarray(0, -4).toString('utf8'));
    });
  });
}
