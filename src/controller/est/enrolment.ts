/**
 * Owns enrolling and renewing over EST: whether a peer may, what an installer's code does for it, and the certificate.
 * Does not own who belongs to the fleet (admission.ts), certifying (the signer) nor the forms of EST (estServer.ts).
 */
import type { Clock, Logger } from '../../system/ports.ts';
import type { ActivationCredentials } from '../activation.ts';
import type { Admissions } from '../admission.ts';
import { type AskLimit, createAskLimit } from '../askLimit.ts';
import type { Answer } from '../exchange.ts';
import type { Peer } from '../peer.ts';
import type { SignerClient } from '../signer/client.ts';
import type { Store } from '../store/store.ts';
import { pkcs7, plain, refused } from './answers.ts';

/**
 * Certificates for one serial: a box that is killed again and again before it keeps one is never refused, and one that
 * enrols without end adds 288 lines a day to the records.
 */
const ENROLMENTS = { burst: 30, refillMs: 5 * 60_000 } as const;

export interface EnrolmentOptions {
  readonly store: Pick<Store, 'records'>;
  readonly admissions: Pick<Admissions, 'consider' | 'admit' | 'recognise'>;
  readonly signer: Pick<SignerClient, 'ldevid'>;
  /** A box has a certificate that it did not have. */
  readonly onEnrolled: () => void;
  readonly clock: Clock;
  readonly log: Logger;
}

type Operation = 'simpleenroll' | 'simplereenroll';

export interface Enrolment {
  /** Before the request is looked at: whose certificate it would be, or the refusal. */
  authorise(operation: Operation, peer: Peer, withCode: boolean): Promise<Enrollee | Answer>;
  /** `csr`: DER, decodable. */
  enrol(
    operation: Operation,
    peer: Peer,
    who: Enrollee,
    csr: Uint8Array,
    code: ActivationCredentials | undefined,
  ): Promise<Answer>;
}

export function createEnrolment(options: EnrolmentOptions): Enrolment {
  const enrolments = createAskLimit({ clock: options.clock, ...ENROLMENTS });
  return {
    authorise: (...words) => authorise(options, ...words),
    enrol: (...words) => enrol(options, enrolments, ...words),
  };
}

interface Enrollee {
  /** undefined where that depends on the code. */
  readonly gatewayId: string | undefined;
  readonly serial: string;
}

async function authorise(
  options: EnrolmentOptions,
  operation: Operation,
  peer: Peer,
  withCode: boolean,
): Promise<Enrollee | Answer> {
  if (peer.kind === 'unusable') return plain(403, peer.why);
  if (peer.kind === 'none' || peer.kind === 'untrusted') {
    // No 401: RFC 9110 15.5.2 demands a challenge with it, and no password does without a certificate.
    const what =
      peer.kind === 'none' ? 'no client certificate came' : 'the client certificate is not trusted here';
    return plain(403, `${what}; one of a known manufacturer or of this domain is needed`);
  }
  if (peer.kind === 'ldevid') {
    if (operation === 'simpleenroll') return plain(403, 'enrolment needs the factory identity (IDevID)');
    const admission = await options.admissions.recognise(peer.gatewayId, peer.certificate);
    if (admission.kind !== 'admitted' || admission.serial === undefined) return refused(admission);
    return { gatewayId: peer.gatewayId, serial: admission.serial };
  }
  // By simplereenroll, too: clients that hold any certificate may know no other way (strongSwan's pki), and what a factory
  // identity gets is judged as anew either way.
  const admission = await options.admissions.consider(peer.serial, peer.certificate);
  // The code is judged only with a good request in hand: a malformed one must not use it up.
  if (admission.kind === 'pending' && admission.byCode === true && withCode) {
    return { gatewayId: undefined, serial: peer.serial };
  }
  if (admission.kind !== 'admitted') return refused(admission);
  return { gatewayId: admission.gateway.id, serial: peer.serial };
}

async function enrol(
  options: EnrolmentOptions,
  enrolments: AskLimit,
  operation: Operation,
  peer: Peer,
  { gatewayId: known, serial }: Enrollee,
  csr: Uint8Array,
  code: ActivationCredentials | undefined,
): Promise<Answer> {
  const { store, signer, clock, log } = options;
  let gatewayId = known;
  if (peer.kind === 'idevid') {
    // Only now, with a good request in hand: a malformed one must not bind a serial.
    const admission = await options.admissions.admit(serial, peer.certificate, code);
    if (admission.kind !== 'admitted') return refused(admission);
    gatewayId = admission.gateway.id;
  }
  if (gatewayId === undefined) return refused({ kind: 'unknown' });
  // Only now: somebody with another key under this serial must not use up what the box may have.
  const waitMs = enrolments.take(serial);
  if (waitMs !== undefined) {
    const retryAfter = { 'Retry-After': String(Math.ceil(waitMs / 1000)) };
    return plain(429, `serial ${serial} asks for certificates too often`, retryAfter);
  }
  const { certificate } = await signer.ldevid({ csr, gatewayId });
  const atMs = clock.nowMs();
  const enrolled = await store.records.enrol(
    {
      fingerprintSha256: certificate.fingerprintSha256,
      number: certificate.number,
      kind: 'ldevid',
      subject: gatewayId,
      serial,
      notAfterMs: certificate.notAfterMs,
      pem: certificate.pem,
    },
    atMs,
  );
  // Nobody ever gets this certificate.
  if (!enrolled) return refused({ kind: 'refused', why: 'this box was revoked' });
  await store.records.audit({
    atMs,
    actor: `serial:${serial}`,
    action: peer.kind === 'idevid' ? 'enrolled' : 'renewed',
    subject: gatewayId,
    detail: certificate.fingerprintSha256,
  });
  options.onEnrolled();
  log.info('issued a certificate', { gatewayId, serial, operation });
  // RFC 7030 4.2.3: the certificate alone; the anchor is had by cacerts.
  return pkcs7([certificate]);
}
