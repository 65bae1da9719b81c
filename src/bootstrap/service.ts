/**
 * Owns the states of a box that has its certificate: the owner's record, following the agent, renewal, recovery,
 * quarantine. Does not own the way there (states.ts) nor what the agent does.
 */
import type { BootstrapState, Owner } from '../model/bootstrap.ts';
import { BranchboxError } from '../model/errors.ts';
import type { Certificate } from '../pki/certificate.ts';
import type { Files } from '../system/ports.ts';
import type { TlsIdentity } from './https.ts';
import { parseServer } from './discover.ts';
import type { LocalIdentity } from './enrol.ts';
import type { Action, Next } from './machine.ts';
import { type BootstrapPaths, type CredentialPaths } from './paths.ts';
import type { QuarantineMark, StandingLooks } from './standing.ts';
import { enrol, overUplinks, ownerPeer, proveStrictly, type StateContext } from './states.ts';

export interface ServiceContext extends StateContext {
  readonly files: Files;
  readonly paths: BootstrapPaths;
  readonly next: CredentialPaths;
  /** In [0, 1); one draw a certificate spreads renewals. */
  readonly random: () => number;
  /** `host:port` of who onboarded us, if this run or the journal knows. */
  readonly bootstrapServer: () => string | undefined;
  readonly quarantine: QuarantineMark;
  readonly looks: StandingLooks;
}

type ServiceState = Exclude<
  BootstrapState,
  'FACTORY' | 'LINK' | 'ADDR' | 'CLOCK_FLOOR' | 'DISCOVER' | 'PROVISIONAL' | 'OWNED' | 'ENROLLING' | 'LDEVID'
>;

/** The agent's directory is watched; this is for what happened before the watch stood. */
const LOOK_AGAIN_MS = 2_000;
/** Timers of Node end at 24.8 days, and clocks get corrected: look at the time at least this often. */
const MAX_SLEEP_MS = 3_600_000;
/** Renewal begins at 60 % of a certificate's life and is spread over the next tenth. */
const RENEW_FROM = 0.6;
const RENEW_SPREAD = 0.1;

