/**
 * Owns what is done in each state of bootstrap up to the owner's record on disk.
 * Does not own the loop and its waiting (machine.ts), nor the states of a box that is in service (service.ts).
 */
import { type Owner } from '../model/bootstrap.ts';
import { BranchboxError, type ErrorCode } from '../model/errors.ts';
import type { Secret } from '../model/secret.ts';
import { type Certificate, parseCertificates, toPem } from '../pki/certificate.ts';
import type { Logger } from '../system/ports.ts';
import type { Activation } from './activation.ts';
import type { TrustedClock } from './clockFloor.ts';
import { candidateName, discover, rotate, type Server, serverName } from './discover.ts';
import type { Enrolment, LocalIdentity } from './enrol.ts';
import { createEstClient, type EstClient } from './est.ts';
import type { FactoryIdentity } from './factory.ts';
import type { Https, PeerJudge, TlsIdentity } from './https.ts';
import type { Action, Next } from './machine.ts';
import type { OwnerStore } from './ownerStore.ts';
import type { CredentialPaths } from './paths.ts';
import { strictPeer } from './peer.ts';
import type { MediumDesk } from './medium.ts';
import { anchorsAfter } from './rollover.ts';
import { askStanding } from './standing.ts';
import { moreTelling, type SztpClient } from './sztp.ts';
import type { Uplink, Uplinks } from './uplink.ts';
import type { Waker } from '../system/waker.ts';

export interface StateContext {
  readonly factory: FactoryIdentity;
  readonly uplinks: Uplinks;
  readonly owners: OwnerStore;
  readonly enrolment: Enrolment;
  readonly activation: Activation;
  readonly medium: MediumDesk;
  readonly ldevid: CredentialPaths;
  readonly sztp: SztpClient;
  readonly https: Https;
  /** Whether a captive portal answers in a server's place. */
  readonly probePortal: (
    server: Server,
    uplink: Uplink,
    signal: AbortSignal,
  ) => Promise<BranchboxError | undefined>;
  readonly clock: TrustedClock;
  readonly monotonicMs: () => number;
  readonly waker: Waker;
  readonly log: Logger;
}

/** Leases and files are watched; this is for what no watch tells (a carrier), and for a watch that was lost. */
const LOOK_AGAIN_MS = 2_000;

