/**
 * Owns how long to wait before trying again: exponential, spread over half of each step, and what a server asked for.
 * Pure. Does not own waiting.
 */

import { BranchboxError } from '../model/errors.ts';
import { withLeapSecond } from '../model/dateAndTime.ts';

export interface Backoff {
  readonly firstMs: number;
  readonly maxMs: number;
}

/** A thousand boxes that lose their controller together must not come back together: `backoffMs` spreads them. */
export const BOOTSTRAP_BACKOFF: Backoff = { firstMs: 1_000, maxMs: 60_000 };
/** Renewal begins at 60 % of a life of weeks: no hurry. */
export const RENEWAL_BACKOFF: Backoff = { firstMs: 60_000, maxMs: 3_600_000 };

/** `attempt` counts from 1; `random` is in [0, 1). Half of the step is certain, so that nobody spins. */
export function backoffMs(attempt: number, backoff: Backoff, random: number): number {
  const step = Math.min(backoff.maxMs, backoff.firstMs * 2 ** Math.min(attempt - 1, 30));
  return Math.round(step / 2 + (step / 2) * random);
}

const HOUR_MS = 3_600_000;
/**
 * A server that proved itself may ask for a day at most: whoever approves boxes may have gone home. One that did not
 * (`stranger`) for an hour: the box's way to its owner may lead over another one that is back sooner.
 */
export const RETRY_AFTER_MS = { min: 1_000, max: 24 * HOUR_MS, stranger: HOUR_MS } as const;

/** The same failure, to be tried again after `retryAfterMs`, whatever its server asked for. Pure. */
export const retriedAfter = (failure: BranchboxError, retryAfterMs: number): BranchboxError =>
  withFields(failure, { retryAfterMs });

/** The same failure, where the box's own back-off is to be no longer than that. Pure. */
export const retriedWithin = (failure: BranchboxError, retryWithinMs: number): BranchboxError =>
  withFields(failure, { retryWithinMs });

function withFields(failure: BranchboxError, more: Readonly<Record<string, number>>): BranchboxError {
  const { code, message, problems, mend, fields } = failure;
  return new BranchboxError(code, {
    message,
    problems,
    ...(mend !== undefined && { mend }),
    fields: { ...fields, ...more },
    cause: failure,
  });
}

/** What a server asked for with its refusal, in ms. Pure. */
export const askedAfterMs = ({ fields }: BranchboxError): number | undefined =>
  numberOf(fields['retryAfterMs']);

/** How long the box's own back-off may be after it, in ms. Pure. */
export const withinMs = ({ fields }: BranchboxError): number | undefined => numberOf(fields['retryWithinMs']);

const numberOf = (value: unknown): number | undefined => (typeof value === 'number' ? value : undefined);

export interface Moment {
  /** What the answer says it is at the server (`Date`): its own date counts from there, whatever the box's clock says. */
  readonly date?: string | undefined;
  /** By the box's clock. */
  readonly nowMs: number;
}

/** RFC 9110 10.2.3: seconds or an HTTP date. undefined where the header is missing or makes no sense. */
export function parseRetryAfter(
  header: string | undefined,
  { date, nowMs }: Moment,
  maxMs: number = RETRY_AFTER_MS.max,
): number | undefined {
  const text = header?.trim() ?? '';
  const clamp = (ms: number): number => Math.min(maxMs, Math.max(RETRY_AFTER_MS.min, ms));
  if (/^\d{1,20}$/.test(text)) return clamp(Number(text) * 1_000);
  const untilMs = parseHttpDate(text);
  if (untilMs === undefined) return undefined;
  const sentMs = parseHttpDate(date?.trim() ?? '');
  if (sentMs !== undefined) return clamp(untilMs - sentMs);
  // By a clock that may be wrong: a date that has passed is more likely its mistake than a wish to be asked without end.
  return untilMs > nowMs ? clamp(untilMs - nowMs) : undefined;
}

function parseHttpDate(text: string): number | undefined {
  // An HTTP date names its day; Date.parse alone would read `12` or `-5` as a year. The two older forms must be taken, too
  // (RFC 9110 5.6.7): `Sunday, 06-Nov-94 08:49:37 GMT`, and `Sun Nov  6 08:49:37 1994`, which is GMT without saying so.
  const isAsctime = /^[A-Z][a-z]{2} [A-Z][a-z]{2} [ \d]\d [\d:]{8} \d{4}$/.test(text);
  if (!isAsctime && !/^[A-Z][a-z]{2,8}, .*GMT$/.test(text)) return undefined;
  return withLeapSecond(text, (plain) => Date.parse(isAsctime ? `${plain} GMT` : plain));
}
