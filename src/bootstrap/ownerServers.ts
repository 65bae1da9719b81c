/**
 * Owns by whom the owner's servers are judged, and the client of its enrolment server that judges so. Does not own what is
 * asked there (ownerEnrolment.ts, ownerProof.ts, anchorDrop.ts), the protocol (est.ts) nor what was revoked
 * (ownerRevocations.ts).
 */
import type { Owner } from '../model/bootstrap.ts';
import { parseCertificates } from '../pki/certificate.ts';
import type { StateContext } from './context.ts';
import { createEstClient, type EstClient } from './est.ts';
import type { PeerJudge } from './https.ts';
import { strictPeer, type StrictPeer } from './peer.ts';

/** Judged by the domain CA that the voucher pinned, those it vouched for since, and what they revoked; by nothing else. */
export function ownerPeer(
  owner: Owner,
  context: Pick<StateContext, 'clock' | 'revocations'>,
  more: Pick<StrictPeer, 'onProved'> = {},
): PeerJudge {
  const { clock, revocations } = context;
  const anchors = parseCertificates(owner.domainAnchorPem);
  return strictPeer({ anchors, nowMs: () => clock.nowMs(), lists: () => revocations.lists(), ...more });
}

/** `peer`: that judgement, in the hands of one who wants to know who proved itself as well. */
export function estOf(
  context: StateContext,
  owner: Owner,
  peer: PeerJudge = ownerPeer(owner, context),
): EstClient {
  return createEstClient({ https: context.https, est: owner.est, peer });
}