type EarlyState =
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
  const { factory, uplinks, owners, enrolment, medium, ldevid, sztp, clock, waker, log } = context;
  /** Moments before which a candidate asked not to be asked again. */
  const holds = new Map<string, number>();
  let round = 0;

  async function until(condition: () => Promise<boolean>, signal: AbortSignal): Promise<void> {
    while (!(await condition())) await waker.wait(LOOK_AGAIN_MS, signal);
  }

  /** Until there is a way out, or a medium tells whose box this is. */
  async function untilOrMedium(
    condition: () => Promise<boolean>,
    signal: AbortSignal,
  ): Promise<Next | undefined> {
    let taken = await medium.take();
    await until(async () => {
      taken ??= await medium.take();
      return taken !== undefined || condition();
    }, signal);
    return taken;
  }
  const anAddress = async (): Promise<boolean> => (await uplinks.all()).length > 0;
  const servers = async () =>
    discover(await uplinks.all(), factory.builtInServers, (await medium.network())?.bootstrapServers);

  async function provisional(signal: AbortSignal): Promise<Next> {
    const taken = await medium.take();
    if (taken !== undefined) return taken;
    const { candidates } = await servers();
    const nowMs = context.monotonicMs();
    const free = candidates.filter((candidate) => (holds.get(candidateName(candidate)) ?? 0) <= nowMs);
    const probed = new Set<string>();
    let telling: BranchboxError | undefined;
    for (const candidate of rotate(free, round)) {
      try {
        const { owner, voucher, server } = await sztp.onboard(candidate.server, candidate.uplink, signal);
        await owners.writePending(owner);
        return {
          state: 'OWNED',
          note: {
            gatewayId: owner.gatewayId,
            server: serverName(server),
            uplink: candidate.uplink.ifname,
            voucherMadeAt: new Date(voucher.createdOnMs).toISOString(),
          },
        };
      } catch (thrown) {
        if (!(thrown instanceof BranchboxError)) throw thrown;
        const asked = thrown.fields['retryAfterMs'];
        if (typeof asked === 'number') holds.set(candidateName(candidate), context.monotonicMs() + asked);
        log.info('bootstrap server gave nothing', {
          candidate: candidateName(candidate),
          code: thrown.code,
          problem: thrown.message,
        });
        telling = moreTelling(telling, thrown);
        // Silence may be a portal that swallows HTTPS: asked once an uplink and round.
        if (thrown.code === 'bootstrap/unreachable' && !probed.has(candidate.uplink.address)) {
          probed.add(candidate.uplink.address);
          const portal = await context.probePortal(candidate.server, candidate.uplink, signal);
          if (portal !== undefined) telling = moreTelling(telling, portal);
        }
      }
    }
    round += 1;
    // Nobody online is better: the owner that a medium named is worth another try.
    const again = await medium.take({ again: true });
    if (again !== undefined) return again;
    const heldMs = candidates.map((one) => (holds.get(candidateName(one)) ?? 0) - context.monotonicMs());
    throw afterRound(telling, candidates.length, free.length, Math.min(...heldMs));
  }

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
  const afresh: Next = { state: 'DISCOVER', note: { because: 'the owner record was missing' } };

  return {
    FACTORY: async () => (await medium.take()) ?? { state: 'LINK' },
    async LINK(signal) {
      const taken = await untilOrMedium(
        async () => (await uplinks.hasCarrier()) || (await anAddress()),
        signal,
      );
      return taken ?? { state: 'ADDR' };
    },
    async ADDR(signal) {
      return (await untilOrMedium(anAddress, signal)) ?? { state: 'CLOCK_FLOOR' };
    },
    CLOCK_FLOOR: async () => ({
      state: 'DISCOVER',
      note: { floor: new Date(clock.floorMs()).toISOString() },
    }),
    async DISCOVER() {
      const { candidates, problems } = await servers();
      // Where there is nobody to ask, also one that was taken before.
      const taken = await medium.take({ again: candidates.length === 0 });
      if (taken !== undefined) return taken;
      if (candidates.length === 0) {
        throw new BranchboxError('bootstrap/unreachable', {
          message:
            'Neither a medium nor DHCP nor the built-in list names a bootstrap server that can be used',
          problems,
        });
      }
      return {
        state: 'PROVISIONAL',
        note: { candidates: candidates.map(candidateName).join(', ').slice(0, 500) },
      };
    },
    PROVISIONAL: provisional,
    async OWNED(signal) {
      const owner = await ownerOrAfresh();
      if (owner === undefined) return afresh;
      // A medium tells the owner before there is a way to it: waiting for one is no failure.
      await until(anAddress, signal);
      // Proves the enrolment server before a key is made for it.
      const est = estOf(context, owner);
      try {
        await overUplinks(await uplinks.all(), (uplink) => est.cacerts(uplink, factory.tls, signal));
      } catch (thrown) {
        throw await orPortal(thrown, owner.est, signal);
      }
      return { state: 'ENROLLING' };
    },
    async ENROLLING(signal) {
      const owner = await ownerOrAfresh();
      if (owner === undefined) return afresh;
      // Killed between certificate and journal: it is there, and no second one is asked for.
      let identity = await enrolment.read(owner, ldevid);
      if (identity === undefined || identity.certificate.notAfterMs <= clock.nowMs()) {
        identity = await enrolWithCode(context, owner, signal);
      }
      context.activation.forget();
      return { state: 'LDEVID', note: { certificate: identity.certificate.fingerprintSha256 } };
    },
    async LDEVID(signal) {
      const owner = await ownerOrAfresh();
      if (owner === undefined) return afresh;
      const identity = await enrolment.read(owner, ldevid);
      if (identity === undefined) return { state: 'ENROLLING', note: { because: 'no certificate on disk' } };
      await proveStrictly(context, owner, identity.tls, signal);
      return { state: 'STRICT' };
    },
  };
}

/** `heldMs`: until the first of all servers may be asked again; none of them waits longer for another one's sake. */
function afterRound(
  telling: BranchboxError | undefined,
  known: number,
  asked: number,
  heldMs: number,
): BranchboxError {
  const busy = known > 0 && heldMs > 0 ? { status: 503, retryAfterMs: heldMs } : {};
  if (telling !== undefined) {
    const { code, message, problems, mend } = telling;
    return new BranchboxError(code, { message, problems, fields: busy, ...(mend !== undefined && { mend }) });
  }
  const message =
    known === 0
      ? 'No uplink has a bootstrap server to ask'
      : `All ${known - asked} bootstrap servers are busy`;
  return new BranchboxError('bootstrap/unreachable', { message, fields: busy });
}

