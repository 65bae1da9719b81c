/**
 * Owns what is done in each state of bootstrap up to the owner's record on disk.
 * Does not own the loop and its waiting (machine.ts), nor the states of a box that is in service (service.ts).
 */
import type { Owner } from '../model/bootstrap.ts';
import { BranchboxError } from '../model/errors.ts';
import { AGREEMENT_MS } from '../model/knownTime.ts';
import { findBootstrapServers } from './bootstrapServers.ts';
import type { StateContext } from './context.ts';
import { candidateName, type Server } from './discover.ts';
import { type Action, type Next, WITHOUT_OWNER } from './machine.ts';
import { overUplinks } from './overUplinks.ts';
import { enrolWithCode } from './ownerEnrolment.ts';
import { proveAnew } from './ownerProof.ts';
import { estOf } from './ownerServers.ts';
import { createProvisional } from './provisional.ts';

/** Leases and files are watched; this is for what no watch tells (a carrier), and for a watch that was lost. */
const LOOK_AGAIN_MS = 2_000;
/** A line that is negotiated anew has no carrier for a second or two, and is not pulled. */
const LOOKS_UNTIL_PULLED = 3;

export type EarlyState =
  | 'FACTORY'
  | 'LINK'
  | 'ADDR'
  | 'CLOCK_FLOOR'
  | 'DISCOVER'
  | 'PROVISIONAL'
  | 'OWNED'
  | 'ENROLLING'
  | 'LDEVID';

