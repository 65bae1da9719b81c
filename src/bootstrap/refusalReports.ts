/**
 * Owns telling a server that what it sent was refused (RFC 8572 5.6, 7.3), each once: a box asks on, and hears the same.
 * Does not own what is refused (onboarding.ts), nor what is told of a box that has an owner (progress.ts).
 */
import { BranchboxError } from '../model/errors.ts';
import type { TrustedClock } from './clockFloor.ts';
import { type Server, serverName } from './discover.ts';
import { renderProblem } from './renderStatus.ts';
import type { Refusal } from './onboarding.ts';
import { strictPeer } from './peer.ts';
import type { SztpClient } from './sztp.ts';
import type { Uplink } from './uplink.ts';

/** As the model caps it. */
const MAX_MESSAGE = 1024;
/** An owner who finds ever new mistakes hears of the first ones again; a box keeps no more of him. */
const MAX_TOLD = 64;

export type TellRefusal = (
  refusal: Refusal,
  to: {
    readonly server: Server;
    readonly uplink: Uplink;
    readonly reporting: 'minimal' | 'verbose';
    readonly report: SztpClient['report'];
    readonly signal: AbortSignal;
  },
) => Promise<void>;

export function createRefusalReports(clock: Pick<TrustedClock, 'nowMs'>): TellRefusal {
  const told = new Set<string>();
  return async ({ why, progress, anchors }, { server, uplink, reporting, report, signal }) => {
    const message = renderProblem(why).slice(0, MAX_MESSAGE);
    const mark = `${serverName(server)} ${message}`;
    if (told.has(mark)) return;
    if (told.size >= MAX_TOLD) told.clear();
    told.add(mark);
    const peer = strictPeer({ anchors, nowMs: () => clock.nowMs() });
    // The beginning and the end always, what is between where the server wants it.
    const between = reporting === 'verbose' ? progress.slice(0, -1) : [];
    try {
      await report({ server, uplink, peer, progress: 'bootstrap-initiated', message: '', signal });
      for (const step of [...between, ...progress.slice(-1)]) {
        await report({ server, uplink, peer, progress: step, message, signal });
      }
    } catch (thrown) {
      // A server that is not the owner's, or takes no reports, is told nothing more; why the box refused stands anyway.
      const isFinal = thrown instanceof BranchboxError && thrown.code !== 'bootstrap/unreachable';
      // A report that was lost, or cut off by the signal, is sent again when the box asks again.
      if (!isFinal) told.delete(mark);
      if (!(thrown instanceof BranchboxError)) throw thrown;
    }
  };
}
