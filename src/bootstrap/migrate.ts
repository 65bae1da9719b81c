/**
 * Owns a move to another controller, step by step (MIGRATE): enrolling there beside the identity that the box has, waiting while
 * the agent tries the next owner's desired state, and then either putting the next owner in place of the present one, or nothing.
 * Does not own which order is taken (moves.ts) nor trying a desired state (the agent).
 *
 * Until `done` is on disk nothing of the present owner is touched, so that going back is forgetting. This process alone
 * decides; the agent follows move.json.
 */
import { BranchboxError } from '../model/errors.ts';
import type { Move } from '../model/move.ts';
import type { ServiceContext } from './context.ts';
import { prepareFarewell, sayFarewell } from './farewell.ts';
import type { Action, Next } from './machine.ts';
import { renderProblem } from './renderStatus.ts';
import { enrolElsewhere } from './ownerEnrolment.ts';
import { proveStrictly } from './ownerProof.ts';
import { createOwnerTrust } from './ownerTrust.ts';
import { movedCommittedPath, movedLdevidPaths } from './paths.ts';
import { askedAfterMs, retriedAfter } from './retry.ts';

/** Polled, not watched: the agent makes the directory in question only during the move. */
const LOOK_AGAIN_MS = 2_000;
/** In the last minute of a move, which the usual pauses would outlast. */
const LAST_MINUTE_MS = 60_000;
const LAST_PAUSE_MS = 10_000;
const SOONEST_MS = 1_000;
const MAX_COMMITTED_BYTES = 16 * 1024 * 1024;

