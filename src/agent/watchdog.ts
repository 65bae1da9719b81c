/**
 * Owns telling the init system that the agent lives (sd_notify(3), WATCHDOG=1). The loop that looks at the box says so,
 * and only while no lane hangs: it proves work, not a timer. Until that loop has turned once a timer says it, but only
 * while the start goes on from step to step: a slow machine may need minutes for it.
 * Does not own what happens without (WatchdogSec=). Node has no unix datagram sockets: a child relays lines to them,
 * and only where somebody listens.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import type { Clock, Logger } from '../system/ports.ts';

/** Each command of a plan has a cap of 10 s or its own; a run over thousands of items takes seconds. */
const LANE_STUCK_MS = 180_000;
/** The longest step, the probes of the kernel, has a cap of 60 s for each of its programs, all at once. */
const STEP_STUCK_MS = 180_000;
/** Of the time that the init system waits: sd_watchdog_enabled(3) asks for two, and machines may be slow. */
const FEEDS = 3;
const DEFAULT_WAIT_MS = 90_000;

export interface Watchdog {
  /** The start goes on: from now on it does this. */
  starting(step: string): void;
  /** From the loop that looks at the box, once a turn. The first ends the start. */
  turned(): void;
  close(): void;
}

export function createWatchdog(parts: {
  /** NOTIFY_SOCKET: a path, or `@name` of an abstract socket; undefined where nobody listens. */
  readonly socket: string | undefined;
  /** WATCHDOG_USEC: how long the init system waits, in microseconds. */
  readonly waitUs: string | undefined;
  /** Since when a lane's run is going on, of the oldest; undefined where none is. Asked once the start has ended. */
  readonly busyMs: () => number | undefined;
  readonly clock: Pick<Clock, 'monotonicMs'>;
  readonly log: Logger;
}): Watchdog {
  const { socket, clock, log } = parts;
  const address = socket === undefined ? undefined : relayAddress(socket);
  if (address === undefined) return { starting() {}, turned() {}, close() {} };
  let relay: ChildProcess | undefined;
  let silent = false;
  let start: { readonly step: string; readonly sinceMs: number } | undefined;
  let feeding: NodeJS.Timeout | undefined;
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
  /** Each turn of silence is told once. */
  const feed = (hangs: string | undefined, fields: Readonly<Record<string, unknown>>): void => {
    if (hangs !== undefined && !silent) log.error(`${hangs}; the watchdog is not fed any more`, fields);
    silent = hangs !== undefined;
    if (silent) return;
    relay ??= connect();
    relay.stdin?.write('WATCHDOG=1\n');
  };
  const feedStart = (): void => {
    if (start === undefined) return;
    const { step, sinceMs } = start;
    const takesMs = clock.monotonicMs() - sinceMs;
    feed(takesMs > STEP_STUCK_MS ? 'the start hangs' : undefined, { step, takesMs });
  };
  const endStart = (): void => {
    start = undefined;
    clearInterval(feeding);
  };
  return {
    starting(step) {
      start = { step, sinceMs: clock.monotonicMs() };
      // Reached only while the event loop turns.
      feeding ??= setInterval(feedStart, waitMs(parts.waitUs) / FEEDS).unref();
      feedStart();
    },
    turned() {
      endStart();
      const busyMs = parts.busyMs();
      feed(busyMs !== undefined && busyMs > LANE_STUCK_MS ? 'a lane hangs' : undefined, { busyMs });
    },
    close() {
      endStart();
      relay?.stdin?.end();
      relay = undefined;
    },
  };
}

function waitMs(waitUs: string | undefined): number {
  return waitUs !== undefined && /^[1-9][0-9]{3,14}$/.test(waitUs) ? Number(waitUs) / 1000 : DEFAULT_WAIT_MS;
}

/** For socat(1); undefined where the name could mean anything but a path. Pure. */
export function relayAddress(socket: string): string | undefined {
  if (!/^[@/][A-Za-z0-9_./-]+$/.test(socket)) return undefined;
  return socket.startsWith('@') ? `ABSTRACT-SENDTO:${socket.slice(1)}` : `UNIX-SENDTO:${socket}`;
}
