/**
 * Owns which sockets the identity process has, and what may be asked over each: one for root alone, one for the installer's
 * page. Does not own how it is asked (localApi.ts), nor what the parts that are asked do.
 */
import { isBeforeEnrolment } from '../model/bootstrap.ts';
import type { Clock } from '../system/ports.ts';
import type { ServiceContext } from './context.ts';
import type { Journal } from './journal.ts';
import type { LiveStatus } from './liveStatus.ts';
import { serveLocalApi } from './localApi.ts';
import type { Machine } from './machine.ts';
import { type ResetMarks, wipeFor } from './wipe.ts';

/** For telling the controller of a factory reset, which waits for it. */
const TELL_WIPE_MS = 3_000;

/** Until the signal aborts. */
export async function serveSockets(
  context: Pick<
    ServiceContext,
    'files' | 'paths' | 'activation' | 'looks' | 'waker' | 'moves' | 'progress' | 'log'
  >,
  parts: {
    readonly status: LiveStatus;
    readonly journal: Pick<Journal, 'current'>;
    readonly machine: Pick<Machine, 'turnTo'>;
    readonly marks: Pick<ResetMarks, 'read'>;
    readonly clock: Pick<Clock, 'sleep'>;
  },
  signal: AbortSignal,
): Promise<void> {
  const { files, paths, activation, looks, waker, moves, progress, log } = context;
  const { status, journal, machine, marks, clock } = parts;
  await serveLocalApi({
    files,
    socketPath: paths.socket,
    status: status.read,
    doubt: () => {
      looks.hint();
      waker.wake();
    },
    broker: status.broker,
    move: (jws) => moves.offer(jws, journal.current().state),
    async wipe() {
      const asked = await marks.read();
      if (asked === undefined) return false;
      if (journal.current().state !== 'WIPE') await machine.turnTo(wipeFor(asked));
      await Promise.race([progress.settled(), clock.sleep(TELL_WIPE_MS, signal)]);
      log.warn('factory reset told', { by: asked.by });
      return true;
    },
    log,
    signal,
  });
  await serveLocalApi({
    files,
    socketPath: paths.installerSocket,
    // For a process that listens to a LAN: how far the box is, and nothing of how it came there.
    status: async () => ({ ...(await status.read()), history: [] }),
    offer: (offer) => isBeforeEnrolment(journal.current().state) && activation.offer(offer),
    log,
    signal,
  });
}
