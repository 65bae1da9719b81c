/**
 * Owns the states of a box that is in service: the owner's record, following the agent, resting until a renewal is due,
 * quarantine. Does not own the way there (states.ts), renewal itself (renew.ts), a move (migrate.ts) nor what the agent does.
 */
import type { BootstrapState, Owner } from '../model/bootstrap.ts';
import type { ServiceContext } from './context.ts';
import { type Action, type Next, WITHOUT_OWNER } from './machine.ts';
import { proveStrictly } from './ownerProof.ts';
import { createOwnerTrust } from './ownerTrust.ts';
import { createMigration } from './migrate.ts';
import { movedLdevidPaths } from './paths.ts';
import { createRenewalActions, type RenewalDue, renewalDue } from './renew.ts';
import type { EarlyState } from './states.ts';

type ServiceState = Exclude<BootstrapState, EarlyState | 'WIPE'>;

/** The agent's directory is watched; this is for what happened before the watch stood. */
const LOOK_AGAIN_MS = 2_000;
/** Timers of Node end at 24.8 days, and clocks get corrected: look at the time at least this often. */
const MAX_SLEEP_MS = 3_600_000;

/** Where the agent's files say that the box is by now; undefined where it still is `here`. Pure. */
function afterAgent(
  here: 'STRICT' | 'CONFIG_STAGED' | 'TRIAL',
  trial: boolean,
  committed: boolean,
): Next | undefined {
  if (trial) return here === 'TRIAL' ? undefined : { state: here === 'STRICT' ? 'CONFIG_STAGED' : 'TRIAL' };
  if (committed) return { state: 'OPERATIONAL' };
  return here === 'STRICT'
    ? undefined
    : { state: 'STRICT', note: { because: 'the trial ended without a committed state' } };
}

export function createServiceActions(context: ServiceContext): Readonly<Record<ServiceState, Action>> {
  const { files, paths, owners, clock, waker, quarantine, looks, revocations } = context;
  const { credentialNow, distrustedFor, supersededFor, lookIfDue, listIfDue } = createOwnerTrust(context);

  /** Follows the agent's files: what it holds is the truth, this journal is for people. `owner`: where renewal counts. */
  async function followAgent(
    here: 'STRICT' | 'CONFIG_STAGED' | 'TRIAL',
    owner: Owner | undefined,
    signal: AbortSignal,
  ): Promise<Next> {
    let renewal: RenewalDue | undefined;
    // Watched here alone: a box in service writes there all day, and nobody needs to wake for it.
    const followed = new AbortController();
    files.watch(paths.agent, () => waker.wake(), AbortSignal.any([signal, followed.signal]));
    try {
      for (;;) {
        const names = await files.list(paths.agent);
        const next = afterAgent(here, names.includes('trial.json'), names.includes('committed.jws'));
        if (next !== undefined) return next;
        // A box may wait for its first desired state for longer than its certificate lasts. A trial is over sooner.
        if (owner !== undefined) {
          await listIfDue(signal);
          renewal ??= await renewalDue(context, owner);
        }
        const onward = renewal?.now() ?? (await lookIfDue(signal));
        if (onward !== undefined) return onward;
        await waker.wait(LOOK_AGAIN_MS, signal);
      }
    } finally {
      followed.abort();
    }
  }

  async function movedAway(): Promise<Next | undefined> {
    const move = await context.moves.current();
    if (move === undefined) return undefined;
    const { owner, stage } = move;
    return { state: 'MIGRATE', note: { stage, to: owner.device.host, gatewayId: owner.gatewayId } };
  }

  return {
    async STRICT(signal) {
      const owner = await owners.read();
      if (owner === undefined) return WITHOUT_OWNER;
      const isNew = !(await owners.isFinal());
      if (isNew) await owners.writeFinal(owner);
      // Where the power went right behind the final record, they are there still.
      else await owners.dropPending();
      await context.medium.forget();
      if (isNew) await context.progress.settled();
      return followAgent('STRICT', owner, signal);
    },
    CONFIG_STAGED: (signal) => followAgent('CONFIG_STAGED', undefined, signal),
    TRIAL: (signal) => followAgent('TRIAL', undefined, signal),
    async OPERATIONAL(signal) {
      const owner = await owners.read();
      if (owner === undefined) return WITHOUT_OWNER;
      if (await quarantine.isSet()) return { state: 'QUARANTINED' };
      const moving = await movedAway();
      if (moving !== undefined) return moving;
      // What a killed move left after its end.
      const moved = movedLdevidPaths(paths);
      await files.remove(moved.certificate);
      await files.remove(moved.key);
      const renewal = await renewalDue(context, owner);
      for (;;) {
        await listIfDue(signal);
        const onward = renewal.now() ?? (await movedAway()) ?? (await lookIfDue(signal));
        if (onward !== undefined) return onward;
        const dueInMs = Math.max(0, renewal.atMs - clock.nowMs());
        const asksInMs = Math.min(looks.dueInMs(), revocations.dueInMs(owner));
        await waker.wait(Math.min(MAX_SLEEP_MS, dueInMs, asksInMs), signal);
      }
    },
    async QUARANTINED(signal) {
      const owner = await owners.read();
      if (owner === undefined) return WITHOUT_OWNER;
      const { tls, enrolled } = await credentialNow(owner);
      looks.looked();
      await listIfDue(signal);
      try {
        await proveStrictly(context, owner, tls, signal);
      } catch (thrown) {
        // Whatever else went wrong, the mark stays: only a good answer takes it away.
        await distrustedFor(thrown);
        await context.timeWitness.seekAfter(thrown, signal);
        // It asks on with its factory identity.
        await supersededFor(thrown);
        throw thrown;
      }
      await quarantine.clear();
      // By way of STRICT: it may have been before its first desired state.
      return {
        state: enrolled ? 'STRICT' : 'RECOVER',
        note: { because: 'the controller trusts this box again' },
      };
    },
    ...createRenewalActions(context),
    MIGRATE: createMigration(context),
  };
}