export function createEarlyActions(context: StateContext): Readonly<Record<EarlyState, Action>> {
  const { factory, uplinks, cables, owners, enrolment, medium, ldevid, clock, waker, log } = context;
  const { revocations } = context;

  /** Until there is a way out, or a medium tells whose box this is. */
  async function untilOrMedium(
    condition: () => Promise<boolean>,
    signal: AbortSignal,
    take: () => Promise<Next | undefined> = () => medium.take(),
  ): Promise<Next | undefined> {
    for (;;) {
      const taken = await take();
      if (taken !== undefined) return taken;
      if (await condition()) return undefined;
      await waker.wait(LOOK_AGAIN_MS, signal);
    }
  }
  /** Where a server named the owner, a stick moves the box no more. */
  const takeLater = async (): Promise<Next | undefined> =>
    context.owned.isByMedium() ? medium.take({ later: true }) : undefined;
  const anAddress = async (): Promise<boolean> => (await uplinks.all()).length > 0;
  const servers = () => findBootstrapServers(context);

  /** Why nobody answers, where a portal is seen to be why. */
  async function orPortal(thrown: unknown, server: Server, signal: AbortSignal): Promise<unknown> {
    if (!(thrown instanceof BranchboxError) || thrown.code !== 'bootstrap/unreachable') return thrown;
    for (const uplink of await uplinks.all()) {
      const portal = await context.probePortal(server, uplink, signal);
      if (portal !== undefined) return portal;
    }
    return thrown;
  }

  async function ownerOrAfresh(): Promise<Owner | undefined> {
    const owner = await owners.read();
    if (owner === undefined) log.error('owner record missing, asking for it again');
    return owner;
  }

  return {
    FACTORY: async () => (await medium.take()) ?? { state: 'LINK' },
    async LINK(signal) {
      const taken = await untilOrMedium(
        async () => (await cables.inWanPort()) || (await anAddress()),
        signal,
      );
      return taken ?? { state: 'ADDR' };
    },
    async ADDR(signal) {
      let looksWithoutCable = 0;
      const isOver = async (): Promise<boolean> => {
        if (await anAddress()) return true;
        looksWithoutCable = (await cables.inWanPort()) ? 0 : looksWithoutCable + 1;
        return looksWithoutCable >= LOOKS_UNTIL_PULLED;
      };
      const taken = await untilOrMedium(isOver, signal);
      return taken ?? { state: (await anAddress()) ? 'CLOCK_FLOOR' : 'LINK' };
    },
    CLOCK_FLOOR: async () => ({
      state: 'DISCOVER',
      note: { floor: new Date(clock.floorMs()).toISOString() },
    }),
    async DISCOVER() {
      const { candidates, problems } = await servers();
      if (problems.length > 0) log.warn('bootstrap servers that were named and are not asked', { problems });
      // Where there is nobody to ask, also one that was taken before.
      const taken = await medium.take({ again: candidates.length === 0 });
      if (taken !== undefined) return taken;
      if (candidates.length === 0) {
        throw new BranchboxError('bootstrap/unreachable', {
          message:
            'Neither a medium nor DNS, DHCP or the built-in list names a bootstrap server that can be used',
          problems,
        });
      }
      context.notices.set(
        'named',
        problems.map(
          ({ path, message }) => `${path} ${message} (look at who names it; the others are asked)`,
        ),
      );
      return {
        state: 'PROVISIONAL',
        note: { candidates: candidates.map(candidateName).join(', ').slice(0, 500) },
      };
    },
    PROVISIONAL: createProvisional(context, servers),
    async OWNED(signal) {
      const owner = await ownerOrAfresh();
      if (owner === undefined) return WITHOUT_OWNER;
      const madeAtMs = context.owned.voucherMadeAtMs();
      const byMedium = context.owned.isByMedium();
      // Started again since the voucher told the time, and that is lost: a server of which the dates cannot be checked is
      // nobody. Another voucher tells it again. A medium's told no time, and its owner's server is never judged by an earlier one.
      if (!byMedium && madeAtMs !== undefined && clock.nowMs() < madeAtMs - AGREEMENT_MS) {
        return {
          state: 'DISCOVER',
          note: { because: 'the clock is behind the voucher that named the owner' },
        };
      }
      // A medium tells the owner before there is a way to it: waiting for one is no failure. The line that it told may be wrong,
      // and nobody else can mend that: until the enrolment server answered, a medium that comes later counts.
      const taken = await untilOrMedium(anAddress, signal, takeLater);
      if (taken !== undefined) return taken;
      // Proves the enrolment server before a key is made for it.
      const est = estOf(context, owner);
      const prove = async (): Promise<void> => {
        await revocations.require(owner, factory.tls, signal);
        await overUplinks(await uplinks.all(), (uplink) => est.cacerts(uplink, factory.tls, signal));
      };
      try {
        await (byMedium ? clock.notBefore(madeAtMs ?? 0, prove) : prove());
      } catch (thrown) {
        throw await orPortal(thrown, owner.est, signal);
      }
      if (madeAtMs !== undefined) await clock.raise(byMedium ? madeAtMs : Math.min(madeAtMs, clock.nowMs()));
      return { state: 'ENROLLING' };
    },
    async ENROLLING(signal) {
      const owner = await ownerOrAfresh();
      if (owner === undefined) return WITHOUT_OWNER;
      // Killed between certificate and journal: it is there, and no second one is asked for.
      let identity = await enrolment.read(owner, ldevid);
      const isUsable =
        identity !== undefined &&
        identity.certificate.notAfterMs > clock.nowMs() &&
        enrolment.canHaveBegun(identity);
      if (identity === undefined || !isUsable) {
        await revocations.require(owner, factory.tls, signal);
        identity = await enrolWithCode(context, owner, signal);
      }
      context.activation.forget();
      return { state: 'LDEVID', note: { certificate: identity.certificate.fingerprintSha256 } };
    },
    async LDEVID(signal) {
      const owner = await ownerOrAfresh();
      if (owner === undefined) return WITHOUT_OWNER;
      const identity = await enrolment.read(owner, ldevid);
      if (identity === undefined) return { state: 'ENROLLING', note: { because: 'no certificate on disk' } };
      if (!enrolment.canHaveBegun(identity)) {
        return {
          state: 'ENROLLING',
          note: { because: 'the certificate on disk begins later than it can be' },
        };
      }
      await revocations.require(owner, identity.tls, signal);
      await proveAnew(context, owner, identity, signal);
      return { state: 'STRICT' };
    },
  };
}
