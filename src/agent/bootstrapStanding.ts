/**
 * Owns what the agent knows of the state that the identity process is in: that process's own words, for the controller and
 * for `branchbox status`. Does not own the words (model/bootstrap) nor what LEDs show, which must not need an answer (leds.ts).
 */
import { type BootstrapStanding, BootstrapStatus } from '../model/bootstrap.ts';
import { decodeJson } from '../model/decode.ts';
import { askSocket } from '../system/askSocket.ts';
import type { Clock } from '../system/ports.ts';

const ANSWER_TIMEOUT_MS = 2_000;
const MAX_ANSWER_BYTES = 1024 * 1024;
/**
 * The kernel wakes whoever looks many times a second, and an answer costs the identity process a few dozen files. On the way what
 * is waited for may change within a state (a code is wanted); in service there is nothing to see but another state, of which
 * `changed` tells.
 */
const FRESH_MS = 5_000;
const FRESH_IN_SERVICE_MS = 60_000;

export interface BootstrapLook {
  /** The last that was said while the process is away; undefined before the first. Never fails. */
  read(): Promise<BootstrapStanding | undefined>;
  /** It journalled something. */
  changed(): void;
}

export function createBootstrapLook(parts: {
  readonly socketPath: string;
  readonly clock: Pick<Clock, 'monotonicMs'>;
}): BootstrapLook {
  const { socketPath, clock } = parts;
  let last: BootstrapStanding | undefined;
  let askedAtMs = Number.NEGATIVE_INFINITY;
  let questions = 0;

  async function ask(): Promise<BootstrapStanding | undefined> {
    const limits = { timeoutMs: ANSWER_TIMEOUT_MS, maxAnswerBytes: MAX_ANSWER_BYTES };
    const { status, text } = await askSocket({ socketPath }, { path: '/bootstrap', ...limits });
    if (status !== 200) return undefined;
    const { state, sinceMs, waitsFor, mend, lastProblem } = decodeJson(BootstrapStatus, text, 'The answer');
    return { state, sinceMs, waitsFor, mend, ...(lastProblem !== undefined && { lastProblem }) };
  }

  return {
    async read() {
      const freshMs = last?.state === 'OPERATIONAL' ? FRESH_IN_SERVICE_MS : FRESH_MS;
      if (clock.monotonicMs() - askedAtMs < freshMs) return last;
      // Before it is asked: what changes meanwhile is asked for anew.
      askedAtMs = clock.monotonicMs();
      questions += 1;
      const own = questions;
      const answer = await ask().catch(() => undefined);
      // Whoever asked later knows better, also where the answer to that came first.
      if (answer !== undefined && own === questions) last = answer;
      return last;
    },
    changed() {
      askedAtMs = Number.NEGATIVE_INFINITY;
    },
  };
}
