/**
 * Owns a span of time as it is typed, `90s`, `15m`, `24h` or `7d`, within the bounds of its option. Pure.
 */
import { BranchboxError } from '../model/errors.ts';

const UNIT_S = { s: 1, m: 60, h: 3600, d: 86_400 } as const;

/** Throws cli/usage by the name of the option, not of the field that the controller would name. */
export function spanS(option: string, text: string, bounds: readonly [least: string, most: string]): number {
  const [least, most] = bounds;
  const seconds = secondsOf(text);
  if (seconds !== undefined && seconds >= (secondsOf(least) ?? 0) && seconds <= (secondsOf(most) ?? 0)) {
    return seconds;
  }
  throw new BranchboxError('cli/usage', {
    message: `${option} wants a span of time from ${least} to ${most}, not ${text}`,
    mend: 'a number and s, m, h or d: for instance 90s, 15m, 24h or 7d',
  });
}

function secondsOf(text: string): number | undefined {
  const [, count, unit] = /^(\d{1,7})([smhd])$/.exec(text) ?? [];
  if (count === undefined || unit === undefined) return undefined;
  return Number(count) * UNIT_S[unit as keyof typeof UNIT_S];
}
