/**
 * Owns what a box knows of the time beside its system's clock, and what time follows from both to judge dates by. The
 * identity process finds it out and tells the other processes of the box (a file below /run, gone at the next boot, as the
 * count that it stands on is). Does not own finding it out, nor what is durable of it (bootstrap/clockFloor).
 */
import { z } from 'zod';

/** As far as a clock may be ahead of the floor to be believed where it refuses something: no firmware is used for longer. */
export const SANE_AHEAD_MS = 10 * 365 * 86_400_000;
/** Within this of a fresh voucher the system's clock is believed: its own drift and the voucher's way here. */
export const AGREEMENT_MS = 3_600_000;

/** Something was so at this moment, by this machine's own count of the time that passes (CLOCK_MONOTONIC). */
const Moment = z.strictObject({ momentMs: z.number(), monotonicMs: z.number() });
export type Moment = z.output<typeof Moment>;

export const KnownTime = z.strictObject({
  schema: z.literal(1),
  /** No moment before this can be now. */
  floor: Moment,
  /** What was signed for this box just then said that it was this moment. */
  witness: Moment.optional(),
  /** What the hardware's clock said: a hint. */
  hardware: Moment.optional(),
});
export type KnownTime = z.output<typeof KnownTime>;
export const KNOWN_TIME_MAX_BYTES = 1024;

/** No certificate and no voucher says a later one (RFC 5280 4.1.2.5: four digits of a year), and far below what Date holds. */
const LAST_MOMENT_MS = Date.UTC(9999, 11, 31, 23, 59, 59);

/** The floor as its file has it; undefined where that is lost or damaged. Pure. */
export function floorOf(text: string | undefined): number | undefined {
  const trimmed = text?.trim() ?? '';
  const momentMs = /^\d{1,16}$/.test(trimmed) ? Number(trimmed) : Number.NaN;
  return momentMs <= LAST_MOMENT_MS ? momentMs : undefined;
}

/** The system's clock and the machine's count, read together. */
export interface MachineTime {
  readonly wallMs: number;
  readonly monotonicMs: number;
}

/** What that moment has become by now. Pure. */
export const since = ({ momentMs, monotonicMs }: Moment, now: Pick<MachineTime, 'monotonicMs'>): number =>
  momentMs + (now.monotonicMs - monotonicMs);

/**
 * What judgedMs rests on: a witness of this start, the system's clock, or the floor alone, where the system's clock stands
 * behind it and so is known to be wrong: then the hardware's is a hint and no more. Pure.
 */
export function basisOf({ floor, witness }: KnownTime, now: MachineTime): 'witness' | 'system' | 'floor' {
  if (witness !== undefined) return 'witness';
  return now.wallMs < since(floor, now) - AGREEMENT_MS ? 'floor' : 'system';
}

/**
 * The time to judge certificates by. A clock in 1970 is lifted to the hardware's, where that is sane, else to the floor; a
 * clock in 2045 is corrected once something fresh was signed for this box. Pure.
 */
export function judgedMs(known: KnownTime, now: MachineTime): number {
  const { witness } = known;
  const machineMs = ownMs(known, now);
  const floorMs = since(known.floor, now);
  if (witness === undefined) return Math.max(machineMs, floorMs);
  const knownMs = since(witness, now);
  return Math.max(Math.abs(machineMs - knownMs) <= AGREEMENT_MS ? machineMs : knownMs, floorMs);
}

/**
 * Of the two clocks of this machine the one that is not known to be wrong. The hardware's raises no floor: one that is
 * years ahead would keep its box from every server, also when time servers have set the system's right.
 */
function ownMs({ floor, hardware }: KnownTime, now: MachineTime): number {
  const floorMs = since(floor, now);
  if (hardware === undefined || now.wallMs >= floorMs - AGREEMENT_MS) return now.wallMs;
  const hardwareMs = since(hardware, now);
  const aheadMs = hardwareMs - floorMs;
  return aheadMs > 0 && aheadMs <= SANE_AHEAD_MS ? hardwareMs : now.wallMs;
}
