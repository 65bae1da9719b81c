/**
 * Owns what time it can be: a lower bound that only moves forward, and the best guess above it.
 * Does not own the system's clock, and never sets it; NTP before trust is a hint at best.
 */
import {
  AGREEMENT_MS,
  basisOf,
  floorOf,
  judgedMs,
  type KnownTime,
  type Moment,
  since,
} from '../model/knownTime.ts';
import type { Clock, Files } from '../system/ports.ts';

export interface TrustedClock {
  /** No moment before this can be now. It goes on while the box runs: a clock that stands in 1970 must not stop time. */
  floorMs(): number;
  /** The time to judge certificates by (model judgedMs). */
  nowMs(): number;
  /** What nowMs rests on (model basisOf). */
  basis(): 'witness' | 'system' | 'floor';
  /**
   * The beginning that something made just now (a certificate, a list) may claim: `startMs`, capped at the known time plus what
   * clocks may differ by. Without the cap a beginning years ahead would raise the floor for good. The known time is a witness of
   * this boot, else the system's clock. Where that stands behind the floor it is known to be wrong, only `startMs` itself tells by
   * how much, and there is no cap.
   */
  latestStartMs(startMs: number): number;
  /** Something signed by whom we trust says that it was made at this moment. Durable. */
  raise(momentMs: number): Promise<void>;
  /**
   * `work` with nothing judged by an earlier moment than this one, which somebody signed who may have been wrong about it. Raises
   * nothing.
   */
  notBefore<T>(momentMs: number, work: () => Promise<T>): Promise<T>;
  /** It is this moment now: what says so was made after our nonce. Holds until the next boot, and raises no floor. */
  learn(momentMs: number): Promise<void>;
}

export async function openTrustedClock(options: {
  readonly files: Files;
  readonly clock: Clock;
  readonly path: string;
  /** When this software was built. */
  readonly builtAtMs: number;
  /** What the hardware's clock says now (hardwareClock.ts). */
  readonly hardwareMs?: number | undefined;
  /** At the start, and whenever something was learned (toldTime.ts). */
  readonly tell?: (known: KnownTime) => Promise<void>;
}): Promise<TrustedClock> {
  const { files, clock, path } = options;
  // Of a damaged file the build time still holds.
  const writtenMs = floorOf(await files.readText(path, 64).catch(() => undefined)) ?? 0;
  let keptMs = Math.max(options.builtAtMs, writtenMs);
  const momentHere = (momentMs: number): Moment => ({ momentMs, monotonicMs: clock.monotonicMs() });
  let known: KnownTime = {
    schema: 1,
    floor: momentHere(keptMs),
    ...(options.hardwareMs !== undefined && { hardware: momentHere(options.hardwareMs) }),
  };
  const now = () => ({ wallMs: clock.nowMs(), monotonicMs: clock.monotonicMs() });
  const floorMs = (): number => since(known.floor, now());
  const basis = () => basisOf(known, now());
  async function learned(what: Partial<Pick<KnownTime, 'floor' | 'witness'>>): Promise<void> {
    known = { ...known, ...what };
    await options.tell?.(known);
  }

  /** The moment as a floor, where it is one. */
  async function keep(momentMs: number): Promise<Pick<KnownTime, 'floor'> | undefined> {
    if (!Number.isFinite(momentMs)) return undefined;
    // Compared with what is on disk, not with the running floor: a box that ran on past this moment must keep it over a restart.
    if (momentMs > keptMs) {
      await files.writeDurable(path, `${Math.floor(momentMs)}\n`);
      keptMs = momentMs;
    }
    return momentMs > floorMs() ? { floor: momentHere(momentMs) } : undefined;
  }
  await learned({});
  let supposedMs = 0;
  return {
    basis,
    floorMs,
    nowMs: () => Math.max(judgedMs(known, now()), supposedMs),
    latestStartMs(startMs) {
      if (basis() === 'floor') return startMs;
      const { witness } = known;
      const knownMs = witness === undefined ? clock.nowMs() : since(witness, now());
      return Math.min(startMs, Math.max(knownMs, floorMs()) + AGREEMENT_MS);
    },
    async raise(momentMs) {
      const floor = await keep(momentMs);
      if (floor !== undefined) await learned(floor);
    },
    async notBefore(momentMs, work) {
      supposedMs = momentMs;
      try {
        return await work();
      } finally {
        supposedMs = 0;
      }
    },
    learn: (momentMs) => learned({ witness: momentHere(momentMs) }),
  };
}
