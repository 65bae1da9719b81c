/**
 * Owns dates that others write with the second 60: yang:date-and-time (RFC 6991) and an HTTP date (RFC 9110 5.6.7) may both
 * name a leap second, and Date.parse knows none. Pure. Does not own the forms of those dates otherwise.
 */
import { z } from 'zod';

/** yang:date-and-time; momentOf reads it. */
export const DateAndTime = z
  .string()
  .max(64)
  .refine((text) => momentOf(text) !== undefined, 'a date and time of RFC 3339 with its offset');

const Plain = z.iso.datetime({ offset: true });

/** undefined where it is none. */
export const momentOf = (text: string): number | undefined =>
  withLeapSecond(text, (plain) => (Plain.safeParse(plain).success ? Date.parse(plain) : Number.NaN));

/**
 * `parse` reads the date with 59 in the place of 60; POSIX time has no moment of its own for a leap second and counts the
 * one after it. It is the last of a month in UTC (RFC 3339 5.7): any other 60 is a mistake. undefined where that, or
 * `parse` says NaN.
 */
export function withLeapSecond(text: string, parse: (plain: string) => number): number | undefined {
  const plain = text.replace(/(\d\d:\d\d):60(?=[.Z+\- ])/, '$1:59');
  const atMs = parse(plain);
  if (Number.isNaN(atMs)) return undefined;
  if (plain === text) return atMs;
  const afterMs = atMs + 1000;
  const after = new Date(afterMs - (afterMs % 1000));
  const isFirstOfMonth = after.getUTCDate() === 1 && after.getTime() % 86_400_000 === 0;
  return isFirstOfMonth ? afterMs : undefined;
}