/** Judged by the domain CA that the voucher pinned, those it vouched for since, and by nothing else. */
export function ownerPeer(owner: Owner, clock: TrustedClock): PeerJudge {
  return strictPeer(parseCertificates(owner.domainAnchorPem), () => clock.nowMs());
}

function estOf(context: StateContext, owner: Owner): EstClient {
  return createEstClient({ https: context.https, est: owner.est, peer: ownerPeer(owner, context.clock) });
}

/** Told by the owner itself, whom another uplink would lead to as well. */
const OWNERS_VERDICTS: readonly ErrorCode[] = [
  'bootstrap/pending',
  'bootstrap/refused',
  'bootstrap/quarantined',
];

/** The first uplink over which it works; a refusal by the owner is final, another uplink would hear the same. */
export async function overUplinks<T>(
  uplinks: readonly Uplink[],
  work: (uplink: Uplink) => Promise<T>,
): Promise<T> {
  let telling: BranchboxError | undefined;
  for (const uplink of uplinks) {
    try {
      return await work(uplink);
    } catch (thrown) {
      if (!(thrown instanceof BranchboxError)) throw thrown;
      if (OWNERS_VERDICTS.includes(thrown.code)) throw thrown;
      telling = moreTelling(telling, thrown);
    }
  }
  throw (
    telling ??
    new BranchboxError('bootstrap/unreachable', { message: 'No uplink has an address to send from' })
  );
}

/** With the installer's code, where one was typed; what the server says of it is kept for who looks. */
async function enrolWithCode(
  context: StateContext,
  owner: Owner,
  signal: AbortSignal,
): Promise<LocalIdentity> {
  const { activation, factory, ldevid } = context;
  try {
    return await enrol(context, owner, ldevid, 'simpleenroll', factory.tls, signal, activation.credentials());
  } catch (thrown) {
    if (!(thrown instanceof BranchboxError) || thrown.code !== 'bootstrap/pending') throw thrown;
    const { asksForCode, codeRefused } = thrown.fields;
    if (typeof codeRefused === 'string') activation.refused(codeRefused);
    else activation.waiting(asksForCode === true);
    throw thrown;
  }
}

/** Key, request, answer, check, on disk. */
export async function enrol(
  context: StateContext,
  owner: Owner,
  paths: CredentialPaths,
  operation: 'simpleenroll' | 'simplereenroll',
  identity: TlsIdentity,
  signal: AbortSignal,
  code?: Secret,
): Promise<LocalIdentity> {
  const { enrolment, factory, uplinks } = context;
  const est = estOf(context, owner);
  const request = await enrolment.request(owner, paths, factory.serial);
  const { issued, others } = await overUplinks(await uplinks.all(), async (uplink) => ({
    others: await est.cacerts(uplink, identity, signal),
    issued: await est.enrol({ operation, request, uplink, identity, code, signal }),
  }));
  return enrolment.accept(await learnAnchors(context, owner, others), paths, issued, others);
}

/** On disk before a certificate of the next CA is: the agent reads its anchors from the owner's record. */
async function learnAnchors(
  context: StateContext,
  owner: Owner,
  offered: readonly Certificate[],
): Promise<Owner> {
  const { owners, clock, log } = context;
  const anchors = parseCertificates(owner.domainAnchorPem);
  const after = await anchorsAfter({ anchors, offered, atMs: clock.nowMs() });
  if (after.length === anchors.length) return owner;
  const next: Owner = { ...owner, domainAnchorPem: toPem(after) };
  if (await owners.isFinal()) await owners.writeFinal(next);
  else await owners.writePending(next);
  for (const anchor of after.slice(anchors.length)) {
    log.warn('the domain CA vouches for its next one, both are trusted now', {
      fingerprintSha256: anchor.fingerprintSha256,
    });
  }
  return next;
}

/**
 * Dates, names and the owner's acceptance of who we are, over a new connection. Throws bootstrap/quarantined where the
 * owner says that it does not trust this box.
 */
export async function proveStrictly(
  context: StateContext,
  owner: Owner,
  identity: TlsIdentity,
  signal: AbortSignal,
): Promise<void> {
  const { https } = context;
  const peer = ownerPeer(owner, context.clock);
  await overUplinks(await context.uplinks.all(), (uplink) =>
    askStanding({ https, owner, peer, uplink, identity, signal }),
  );
}
