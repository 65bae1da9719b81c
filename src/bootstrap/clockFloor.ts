/**
 * Owns what time it can be: a lower bound that only moves forward, and the best guess above it.
 * Does not own the system's clock, and never sets it; NTP before trust is a hint at best.
 */
import type { Clock, Files } from '../system/ports.ts';

/** As far as a clock may be ahead of the floor to be believed where it refuses something: no firmware is used for longer. */
export const SANE_AHEAD_MS = 10 * 365 * 86_400_000;
/** Within this of a fresh voucher the system's clock is believed: its own drift and the voucher's way here. */
const AGREEMENT_MS = 3_600_000;

export interface TrustedClock {
  /** No moment before this can be now. It goes on while the box runs: a clock that stands in 1970 must not stop time. */
  floorMs(): number;
  /**
   * The time to judge certificates by. A clock in 1970 is lifted to the hardware's, where that is sane, else to the floor;
   * a clock in 2045 is corrected once something fresh was signed for us.
   */
  nowMs(): number;
  /**
   * What nowMs rests on: a witness of this start, the system's clock, or the floor alone, where the system's clock stands
   * behind it and so is known to be wrong: then the hardware's is a hint and no more.
   */
  basis(): 'witness' | 'system' | 'floor';
  /**
   * Of something that was made just now and begins at `startMs`: that moment, or as much later than now as clocks may
   * differ. A start years ahead would raise the floor for good. What time it is is known by a witness of this start of
   * the box, else by the system's clock, unless that stands behind the floor: then it is known to be wrong, and nothing
   * but the start itself tells how much.
   */
  latestStartMs(startMs: number): number;
  /** Something signed by whom we trust says that it was made at this moment. Durable. */
  raise(momentMs: number): Promise<void>;
  /** As raise, and the moment is now: it was made after our nonce was. */
  witness(momentMs: number): Promise<void>;
  /** The moment is now, for this start of the box: nothing is raised by it. */
  learn(momentMs: number): void;
}

export async function openTrustedClock(options: {
  readonly files: Files;
  readonly clock: Clock;
  readonly path: string;
  /** When this software was built. */
  readonly builtAtMs: number;
  /** What the hardware's clock says now (hardwareClock.ts). */
  readonly hardwareMs?: number | undefined;
}): Promise<TrustedClock> {
  const { files, clock, path } = options;
  let keptMs = Math.max(options.builtAtMs, parseFloor(await files.readText(path, 64).catch(() => undefined)));
  let floor = momentHere(keptMs);
  let witnessed: Moment | undefined;
  const hardware = options.hardwareMs === undefined ? undefined : momentHere(options.hardwareMs);

  function momentHere(momentMs: number): Moment {
    return { momentMs, monotonicMs: clock.monotonicMs() };
  }
  const since = ({ momentMs, monotonicMs }: Moment): number => momentMs + (clock.monotonicMs() - monotonicMs);

  async function raise(momentMs: number): Promise<void> {
    if (!Number.isFinite(momentMs)) return;
    // Not by the floor as it is counted here: a box that ran on past that must not fall back behind it at its next start.
    if (momentMs > keptMs) {
      await files.writeDurable(path, `${Math.floor(momentMs)}\n`);
      keptMs = momentMs;
    }
    if (momentMs > since(floor)) floor = momentHere(momentMs);
  }
  const basis = (): 'witness' | 'system' | 'floor' => {
    if (witnessed !== undefined) return 'witness';
    return clock.nowMs() < since(floor) - AGREEMENT_MS ? 'floor' : 'system';
  };
  /**
   * Of the two clocks of this machine the one that is not known to be wrong. The hardware's raises no floor: one that is
   * years ahead would keep its box from every server, also when time servers have set the system's right.
   */
  function ownMs(): number {
    const wallMs = clock.nowMs();
    if (hardware === undefined || wallMs >= since(floor) - AGREEMENT_MS) return wallMs;
    const aheadMs = since(hardware) - since(floor);
    return aheadMs > 0 && aheadMs <= SANE_AHEAD_MS ? since(hardware) : wallMs;
  }
  return {
    basis,
    floorMs: () => since(floor),
    nowMs() {
      const machineMs = ownMs();
      if (witnessed === undefined) return Math.max(machineMs, since(floor));
      const knownMs = since(witnessed);
      return Math.max(Math.abs(machineMs - knownMs) <= AGREEMENT_MS ? machineMs : knownMs, since(floor));
    },
    latestStartMs(startMs) {
      if (basis() === 'floor') return startMs;
      const knownMs = witnessed === undefined ? clock.nowMs() : since(witnessed);
      return Math.min(startMs, Math.max(knownMs, since(floor)) + AGREEMENT_MS);
    },
    raise,
    async witness(momentMs) {
      await raise(momentMs);
      witnessed = momentHere(momentMs);
    },
    learn(momentMs) {
      witnessed = momentHere(momentMs);
    },
  };
}

/** Something was so at this moment, by this box's own count of the time that passes. */
interface Moment {
  readonly momentMs: number;
  readonly monotonicMs: number;
}

/** A file that says nothing usable says 1970: the build time still holds. */
function parseFloor(text: string | undefined): number {
  const trimmed = text?.trim() ?? '';
  return /^\d{1,16}$/.test(trimmed) ? Number(trimmed) : 0;
}
