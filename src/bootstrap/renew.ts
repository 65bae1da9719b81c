/**
 * Owns a box's next certificate: when it is due, getting it (RENEW, and RECOVER where the one before has ended), proving it
 * and moving it over the one before. Does not own enrolling (ownerEnrolment.ts, enrol.ts) nor waiting until it is due
 * (service.ts).
 */
import type { Owner } from '../model/bootstrap.ts';
import { BranchboxError } from '../model/errors.ts';
import type { Certificate } from '../pki/certificate.ts';
import type { ServiceContext } from './context.ts';
import type { LocalIdentity } from './enrol.ts';
import { type Action, type Next, WITHOUT_OWNER } from './machine.ts';
import { enrol } from './ownerEnrolment.ts';
import { proveAnew } from './ownerProof.ts';
import { createOwnerTrust } from './ownerTrust.ts';
import { askedAfterMs, RETRY_AFTER_MS, retriedAfter, retriedWithin } from './retry.ts';

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

export interface RenewalDue {
  /** When to look again at the latest. */
  readonly atMs: number;
  /** What is due by now; undefined: nothing. */
  now(): Next | undefined;
}

/** For the certificate on disk. Removes what a renewal that was killed after its move left behind. */
export async function renewalDue(context: ServiceContext, owner: Owner): Promise<RenewalDue> {
  const { files, enrolment, ldevid, next, clock } = context;
  const current = await enrolment.read(owner, ldevid);
  if (current === undefined) {
    // A renewal that was killed half way through its move still has the new pair whole.
    const onward: Next =
      (await enrolment.read(owner, next)) !== undefined
        ? { state: 'RENEW' }
        : { state: 'RECOVER', note: { because: 'no certificate on disk' } };
    return { atMs: 0, now: () => onward };
  }
  // A key is used for one enrolment only.
  await files.remove(next.certificate);
  await files.remove(next.key);
  const atMs = renewalAtMs(current.certificate, context.random());
  return {
    atMs,
    now() {
      const nowMs = clock.nowMs();
      if (nowMs >= current.certificate.notAfterMs) {
        return { state: 'RECOVER', note: { because: 'the certificate expired' } };
      }
      return nowMs >= atMs ? { state: 'RENEW' } : undefined;
    },
  };
}

export function createRenewalActions(context: ServiceContext): Readonly<Record<'RENEW' | 'RECOVER', Action>> {
  const { files, owners, enrolment, ldevid, next, clock } = context;
  const { look, distrustedFor } = createOwnerTrust(context);

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

  /** A certificate is no desired state: without a committed one the box waits for its first, and its trial, as before. */
  async function onward(note: Readonly<Record<string, string>> = {}): Promise<Next> {
    const committed = (await files.list(context.paths.agent)).includes('committed.jws');
    return { state: committed ? 'OPERATIONAL' : 'STRICT', note };
  }

  /** A refusal may be one of this request, or of this box. `again`: the state anew, by a time that was not known before. */
  async function renewOrLearn(
    signal: AbortSignal,
    renewal: () => Promise<Next>,
    again: Action,
    /** Of the certificate that is to be renewed. */
    endsAtMs: number | undefined,
  ): Promise<Next> {
    try {
      return await renewal();
    } catch (thrown) {
      const refusal = thrown instanceof BranchboxError && thrown.code === 'bootstrap/refused';
      const before = clock.basis();
      const distrusted = refusal ? await look(signal) : await distrustedFor(thrown);
      if (distrusted !== undefined) return distrusted;
      // Last: bootstrap servers may take their time, and a box that is not trusted any more is to know it first. The look
      // may have learned the time already.
      const learned =
        (before !== 'witness' && clock.basis() === 'witness') ||
        (await context.timeWitness.seekAfter(thrown, signal));
      // Another way may be due then, and at once: not after an hour of back-off.
      if (learned) return again(signal);
      throw thrown instanceof BranchboxError ? within(thrown, endsAtMs) : thrown;
    }
  }

  /** "Come back later" and back-off count while there is a certificate to wait with: ten more tries fit in what is left of it. */
  function within(failure: BranchboxError, endsAtMs: number | undefined): BranchboxError {
    const leftMs = endsAtMs === undefined ? 0 : endsAtMs - clock.nowMs();
    // Ended, where the next one is there and is only not proved yet: there is nothing to be quick for.
    if (leftMs <= 0) return failure;
    const asked = askedAfterMs(failure);
    const mostMs = Math.max(RETRY_AFTER_MS.min, leftMs / 10);
    if (asked === undefined) return retriedWithin(failure, mostMs);
    return asked > mostMs ? retriedAfter(failure, Math.round(mostMs)) : failure;
  }

  async function renew(
    operation: 'simpleenroll' | 'simplereenroll',
    current: LocalIdentity | undefined,
    signal: AbortSignal,
  ): Promise<Next> {
    const owner = await owners.read();
    if (owner === undefined) return WITHOUT_OWNER;
    // To the domain already owned, so with no new voucher; an expired certificate is no credential any more.
    const credential = operation === 'simplereenroll' && current ? current.tls : context.factory.tls;
    // A server that was revoked meanwhile is to certify nothing. Where the list is not had the last one counts.
    await context.revocations.refresh(owner, async () => credential, signal);
    const ready = await enrolment.read(owner, next);
    const fresh =
      ready !== undefined && enrolment.canHaveBegun(ready)
        ? ready
        : await enrol(context, { owner, paths: next, operation, identity: credential }, signal);
    // Proved before the old one is given up; by the record as it is now, which may have got the next CA.
    await proveAnew(context, (await owners.read()) ?? owner, fresh, signal);
    await moveOver();
    return onward({ certificate: fresh.certificate.fingerprintSha256 });
  }

  const actions: Readonly<Record<'RENEW' | 'RECOVER', Action>> = {
    async RENEW(signal) {
      const owner = await owners.read();
      if (owner === undefined) return WITHOUT_OWNER;
      const current = await enrolment.read(owner, ldevid);
      const nowMs = clock.nowMs();
      const ready = await enrolment.read(owner, next);
      if (ready === undefined) {
        if (current === undefined) return { state: 'RECOVER', note: { because: 'no certificate on disk' } };
        if (current.certificate.notAfterMs <= nowMs) {
          return { state: 'RECOVER', note: { because: 'the certificate expired while renewing' } };
        }
        // Killed after the move: the fresh one is in place.
        if (nowMs < renewalAtMs(current.certificate, 0)) return onward();
      }
      return renewOrLearn(
        signal,
        () => renew('simplereenroll', current, signal),
        actions.RENEW,
        current?.certificate.notAfterMs,
      );
    },
    async RECOVER(signal) {
      const owner = await owners.read();
      const current = owner === undefined ? undefined : await enrolment.read(owner, ldevid);
      // The clock was wrong, and is right again: what seemed to have ended has not.
      if (current !== undefined && clock.nowMs() < current.certificate.notAfterMs) {
        return onward({ because: 'the certificate is valid after all' });
      }
      return renewOrLearn(signal, () => renew('simpleenroll', undefined, signal), actions.RECOVER, undefined);
    },
  };
  return actions;
}