export function createMigration(context: ServiceContext): Action {
  const { files, paths, owners, enrolment, ldevid, next, clock, waker, log, moves } = context;
  const moved = movedLdevidPaths(paths);
  const { lookIfDue } = createOwnerTrust(context);
  /** Of the move of this generation: when it is over, by this process's own count, and what went wrong last. */
  let own: { generation: number; endsAtMs: number; problem: string | undefined } | undefined;

  function ownOf(move: Move): { endsAtMs: number; problem: string | undefined } {
    if (own?.generation === move.generation) return own;
    // A clock that was put back must not keep the box on its way; one that was put forward only ends it sooner.
    const wholeMs = move.deadlineAtMs - move.orderedAtMs;
    const leftMs = Math.min(Math.max(0, move.deadlineAtMs - clock.nowMs()), wholeMs);
    own = { generation: move.generation, endsAtMs: context.monotonicMs() + leftMs, problem: undefined };
    return own;
  }
  const leftMsOf = (move: Move): number => ownOf(move).endsAtMs - context.monotonicMs();
  const hasCommitted = async (move: Move): Promise<boolean> =>
    (await files.readBytes(movedCommittedPath(paths, move.generation), MAX_COMMITTED_BYTES)) !== undefined;
  async function forgetPair(): Promise<void> {
    await files.remove(moved.certificate);
    await files.remove(moved.key);
  }
  const noteOf = ({ owner }: Move, stage: Move['stage']): Readonly<Record<string, string>> => ({
    stage,
    to: owner.device.host,
    gatewayId: owner.gatewayId,
  });

  /** Going back is forgetting. */
  async function forgetMove(move: Move, why: string): Promise<void> {
    await moves.end('returned', why);
    await forgetPair();
    const present = await owners.read();
    if (present !== undefined) await context.revocations.forgetOthers(present);
    log.warn('the box stays with its controller', { instead: move.owner.device.host, why });
  }

  async function goBack(move: Move, why: string): Promise<Next> {
    await forgetMove(move, why);
    return { state: 'OPERATIONAL', note: { because: `back from a move: ${why}`.slice(0, 500) } };
  }

  /** The present owner is the owner until `done`: a box that it does not trust any more goes nowhere by its order. */
  async function stopped(move: Move, signal: AbortSignal): Promise<Next | undefined> {
    // Killed between the mark and the end of the move, the mark counts.
    const isMarked = await context.quarantine.isSet();
    const onward: Next | undefined = isMarked ? { state: 'QUARANTINED' } : await lookIfDue(signal);
    if (onward !== undefined) await forgetMove(move, onward.note?.['because'] ?? onward.state);
    return onward;
  }

  async function enrolling(move: Move, signal: AbortSignal): Promise<Next> {
    const { owner } = move;
    const mine = ownOf(move);
    try {
      await context.revocations.require(owner, context.factory.tls, signal);
      // Killed between certificate and record: it is there, and no second one is asked for.
      const ready = await enrolment.read(owner, moved);
      const identity =
        ready !== undefined && enrolment.canHaveBegun(ready)
          ? ready
          : await enrolElsewhere(context, owner, moved, signal);
      // The clock is not told by an owner who is not the box's yet.
      await proveStrictly(context, owner, identity.tls, signal);
    } catch (thrown) {
      if (!(thrown instanceof BranchboxError) || thrown.code === 'internal' || signal.aborted) throw thrown;
      mine.problem = renderProblem(thrown);
      const leftMs = leftMsOf(move);
      if (leftMs <= 0) return goBack(move, mine.problem);
      const waitMs = waitFor(thrown, leftMs);
      if (waitMs === undefined) throw thrown;
      throw retriedAfter(thrown, waitMs);
    }
    await moves.enter('trying');
    return { state: 'MIGRATE', note: noteOf(move, 'trying') };
  }

  async function trying(move: Move, signal: AbortSignal): Promise<Next> {
    for (;;) {
      const onward = await stopped(move, signal);
      if (onward !== undefined) return onward;
      if (await hasCommitted(move)) {
        await moves.enter('done');
        return { state: 'MIGRATE', note: noteOf(move, 'done') };
      }
      const leftMs = leftMsOf(move);
      if (leftMs <= 0) {
        return goBack(
          move,
          `${move.owner.device.host} enrolled the box, and no desired state of it was committed in time`,
        );
      }
      await waker.wait(Math.min(LOOK_AGAIN_MS, leftMs), signal);
    }
  }

  /** Each step can be done again: killed anywhere, all of them are. */
  async function done(move: Move, signal: AbortSignal): Promise<Next> {
    const farewell = await prepareFarewell(context, move.owner);
    const key = await files.readText(moved.key);
    const certificate = await files.readText(moved.certificate);
    if (key !== undefined && certificate !== undefined) {
      await files.writeDurable(ldevid.key, key, 0o600);
      await files.writeDurable(ldevid.certificate, certificate, 0o644);
    }
    await owners.writeFinal(move.owner);
    // Left of the owner before: a renewal that was under way, and a medium that named it.
    await files.remove(next.certificate);
    await files.remove(next.key);
    await context.medium.forget();
    // The agent reads from the record of the move until what it committed has its usual place.
    while (await hasCommitted(move)) await waker.wait(LOOK_AGAIN_MS, signal);
    await moves.end('moved');
    await forgetPair();
    log.warn('the box has another controller now', { host: move.owner.device.host });
    // Killed before, nobody is told: the owner before sees a box that is silent, as it would in the dark.
    const untold =
      farewell === undefined
        ? 'nothing of it was left'
        : await sayFarewell(context, farewell, move.generation, signal);
    await context.revocations.forgetOthers(move.owner);
    if (untold !== undefined) log.info('the controller before does not know of the move', { why: untold });
    return {
      state: 'OPERATIONAL',
      note: {
        because: `moved to ${move.owner.device.host}`,
        gatewayId: move.owner.gatewayId,
        before: untold === undefined ? 'told' : `not told: ${untold}`.slice(0, 500),
      },
    };
  }

  return async (signal) => {
    const move = await moves.current();
    if (move === undefined) return { state: 'OPERATIONAL' };
    switch (move.stage) {
      case 'enrolling': {
        if (leftMsOf(move) <= 0)
          return goBack(
            move,
            ownOf(move).problem ?? `${move.owner.device.host} did not enrol the box in time`,
          );
        return (await stopped(move, signal)) ?? enrolling(move, signal);
      }
      case 'trying':
        return trying(move, signal);
      case 'done':
        return done(move, signal);
    }
  };
}

/** Never longer than the move lasts, whatever the server asks for; undefined: as after any failure. Pure. */
function waitFor(failure: BranchboxError, leftMs: number): number | undefined {
  const wantedMs = askedAfterMs(failure) ?? (leftMs < LAST_MINUTE_MS ? LAST_PAUSE_MS : undefined);
  return wantedMs === undefined ? undefined : Math.max(SOONEST_MS, Math.min(wantedMs, leftMs));
}
