/**
 * Owns learning whether the owner still trusts this box, and what follows where it does not. Does not own the question
 * (standing.ts), when it is asked (standingLooks.ts) and the mark on disk (quarantineMark.ts), nor the states (service.ts,
 * renew.ts).
 */
import type { Owner } from '../model/bootstrap.ts';
import { BranchboxError } from '../model/errors.ts';
import { dropAnchors } from './anchorDrop.ts';
import type { ServiceContext } from './context.ts';
import type { TlsIdentity } from './https.ts';
import type { Next } from './machine.ts';
import { renderProblem } from './renderStatus.ts';
import { proveStrictly } from './ownerProof.ts';

export interface OwnerTrust {
  /** Our certificate while it is valid; else the factory identity, which the owner knows us by as well. */
  credentialNow(owner: Owner): Promise<{ readonly tls: TlsIdentity; readonly enrolled: boolean }>;
  /** Where this was thrown because the owner does not trust the box: marked on disk, and the state that follows. */
  distrustedFor(thrown: unknown): Promise<Next | undefined>;
  /** Where this was thrown because the CA of our certificate was dropped: it is gone, and the state that follows. */
  supersededFor(thrown: unknown): Promise<Next | undefined>;
  /** Asks the owner how we stand, and drops the anchors that it dropped. No answer changes nothing: who cuts a cable must not stop traffic by it. */
  look(signal: AbortSignal): Promise<Next | undefined>;
  lookIfDue(signal: AbortSignal): Promise<Next | undefined>;
  /** Refreshes what the owner revoked, where that is due. */
  listIfDue(signal: AbortSignal): Promise<void>;
}

export function createOwnerTrust(context: ServiceContext): OwnerTrust {
  const { files, owners, enrolment, ldevid, clock, log, notices, quarantine, looks } = context;

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

  /**
   * A certificate that no server accepts is removed: as with one that was lost, the factory identity gets the next one. The
   * anchors stay until the box has that (anchorDrop.ts).
   */
  async function supersededFor(thrown: unknown): Promise<Next | undefined> {
    if (!(thrown instanceof BranchboxError) || thrown.code !== 'bootstrap/superseded') return undefined;
    await files.remove(ldevid.certificate);
    return { state: 'RECOVER', note: { because: thrown.message.slice(0, 500) } };
  }

  async function look(signal: AbortSignal): Promise<Next | undefined> {
    const owner = await owners.read();
    if (owner === undefined) return undefined;
    looks.looked();
    try {
      const { tls, enrolled } = await credentialNow(owner);
      await proveStrictly(context, owner, tls, signal);
      if (enrolled && (await owners.isFinal())) await dropAnchors(context, owner, tls, signal);
    } catch (thrown) {
      if (!(thrown instanceof BranchboxError)) throw thrown;
      const onward = (await distrustedFor(thrown)) ?? (await supersededFor(thrown));
      if (onward !== undefined) return onward;
      if (thrown.code === 'bootstrap/key-lost' && (await enrolment.read(owner, ldevid)) === undefined) {
        return { state: 'RECOVER', note: { because: thrown.message.slice(0, 500) } };
      }
      notices.set('trust', [
        `whether the owner still trusts this box was asked, and not answered by the owner: ${renderProblem(thrown)}; the box stays as it is and asks again`,
      ]);
      // The time is known better now and the answer may be another: asked again soon, not in a day.
      if (await context.timeWitness.seekAfter(thrown, signal)) looks.hint();
      log.info('the owner did not say how this box stands', { code: thrown.code, problem: thrown.message });
    }
    return undefined;
  }
  const lookIfDue = async (signal: AbortSignal): Promise<Next | undefined> =>
    looks.dueInMs() === 0 ? look(signal) : undefined;
  async function listIfDue(signal: AbortSignal): Promise<void> {
    const { revocations } = context;
    const owner = await owners.read();
    if (owner === undefined || revocations.dueInMs(owner) > 0) return;
    await revocations.refresh(owner, async () => (await credentialNow(owner)).tls, signal);
  }
  return { credentialNow, distrustedFor, supersededFor, look, lookIfDue, listIfDue };
}
