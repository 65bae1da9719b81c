/**
 * Owns when the controller's connection is to go back to a better uplink: after that one has lived for a while, and later
 * each time that going back was in vain. Does not own which uplink is better (uplinkChoice) nor the connection
 * (controllerLink).
 */
import type { Clock } from '../system/ports.ts';
import type { RankedUplink } from './uplinkChoice.ts';

/** An uplink that came back often goes again at once. Little is said until then, even over a metered one. */
export const RETURN_HOLD_MS = 15_000;
/** An uplink that lives, but does not get as far as the controller, costs a dial each quarter of an hour at most. */
export const RETURN_HOLD_MAX_MS = 900_000;
/** A connection that stays for so long was right to go back. */
export const RETURN_SETTLED_MS = 600_000;

/** later: this was no time for it, and nothing was tried. */
type ReturnOutcome = 'back' | 'in-vain' | 'later';

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
  readonly random: () => number;
  /** The signal says that the uplink went away meanwhile. */
  readonly goBack: (ifname: string, signal: AbortSignal) => Promise<ReturnOutcome>;
}): LinkReturn {
  const { clock, random } = parts;
  let holdMs = RETURN_HOLD_MS;
  let waiting: { readonly ifname: string; readonly stop: AbortController } | undefined;
  let sought: string | undefined;
  let last: { readonly ifname: string; readonly atMs: number } | undefined;
  const holdLonger = (): void => void (holdMs = Math.min(holdMs * 2, RETURN_HOLD_MAX_MS));

  const wait = async (ifname: string, { signal }: AbortController): Promise<void> => {
    while (!signal.aborted) {
      try {
        // Up to twice as long: the sites of a provider that healed do not come back as one.
        await clock.sleep(holdMs * (1 + random()), signal);
      } catch {
        return;
      }
      const outcome = await parts.goBack(ifname, signal);
      if (outcome === 'back') {
        last = { ifname, atMs: clock.monotonicMs() };
        return;
      }
      if (outcome === 'in-vain' && !signal.aborted) holdLonger();
    }
  };
  return {
    look(better) {
      if (better === waiting?.ifname) return;
      waiting?.stop.abort();
      waiting = undefined;
      if (better === undefined) return;
      sought = better;
      waiting = { ifname: better, stop: new AbortController() };
      void wait(better, waiting.stop);
    },
    connected(ifname) {
      if (last === undefined) {
        // Back all the same, since the other way ended: by how long that stays the next wait is judged as well.
        if (ifname === sought) last = { ifname, atMs: clock.monotonicMs() };
        return;
      }
      if (ifname === last.ifname) return;
      if (clock.monotonicMs() - last.atMs < RETURN_SETTLED_MS) holdLonger();
      else holdMs = RETURN_HOLD_MS;
      last = undefined;
    },
  };
}
