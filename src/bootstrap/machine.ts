/**
 * Owns the loop of bootstrap: act in a state, journal the next one, wait before trying again. Does not own what is done in a
 * state (states.ts, service.ts, renew.ts, migrate.ts, wipe.ts).
 *
 * A BranchboxError is a reason to try again. Anything else is a defect and ends the process; its supervisor starts it again,
 * and it goes on from the journalled state.
 */
import type { BootstrapState } from '../model/bootstrap.ts';
import { BranchboxError } from '../model/errors.ts';
import type { Clock, Logger } from '../system/ports.ts';
import type { Waker } from '../system/waker.ts';
import type { Journal } from './journal.ts';
import type { Progress } from './progress.ts';
import { renderProblem } from './renderStatus.ts';
import { askedAfterMs, backoffMs, BOOTSTRAP_BACKOFF, RENEWAL_BACKOFF, withinMs } from './retry.ts';

export interface Next {
  readonly state: BootstrapState;
  readonly note?: Readonly<Record<string, string>>;
}
/** Resolves with the state that follows; throws what is worth another try. */
export type Action = (signal: AbortSignal) => Promise<Next>;
/** From any state that needs the owner's record and finds none. */
export const WITHOUT_OWNER: Next = { state: 'DISCOVER', note: { because: 'the owner record was missing' } };
export type Actions = Readonly<Record<BootstrapState, Action>>;

/**
 * Tries in a state before the box asks afresh who owns it: what it was told may have been overtaken.
 * Waiting for an approval is no failure and never counts.
 */
const TRIES_BEFORE_AFRESH = 12;
const AFRESH: ReadonlySet<BootstrapState> = new Set(['OWNED', 'ENROLLING', 'LDEVID']);
const SLOW: ReadonlySet<BootstrapState> = new Set(['RENEW', 'RECOVER']);

export interface Machine {
  /** Until the signal aborts. */
  run(signal: AbortSignal): Promise<void>;
  /** From wherever the box is: what is being done there ends. Resolves once the state is in the journal. */
  turnTo(next: Next): Promise<void>;
  lastProblem(): string | undefined;
}

export function createMachine(options: {
  readonly journal: Journal;
  readonly actions: Actions;
  readonly waker: Waker;
  /** Woken when a person gave what a server may be waiting for: worth asking again before the time that it named. */
  readonly given: Waker;
  readonly progress: Pick<Progress, 'entered' | 'failed' | 'givenUp'>;
  readonly clock: Clock;
  readonly log: Logger;
  /** In [0, 1). */
  readonly random: () => number;
}): Machine {
  const { journal, actions, waker, progress, log } = options;
  let problem: string | undefined;
  let step = new AbortController();
  let turn: { readonly next: Next; readonly taken: PromiseWithResolvers<void> } | undefined;

  async function enter({ state, note }: Next): Promise<void> {
    const from = journal.current().state;
    await journal.enter(state, note);
    progress.entered(state, from);
    problem = undefined;
  }

  async function waitAfter(
    error: BranchboxError,
    state: BootstrapState,
    attempt: number,
    signal: AbortSignal,
  ) {
    const asked = askedAfterMs(error);
    const { firstMs, maxMs } = SLOW.has(state) ? RENEWAL_BACKOFF : BOOTSTRAP_BACKOFF;
    const own = backoffMs(
      attempt,
      { firstMs, maxMs: Math.min(maxMs, withinMs(error) ?? maxMs) },
      options.random(),
    );
    // Spread over a tenth more: a server that is busy told a thousand boxes the same number.
    const delayMs = asked !== undefined ? asked * (1 + options.random() / 10) : own;
    problem = renderProblem(error);
    progress.failed(state, error, problem);
    log.warn('bootstrap step failed, trying again', {
      state,
      attempt,
      code: error.code,
      problem: error.message,
      ...(error.problems.length > 0 && { problems: error.problems }),
      ...(error.mend !== undefined && { mend: error.mend }),
      delayMs: Math.round(delayMs),
    });
    if (asked === undefined) {
      await waker.wait(delayMs, signal);
      return;
    }
    // A new lease is no answer to "come back later", but may lead to another server; a code that was typed is one.
    await (state === 'PROVISIONAL' ? waker : options.given).wait(delayMs, signal);
  }

  return {
    lastProblem: () => problem,
    turnTo(next) {
      turn ??= { next, taken: Promise.withResolvers<void>() };
      step.abort();
      return turn.taken.promise;
    },
    async run(ending) {
      let attempt = 0;
      while (!ending.aborted) {
        const { state } = journal.current();
        step = new AbortController();
        const signal = AbortSignal.any([ending, step.signal]);
        // What cannot be journalled (a full disk) is tried again like all else: a box never ends because of its diary.
        try {
          if (turn !== undefined) {
            const { next, taken } = turn;
            await enter(next);
            taken.resolve();
            turn = undefined;
          } else if (attempt >= TRIES_BEFORE_AFRESH && AFRESH.has(state)) {
            await journal.enter('DISCOVER', { because: `${state} failed ${attempt} times` });
            progress.givenUp(state, problem);
          } else {
            await enter(await actions[state](signal));
          }
          attempt = 0;
        } catch (thrown) {
          if (ending.aborted) return;
          if (signal.aborted) continue;
          if (!(thrown instanceof BranchboxError) || thrown.code === 'internal') throw thrown;
          if (thrown.code !== 'bootstrap/pending' && !isBusy(thrown)) attempt += 1;
          try {
            await waitAfter(thrown, state, Math.max(1, attempt), signal);
          } catch (woken) {
            if (ending.aborted) return;
            if (signal.aborted) continue;
            throw woken;
          }
        }
      }
    },
  };
}

/** The server is well and said when to come again: that is no failure, and asking afresh would only add to its load. */
const isBusy = (error: BranchboxError): boolean =>
  (error.fields['status'] === 429 || error.fields['status'] === 503) && askedAfterMs(error) !== undefined;
