/**
 * Owns making a way to the controller over another uplink while the present session still stands, for the session that
 * is to take its place: where no way comes about, or the broker does not let the box in by it, nothing was given up.
 * Does not own when (linkReturn) nor sessions (controllerLink).
 */
import { once } from 'node:events';
import { setImmediate } from 'node:timers/promises';
import type { TLSSocket } from 'node:tls';
import { asBranchboxError, BranchboxError } from '../model/errors.ts';
import type { Logger } from '../system/ports.ts';
import type { UplinkConnection } from '../system/uplinkDial.ts';
import { connectController, type Way } from './controllerDial.ts';

/** After so long a silent broker is taken for willing: it need not send anything, and the way is tried. */
const VERDICT_TIMEOUT_MS = 1500;

export interface WayAhead {
  /** Over that uplink alone: beside a slow one the others would win each time. false: it does not lead there. */
  make(way: Way, ifname: string, signal: AbortSignal): Promise<boolean>;
  isMade(): boolean;
  /** It is the caller's then; undefined where none stands that leads there as this identity. */
  take(to: Pick<Way, 'endpoint' | 'identity'>): UplinkConnection | undefined;
  drop(): void;
}

export function createWayAhead(
  log: Logger,
  { verdictTimeoutMs = VERDICT_TIMEOUT_MS }: { readonly verdictTimeoutMs?: number } = {},
): WayAhead {
  let made: { readonly by: Pick<Way, 'endpoint' | 'identity'>; readonly own: UplinkConnection } | undefined;
  const drop = (): void => {
    made?.own.socket.destroy();
    made = undefined;
  };
  return {
    async make(way, ifname, signal) {
      const uplinks = way.uplinks.filter((uplink) => uplink.ifname === ifname);
      try {
        const own = await connectController({ ...way, uplinks }, signal);
        try {
          await letIn(own.socket, AbortSignal.any([signal, AbortSignal.timeout(verdictTimeoutMs)]));
          signal.throwIfAborted();
        } catch (thrown) {
          own.socket.destroy();
          throw thrown;
        }
        drop();
        made = { by: way, own };
        return true;
      } catch (thrown) {
        log.debug('a better uplink does not lead to the controller', {
          ifname,
          error: asBranchboxError(thrown),
        });
        return false;
      }
    },
    isMade: () => made !== undefined,
    take(to) {
      const ready = made;
      made = undefined;
      if (ready === undefined) return undefined;
      const { by, own } = ready;
      // With another identity, or another server, the session would be ended at once, or the difference not be noticed.
      const leadsThere =
        by.endpoint.host === to.endpoint.host &&
        by.endpoint.port === to.endpoint.port &&
        by.identity.certificatePem === to.identity.certificatePem;
      // The broker may have ended it meanwhile: a session on it would wait for nothing.
      if (leadsThere && !own.socket.destroyed) return own;
      own.socket.destroy();
      return undefined;
    },
    drop,
  };
}

const endedByBroker = (): BranchboxError =>
  new BranchboxError('controller/refused', { message: 'the broker ended the connection' });

/**
 * In TLS 1.3 the handshake ends here before the server has looked at our certificate (RFC 8446 section 2). Its ticket comes
 * after that (4.6.1), and so does an alert. One that sends neither is taken at its silence. Rejects where it was ended.
 */
async function letIn(socket: TLSSocket, limit: AbortSignal): Promise<void> {
  if (socket.getProtocol() !== 'TLSv1.3') return;
  // Both may have come while the broker was judged (uplinkTls).
  if (socket.destroyed) throw endedByBroker();
  if (socket.getTLSTicket() !== undefined) return;
  const over = new AbortController();
  const within = AbortSignal.any([limit, over.signal]);
  // `once` rejects by an `error`, which is how an alert shows.
  const ticket = once(socket, 'session', { signal: within });
  const ended = once(socket, 'close', { signal: within }).then(() => {
    throw endedByBroker();
  });
  try {
    await Promise.race([ticket, ended]);
  } catch (thrown) {
    if (!limit.aborted) throw thrown;
  } finally {
    over.abort();
    // Whoever lost the race ends by that.
    await Promise.allSettled([ticket, ended]);
    // Node tells of a ticket while it still reads: what is written in the same turn never leaves (seen with 24.21).
    await setImmediate();
  }
}
