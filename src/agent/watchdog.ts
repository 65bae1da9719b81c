/**
 * Owns telling the init system that the agent lives (sd_notify(3), WATCHDOG=1): said by the loop that looks at the box,
 * and only while no lane hangs, so that it proves work and not a timer. Does not own what happens without (WatchdogSec=).
 * Node has no unix datagram sockets: a child relays lines to them, and only where somebody listens.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import type { Logger } from '../system/ports.ts';

/** Each command of a plan has a cap of 10 s or its own; a run over thousands of items takes seconds. */
const LANE_STUCK_MS = 180_000;

export interface Watchdog {
  /** From the loop that looks at the box, once a turn. */
  turned(): void;
  close(): void;
}

export function createWatchdog(parts: {
  /** NOTIFY_SOCKET: a path, or `@name` of an abstract socket; undefined where nobody listens. */
  readonly socket: string | undefined;
  /** Since when a lane's run is going on, of the oldest; undefined where none is. */
  readonly busyMs: () => number | undefined;
  readonly log: Logger;
}): Watchdog {
  const { socket, log } = parts;
  const address = socket === undefined ? undefined : relayAddress(socket);
  if (address === undefined) return { turned() {}, close() {} };
  let relay: ChildProcess | undefined;
  let silent = false;
  const connect = (): ChildProcess => {
    const child = spawn('socat', ['-u', 'STDIN', address], { stdio: ['pipe', 'ignore', 'inherit'] });
    const gone = (): void => {
      if (relay === child) relay = undefined;
    };
    child.on('error', (error) => {
      log.warn('the watchdog cannot be fed', { error });
      gone();
    });
    child.on('exit', gone);
    // The pipe of a child that ended: it is made anew at the next turn.
    child.stdin?.on('error', gone);
    return child;
  };
  return {
    turned() {
      const busyMs = parts.busyMs();
      const stuck = busyMs !== undefined && busyMs > LANE_STUCK_MS;
      if (stuck && !silent) log.error('a lane hangs; the watchdog is not fed any more', { busyMs });
      silent = stuck;
      if (stuck) return;
      relay ??= connect();
      relay.stdin?.write('WATCHDOG=1\n');
    },
    close() {
      relay?.stdin?.end();
      relay = undefined;
    },
  };
}

/** For socat(1); undefined where the name could mean anything but a path. Pure. */
export function relayAddress(socket: string): string | undefined {
  if (!/^[@/][A-Za-z0-9_./-]+$/.test(socket)) return undefined;
  return socket.startsWith('@') ? `ABSTRACT-SENDTO:${socket.slice(1)}` : `UNIX-SENDTO:${socket}`;
}
