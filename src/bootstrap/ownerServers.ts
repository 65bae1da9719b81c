/**
 * Owns what a box does with its owner's servers: by whom they are judged, enrolling from request to certificate, the owner's
 * next CA, proving itself. Does not own the protocols (est.ts, standing.ts), which uplink is asked over (overUplinks.ts), what was
 * revoked (ownerRevocations.ts), nor in which state any of it is done.
 */
import type { Owner } from '../model/bootstrap.ts';
import { BranchboxError } from '../model/errors.ts';
import type { Secret } from '../model/secret.ts';
import { type Certificate, parseCertificates, toPem } from '../pki/certificate.ts';
import type { StateContext } from './context.ts';
import type { EnrolmentAnswer, LocalIdentity } from './enrol.ts';
import { createEstClient, type EstClient } from './est.ts';
import type { PeerJudge, TlsIdentity } from './https.ts';
import { overUplinks } from './overUplinks.ts';
import type { CredentialPaths } from './paths.ts';
import { strictPeer } from './peer.ts';
import { anchorsAfter } from './rollover.ts';
import { askStanding } from './standing.ts';

/** Judged by the domain CA that the voucher pinned, those it vouched for since, and what they revoked; by nothing else. */
export function ownerPeer(owner: Owner, context: Pick<StateContext, 'clock' | 'revocations'>): PeerJudge {
  const { clock, revocations } = context;
  const anchors = parseCertificates(owner.domainAnchorPem);
  return strictPeer({ anchors, nowMs: () => clock.nowMs(), lists: () => revocations.lists() });
}

export function estOf(context: StateContext, owner: Owner): EstClient {
  return createEstClient({ https: context.https, est: owner.est, peer: ownerPeer(owner, context) });
}

/** With the installer's code, where one was typed; what the server says of it is kept for who looks. */
export async function enrolWithCode(
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
  } finally {
    activation.back();
  }
}

/** Key, request, answer, check, on disk; the owner's next CA is learned on the way. */
export async function enrol(
  context: StateContext,
  owner: Owner,
  paths: CredentialPaths,
  operation: 'simpleenroll' | 'simplereenroll',
  identity: TlsIdentity,
  signal: AbortSignal,
  code?: Secret,
): Promise<LocalIdentity> {
  const answer = await askForCertificate(context, owner, paths, operation, identity, signal, code);
  return context.enrolment.accept(await learnAnchors(context, owner, answer.others), paths, answer);
}

/** The same under an owner who is not the box's yet: nothing is learned, and the record of the present one stays. */
export async function enrolElsewhere(
  context: StateContext,
  owner: Owner,
  paths: CredentialPaths,
  signal: AbortSignal,
): Promise<LocalIdentity> {
  const { enrolment, factory } = context;
  const answer = await askForCertificate(context, owner, paths, 'simpleenroll', factory.tls, signal);
  return enrolment.accept(owner, paths, answer);
}

async function askForCertificate(
  context: StateContext,
  owner: Owner,
  paths: CredentialPaths,
  operation: 'simpleenroll' | 'simplereenroll',
  identity: TlsIdentity,
  signal: AbortSignal,
  code?: Secret,
): Promise<EnrolmentAnswer> {
  const { enrolment, uplinks, https } = context;
  const judge = ownerPeer(owner, context);
  let serverEndsAtMs = Number.NEGATIVE_INFINITY;
  const peer: PeerJudge = {
    ...judge,
    async judge(socket, server) {
      await judge.judge(socket, server);
      serverEndsAtMs = socket.getPeerX509Certificate()?.validToDate.getTime() ?? serverEndsAtMs;
    },
  };
  const est = createEstClient({ https, est: owner.est, peer });
  const [renewed] = operation === 'simplereenroll' ? parseCertificates(identity.certificatePem) : [];
  const request = await enrolment.request(owner, paths, renewed);
  return overUplinks(await uplinks.all(), async (uplink) => {
    const others = await est.cacerts(uplink, identity, signal);
    const requestNaming = (challengePassword: string): Promise<Uint8Array> =>
      enrolment.request(owner, paths, renewed, challengePassword);
    const issued = await est.enrol({
      operation,
      request,
      requestNaming,
      uplink,
      identity,
      code,
      signal,
    });
    return { others, issued, serverEndsAtMs };
  });
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
 * owner says that it does not trust this box, bootstrap/superseded where it does, and not the CA of its certificate.
 */
export async function proveStrictly(
  context: StateContext,
  owner: Owner,
  identity: TlsIdentity,
  signal: AbortSignal,
): Promise<void> {
  const { https } = context;
  const peer = ownerPeer(owner, context);
  await overUplinks(await context.uplinks.all(), (uplink) =>
    askStanding({ https, owner, peer, uplink, identity, signal }),
  );
  context.notices.set('trust', []);
}

/**
 * The same under a certificate that is new. Now that a server that checks dates took it, its beginning has passed: a lower
 * bound of the time that outlives this start of the box. Durable.
 */
export async function proveAnew(
  context: StateContext,
  owner: Owner,
  { tls, certificate }: LocalIdentity,
  signal: AbortSignal,
): Promise<void> {
  await proveStrictly(context, owner, tls, signal);
  await context.clock.raise(certificate.notBeforeMs);
}
