/**
 * Owns when the controller's connection is to go back to a better uplink: after that one has lived for a while, and later
 * each time that going back was in vain. Does not own which uplink is better (uplinkChoice) nor the connection
 * (controllerLink).
 */
import type { Clock } from '../system/ports.ts';
import type { RankedUplink } from './uplinkChoice.ts';

/** One that is back often goes again at once; what the box says meanwhile is little, also for a metered one. */
export const RETURN_HOLD_MS = 15_000;
/** An uplink that lives, but does not get as far as the controller, costs a new dial each quarter of an hour. */
export const RETURN_HOLD_MAX_MS = 900_000;
/** A connection that stayed for so long went back rightly. */
export const RETURN_SETTLED_MS = 600_000;

export interface LinkReturn {
  /** The best uplink that lives and is better than that of the connection; undefined: none. At each change. */
  look(better: string | undefined): void;
  /** A connection came about over this one. */
  connected(ifname: string): void;
}

/** The best that lives and goes before `own`; not the same uplink by its other family. Pure. */
export function betterUplink(ranked: readonly RankedUplink[], own: RankedUplink): RankedUplink | undefined {
  return ranked.slice(0, ranked.indexOf(own)).find(({ alive, ifname }) => alive && ifname !== own.ifname);
}

export function createLinkReturn(parts: {
  readonly clock: Pick<Clock, 'monotonicMs' | 'sleep'>;
  readonly onReturn: (ifname: string) => void;
}): LinkReturn {
  const { clock } = parts;
  let holdMs = RETURN_HOLD_MS;
  let waiting: { readonly ifname: string; readonly stop: AbortController } | undefined;
  let last: { readonly ifname: string; readonly atMs: number } | undefined;

  const wait = async (ifname: string, stop: AbortController): Promise<void> => {
    try {
      await clock.sleep(holdMs, stop.signal);
    } catch {
      return;
    }
    waiting = undefined;
    last = { ifname, atMs: clock.monotonicMs() };
    parts.onReturn(ifname);
  };
  return {
    look(better) {
      if (better === waiting?.ifname) return;
      waiting?.stop.abort();
      waiting = undefined;
      if (better === undefined) return;
      waiting = { ifname: better, stop: new AbortController() };
      void wait(better, waiting.stop);
    },
    connected(ifname) {
      if (last === undefined || ifname === last.ifname) return;
      const inVain = clock.monotonicMs() - last.atMs < RETURN_SETTLED_MS;
      holdMs = inVain ? Math.min(holdMs * 2, RETURN_HOLD_MAX_MS) : RETURN_HOLD_MS;
      last = undefined;
    },
  };
}
