/**
 * Owns finding out what time it is for a box in service that cannot know it: its clock stands behind the floor (1970, no
 * time server within reach), and its owner's servers are refused for their dates, or refuse it. A bootstrap server is asked
 * for a voucher with our nonce, and nothing of the answer is taken but when that was made: whose box this is was settled
 * long ago. Does not own vouchers (onboarding.ts) nor the clock (clockFloor.ts).
 *
 * Where the system's clock is not behind the floor nobody is asked: it may be right, and setting it is for time servers.
 * What was told is for this start alone. Only a certificate that the owner's server took raises the floor (ownerProof.ts),
 * so that not even a manufacturer whose clock is years ahead strands a box that is in service.
 */
import { asBranchboxError, BranchboxError, type ErrorCode } from '../model/errors.ts';
import type { Logger } from '../system/ports.ts';
import type { TrustedClock } from './clockFloor.ts';
import { candidateName, type Discovery, rotate } from './discover.ts';
import { askedAfterMs } from './retry.ts';
import type { SztpClient } from './sztp.ts';

/** Each voucher costs controller and manufacturer a signature; hints of the agent may come every few seconds. */
const GAP_MS = 5 * 60_000;
/** For one search: behind a first candidate that takes its whole time there is room for a second. */
const SEARCH_TIMEOUT_MS = 4 * 60_000;
/** A server that does not believe the certificate says so by an alert, which looks like a lost connection, or in HTTP. */
const MAY_BE_THE_TIME: readonly ErrorCode[] = ['pki/expired', 'bootstrap/refused', 'bootstrap/unreachable'];

export interface TimeWitness {
  /**
   * Where this may have been thrown because of the time, and that is not known: asks for it. true: it is known now, and what
   * failed may be tried again at once. Never fails.
   */
  seekAfter(thrown: unknown, signal: AbortSignal): Promise<boolean>;
}

export function createTimeWitness(options: {
  readonly clock: TrustedClock;
  /** A client whose vouchers are witnesses to this clock, and which tells nobody what is in the box. */
  readonly sztpBy: (clock: TrustedClock) => Pick<SztpClient, 'onboard'>;
  readonly servers: () => Promise<Discovery>;
  readonly monotonicMs: () => number;
  readonly log: Logger;
  readonly searchTimeoutMs?: number;
}): TimeWitness {
  const { clock, servers, monotonicMs, log, searchTimeoutMs = SEARCH_TIMEOUT_MS } = options;
  let vouchers = 0;
  const sztp = options.sztpBy({
    ...clock,
    async learn(momentMs) {
      await clock.learn(momentMs);
      vouchers += 1;
    },
    // What counts for good is the owner's server alone.
    raise: async () => {},
  });
  let round = 0;
  let nextAtMs = Number.NEGATIVE_INFINITY;

  function isWorthIt({ code }: BranchboxError): boolean {
    const basis = clock.basis();
    // What was told before does not fit what the owner's servers show: whoever told it may have a better clock by now.
    if (basis === 'witness') return vouchers > 0 && code === 'pki/expired';
    return basis === 'floor' && MAY_BE_THE_TIME.includes(code);
  }

  async function ask(signal: AbortSignal, before: number): Promise<void> {
    const { candidates } = await servers();
    for (const candidate of rotate(candidates, round)) {
      // Before it is asked: where the time ends with this one, the next search begins behind it.
      round += 1;
      try {
        await sztp.onboard(candidate.server, candidate.uplink, signal);
      } catch (refused) {
        if (!(refused instanceof BranchboxError)) throw refused;
        const askedMs = askedAfterMs(refused);
        if (askedMs !== undefined) nextAtMs = Math.max(nextAtMs, monotonicMs() + askedMs);
        log.info('bootstrap server told no time', {
          candidate: candidateName(candidate),
          code: refused.code,
          problem: refused.message,
        });
      }
      // Also where the rest of what it said is not believed: the voucher was good.
      if (vouchers > before) {
        log.warn('the clock is behind what is known: the time is taken from a new voucher', {
          candidate: candidateName(candidate),
          now: new Date(clock.nowMs()).toISOString(),
        });
        return;
      }
    }
  }

  return {
    async seekAfter(thrown, signal) {
      if (!(thrown instanceof BranchboxError) || !isWorthIt(thrown) || monotonicMs() < nextAtMs) {
        return false;
      }
      nextAtMs = monotonicMs() + GAP_MS;
      const before = vouchers;
      const limit = AbortSignal.timeout(searchTimeoutMs);
      try {
        await ask(AbortSignal.any([signal, limit]), before);
      } catch (failed) {
        if (limit.aborted) log.info('the search for the time had its time', { timeoutMs: searchTimeoutMs });
        // What was thrown before counts, and is told; a lease that cannot be read must not end the process.
        else log.warn('no bootstrap server could be asked for the time', { error: asBranchboxError(failed) });
      }
      return vouchers > before;
    },
  };
}