/** Pure. `random` in [0, 1). */
export function renewalAtMs(
  certificate: Pick<Certificate, 'notBeforeMs' | 'notAfterMs'>,
  random: number,
): number {
  const lifeMs = certificate.notAfterMs - certificate.notBeforeMs;
  return certificate.notBeforeMs + lifeMs * (RENEW_FROM + RENEW_SPREAD * random);
}

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
  const { files, paths, owners, enrolment, ldevid, next, clock, waker, log, quarantine, looks } = context;
  const startOver: Next = { state: 'DISCOVER', note: { because: 'the owner record was missing' } };

  /** Our certificate while it is one; else the factory identity, which the owner knows us by as well. */
  async function credentialNow(owner: Owner): Promise<{ tls: TlsIdentity; enrolled: boolean }> {
    const current = await enrolment.read(owner, ldevid);
    const enrolled = current !== undefined && current.certificate.notAfterMs > clock.nowMs();
    return enrolled ? { tls: current.tls, enrolled } : { tls: context.factory.tls, enrolled };
  }

  /** The mark comes first: killed before the journal has it, the next start finds it. */
  async function distrustedFor(thrown: unknown): Promise<Next | undefined> {
    if (!(thrown instanceof BranchboxError) || thrown.code !== 'bootstrap/quarantined') return undefined;
    const why = String(thrown.fields['why']);
    await quarantine.set(why, clock.nowMs());
    return { state: 'QUARANTINED', note: { because: why.slice(0, 500) } };
  }

  /** Asks the owner how we stand. No answer changes nothing: who cuts a cable must not stop traffic by it. */
  async function look(signal: AbortSignal): Promise<Next | undefined> {
    const owner = await owners.read();
    if (owner === undefined) return undefined;
    looks.looked();
    try {
      await proveStrictly(context, owner, (await credentialNow(owner)).tls, signal);
    } catch (thrown) {
      if (!(thrown instanceof BranchboxError)) throw thrown;
      const distrusted = await distrustedFor(thrown);
      if (distrusted !== undefined) return distrusted;
      log.info('the owner did not say how this box stands', { code: thrown.code, problem: thrown.message });
    }
    return undefined;
  }
  const lookIfDue = async (signal: AbortSignal): Promise<Next | undefined> =>
    looks.dueInMs() === 0 ? look(signal) : undefined;

  /** Follows the agent's files: what it holds is the truth, this journal is for people. */
  async function followAgent(here: 'STRICT' | 'CONFIG_STAGED' | 'TRIAL', signal: AbortSignal): Promise<Next> {
    // Watched here alone: a box in service writes there all day, and nobody needs to wake for it.
    const followed = new AbortController();
    files.watch(paths.agent, () => waker.wake(), AbortSignal.any([signal, followed.signal]));
    try {
      for (;;) {
        const names = await files.list(paths.agent);
        const next = afterAgent(here, names.includes('trial.json'), names.includes('committed.jws'));
        if (next !== undefined) return next;
        const distrusted = await lookIfDue(signal);
        if (distrusted !== undefined) return distrusted;
        await waker.wait(LOOK_AGAIN_MS, signal);
      }
    } finally {
      followed.abort();
    }
  }

  /** Told to whom onboarded us, and only where that server proves to be the owner's. */
  async function reportComplete(signal: AbortSignal): Promise<void> {
    const named = context.bootstrapServer();
    const server = named === undefined ? undefined : parseServer(`https://${named}`);
    const owner = await owners.read();
    if (server === undefined || typeof server === 'string' || owner === undefined) return;
    try {
      await overUplinks(await context.uplinks.all(), (uplink) =>
        context.sztp.report({
          server,
          uplink,
          peer: ownerPeer(owner, clock),
          progress: 'bootstrap-complete',
          message: `gateway ${owner.gatewayId}`,
          signal,
        }),
      );
    } catch (thrown) {
      if (!(thrown instanceof BranchboxError)) throw thrown;
      log.info('progress report not taken', { code: thrown.code, problem: thrown.message });
    }
  }

  /** The new pair over the old one. Killed in between, the next start finds the new pair whole and ends the move. */
  async function moveOver(): Promise<void> {
    const key = await files.readText(next.key);
    const certificate = await files.readText(next.certificate);
    if (key === undefined || certificate === undefined) return;
    await files.writeDurable(ldevid.key, key, 0o600);
    await files.writeDurable(ldevid.certificate, certificate, 0o644);
    await files.remove(next.certificate);
    await files.remove(next.key);
  }

  /** A refusal may be one of this request, or of this box. */
  async function renewOrLearn(signal: AbortSignal, renewal: () => Promise<Next>): Promise<Next> {
    try {
      return await renewal();
    } catch (thrown) {
      const refusal = thrown instanceof BranchboxError && thrown.code === 'bootstrap/refused';
      const distrusted = refusal ? await look(signal) : await distrustedFor(thrown);
      if (distrusted !== undefined) return distrusted;
      throw thrown;
    }
  }

  async function renew(
    operation: 'simpleenroll' | 'simplereenroll',
    current: LocalIdentity | undefined,
    signal: AbortSignal,
  ): Promise<Next> {
    const owner = await owners.read();
    if (owner === undefined) return startOver;
    // To the domain already owned, so with no new voucher; an expired certificate is no credential any more.
    const credential = operation === 'simplereenroll' && current ? current.tls : context.factory.tls;
    const fresh =
      (await enrolment.read(owner, next)) ??
      (await enrol(context, owner, next, operation, credential, signal));
    // Proved before the old one is given up; by the record as it is now, which may have got the next CA.
    await proveStrictly(context, (await owners.read()) ?? owner, fresh.tls, signal);
    await moveOver();
    return { state: 'OPERATIONAL', note: { certificate: fresh.certificate.fingerprintSha256 } };
  }

  const rest: Action = async (signal) => {
    for (;;) await waker.wait(MAX_SLEEP_MS, signal);
  };

  return {
    async STRICT(signal) {
      const owner = await owners.read();
      if (owner === undefined) return startOver;
      if (await owners.isFinal()) await owners.dropPending();
      else {
        await owners.writeFinal(owner);
        await context.medium.forget();
        await reportComplete(signal);
      }
      return followAgent('STRICT', signal);
    },
    CONFIG_STAGED: (signal) => followAgent('CONFIG_STAGED', signal),
    TRIAL: (signal) => followAgent('TRIAL', signal),
    async OPERATIONAL(signal) {
      const owner = await owners.read();
      if (owner === undefined) return startOver;
      if (await quarantine.isSet()) return { state: 'QUARANTINED' };
      const current = await enrolment.read(owner, ldevid);
      if (current === undefined) {
        // A renewal that was killed half way through its move still has the new pair whole.
        if ((await enrolment.read(owner, next)) !== undefined) return { state: 'RENEW' };
        return { state: 'RECOVER', note: { because: 'no certificate on disk' } };
      }
      // What a killed renewal left after its move: a key is used for one enrolment only.
      await files.remove(next.certificate);
      await files.remove(next.key);
      const atMs = renewalAtMs(current.certificate, context.random());
      for (;;) {
        const nowMs = clock.nowMs();
        if (nowMs >= current.certificate.notAfterMs) {
          return { state: 'RECOVER', note: { because: 'the certificate expired' } };
        }
        if (nowMs >= atMs) return { state: 'RENEW' };
        const distrusted = await lookIfDue(signal);
        if (distrusted !== undefined) return distrusted;
        await waker.wait(Math.min(MAX_SLEEP_MS, atMs - nowMs, looks.dueInMs()), signal);
      }
    },
    async RENEW(signal) {
      const owner = await owners.read();
      if (owner === undefined) return startOver;
      const current = await enrolment.read(owner, ldevid);
      const nowMs = clock.nowMs();
      const ready = await enrolment.read(owner, next);
      if (ready === undefined && current !== undefined) {
        if (current.certificate.notAfterMs <= nowMs) {
          return { state: 'RECOVER', note: { because: 'the certificate expired while renewing' } };
        }
        // Killed after the move: the fresh one is in place.
        if (nowMs < renewalAtMs(current.certificate, 0)) return { state: 'OPERATIONAL' };
      }
      return renewOrLearn(signal, () => renew('simplereenroll', current, signal));
    },
    async QUARANTINED(signal) {
      const owner = await owners.read();
      if (owner === undefined) return startOver;
      const { tls, enrolled } = await credentialNow(owner);
      looks.looked();
      try {
        await proveStrictly(context, owner, tls, signal);
      } catch (thrown) {
        // Whatever else went wrong, the mark stays: only a good answer takes it away.
        await distrustedFor(thrown);
        throw thrown;
      }
      await quarantine.clear();
      // By way of STRICT: it may have been before its first desired state.
      return {
        state: enrolled ? 'STRICT' : 'RECOVER',
        note: { because: 'the controller trusts this box again' },
      };
    },
    async RECOVER(signal) {
      const owner = await owners.read();
      const current = owner === undefined ? undefined : await enrolment.read(owner, ldevid);
      // The clock was wrong, and is right again: what seemed to have ended has not.
      if (current !== undefined && clock.nowMs() < current.certificate.notAfterMs) {
        return { state: 'OPERATIONAL', note: { because: 'the certificate is valid after all' } };
      }
      return renewOrLearn(signal, () => renew('simpleenroll', undefined, signal));
    },
    // Not entered yet by anything here; a journal of a later version may hold them.
    MIGRATE: rest,
    WIPE: rest,
  };
}
