/**
 * Owns enrolling at the owner's server, from request to certificate on disk. Does not own the protocol (est.ts), key, request
 * and check (enrol.ts), over which uplink it is asked (overUplinks.ts), nor in which state (states.ts, renew.ts, migrate.ts).
 */
import type { Owner } from '../model/bootstrap.ts';
import { BranchboxError } from '../model/errors.ts';
import type { Secret } from '../model/secret.ts';
import { type Certificate, parseCertificates } from '../pki/certificate.ts';
import type { RequestDemands } from '../pki/request.ts';
import { learnAnchors } from './anchorLearn.ts';
import type { StateContext } from './context.ts';
import type { EnrolmentAnswer, LocalIdentity } from './enrol.ts';
import type { TlsIdentity } from './https.ts';
import { overUplinks } from './overUplinks.ts';
import { estOf, ownerPeer } from './ownerServers.ts';
import type { CredentialPaths } from './paths.ts';

export interface EnrolmentWish {
  readonly owner: Owner;
  /** Where key and certificate are kept. */
  readonly paths: CredentialPaths;
  readonly operation: 'simpleenroll' | 'simplereenroll';
  /** As whom it is asked; with `simplereenroll` by the certificate that is to be renewed. */
  readonly identity: TlsIdentity;
  /** The installer's, where one was typed. */
  readonly code?: Secret | undefined;
}

/** With the installer's code, where one was typed; what the server says of it is kept for who looks. */
export async function enrolWithCode(
  context: StateContext,
  owner: Owner,
  signal: AbortSignal,
): Promise<LocalIdentity> {
  const { activation, factory, ldevid } = context;
  try {
    const code = activation.credentials();
    return await enrol(
      context,
      { owner, paths: ldevid, operation: 'simpleenroll', identity: factory.tls, code },
      signal,
    );
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
  wish: EnrolmentWish,
  signal: AbortSignal,
): Promise<LocalIdentity> {
  const answer = await askForCertificate(context, wish, signal);
  const owner = await learnAnchors(context, wish.owner, answer.others);
  return context.enrolment.accept(owner, wish.paths, answer);
}

/** The same under an owner who is not the box's yet: nothing is learned, and the record of the present one stays. */
export async function enrolElsewhere(
  context: StateContext,
  owner: Owner,
  paths: CredentialPaths,
  signal: AbortSignal,
): Promise<LocalIdentity> {
  const { enrolment, factory } = context;
  const wish = { owner, paths, operation: 'simpleenroll', identity: factory.tls } as const;
  const answer = await askForCertificate(context, wish, signal);
  return enrolment.accept(owner, paths, answer);
}

async function askForCertificate(
  context: StateContext,
  { owner, paths, operation, identity, code }: EnrolmentWish,
  signal: AbortSignal,
): Promise<EnrolmentAnswer> {
  const { enrolment, uplinks } = context;
  let serverEndsAtMs = Number.NEGATIVE_INFINITY;
  const onProved = ([server]: readonly Certificate[]): void => {
    serverEndsAtMs = server?.notAfterMs ?? serverEndsAtMs;
  };
  const peer = ownerPeer(owner, context, { onProved });
  const est = estOf(context, owner, peer);
  const [renewed] = operation === 'simplereenroll' ? parseCertificates(identity.certificatePem) : [];
  const request = await enrolment.request(owner, paths, renewed);
  return overUplinks(await uplinks.all(), async (uplink) => {
    const others = await est.cacerts(uplink, identity, signal);
    const requestMeeting = (demands: RequestDemands): Promise<Uint8Array> =>
      enrolment.request(owner, paths, renewed, demands);
    const issued = await est.enrol({
      operation,
      request,
      requestMeeting,
      uplink,
      identity,
      code,
      signal,
    });
    return { others, issued, serverEndsAtMs };
  });
}
