/**
 * Owns what time it can be: a lower bound that only moves forward, and the best guess above it.
 * Does not own the system's clock, and never sets it; NTP before trust is a hint at best.
 */
import type { Clock, Files } from '../system/ports.ts';

/** Within this of a fresh voucher the system's clock is believed: its own drift and the voucher's way here. */
const AGREEMENT_MS = 3_600_000;

export interface TrustedClock {
  /** No moment before this can be now. */
  floorMs(): number;
  /**
   * The time to judge certificates by. A clock in 1970 is lifted to the floor; a clock in 2045 is corrected
   * once something fresh was signed for us.
   */
  nowMs(): number;
  /** Something signed by whom we trust says that it was made at this moment. Durable. */
  raise(momentMs: number): Promise<void>;
  /** As raise, and the moment is now: it was made after our nonce was. */
  witness(momentMs: number): Promise<void>;
}

export async function openTrustedClock(options: {
  readonly files: Files;
  readonly clock: Clock;
  readonly path: string;
  /** When this software was built. */
  readonly builtAtMs: number;
}): Promise<TrustedClock> {
  const { files, clock, path } = options;
  let floorMs = Math.max(
    options.builtAtMs,
    parseFloor(await files.readText(path, 64).catch(() => undefined)),
  );
  let witnessed: { readonly momentMs: number; readonly monotonicMs: number } | undefined;

  async function raise(momentMs: number): Promise<void> {
    if (!Number.isFinite(momentMs) || momentMs <= floorMs) return;
    await files.writeDurable(path, `${Math.floor(momentMs)}\n`);
    floorMs = momentMs;
  }
  return {
    floorMs: () => floorMs,
    nowMs() {
      const wallMs = clock.nowMs();
      if (witnessed === undefined) return Math.max(wallMs, floorMs);
      const knownMs = witnessed.momentMs + (clock.monotonicMs() - witnessed.monotonicMs);
      return Math.max(Math.abs(wallMs - knownMs) <= AGREEMENT_MS ? wallMs : knownMs, floorMs);
    },
    raise,
    async witness(momentMs) {
      await raise(momentMs);
      witnessed = { momentMs, monotonicMs: clock.monotonicMs() };
    },
  };
}

/** A file that says nothing usable says 1970: the build time still holds. */
function parseFloor(text: string | undefined): number {
  const trimmed = text?.trim() ?? '';
  return /^\d{1,16}$/.test(trimmed) ? Number(trimmed) : 0;
}
