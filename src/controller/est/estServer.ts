/**
 * Owns the EST server (RFC 7030, clarified by RFC 8951): its operations, media types, base64 and status codes.
 * Does not own who may enrol (admission.ts) nor certifying (the signer).
 */
import { BranchboxError } from '../../model/errors.ts';
import type { Certificate } from '../../pki/certificate.ts';
import { certsOnly } from '../../pki/cms.ts';
import { parseRequest } from '../../pki/request.ts';
import type { Clock, Logger } from '../../system/ports.ts';
import { type ActivationCredentials, readBasic } from '../activation.ts';
import type { Admission, Admissions } from '../admission.ts';
import { type AskLimit, createAskLimit } from '../askLimit.ts';
import { type Answer, type Handler, readBody, requestLine } from '../exchange.ts';
import { type Peer, peerOf, type PeerAnchors } from '../peer.ts';
import type { SignerClient } from '../signer/client.ts';
import type { Store } from '../store/store.ts';
import { createWorkGate } from '../workGate.ts';

/**
 * Certificates for one serial: a box that is killed again and again before it keeps one is never refused, and one that
 * enrols without end adds 288 lines a day to the records.
 */
const ENROLMENTS = { burst: 30, refillMs: 5 * 60_000 } as const;
/** Each is a chain, a signature and three writes that wait for the disk. */
const WORK = { together: 8, waiting: 64 } as const;
/** A request with a large RSA key and attributes is 3 KB; twice that in base64. */
const MAX_BODY_BYTES = 24 * 1024;
const OFFERED_HOLDS_MS = 60_000;
const RETRY_AFTER_PENDING_S = 15;
const RETRY_AFTER_AWAY_S = 5;
/**
 * RFC 9110 11.6.1: with any status it says that credentials would help. On a 202 it tells a box that a code is wanted,
 * and a client that knows nothing of codes waits as ever.
 */
const CODE_CHALLENGE = { 'WWW-Authenticate': 'Basic realm="activation code", charset="UTF-8"' } as const;
const OPERATIONS = {
  cacerts: 'GET',
  csrattrs: 'GET',
  simpleenroll: 'POST',
  simplereenroll: 'POST',
} as const;
type Operation = keyof typeof OPERATIONS;

/**
 * RFC 7030 4.5.2, CsrAttrs: an EC key on P-256 (id-ecPublicKey with prime256v1) and ecdsa-with-SHA256.
 * SEQUENCE { SEQUENCE { OID 1.2.840.10045.2.1, SET { OID 1.2.840.10045.3.1.7 } }, OID 1.2.840.10045.4.3.2 }
 */
const CSR_ATTRIBUTES = Buffer.from(
  '3021301506072a8648ce3d0201310a06082a8648ce3d03010706082a8648ce3d040302',
  'hex',
);

export interface EstServerOptions {
  readonly store: Store;
  readonly admissions: Admissions;
  readonly signer: SignerClient;
  readonly anchors: PeerAnchors;
  /** A box has a certificate that it did not have. */
  readonly onEnrolled: () => void;
  readonly clock: Clock;
  readonly log: Logger;
}

export function createEstHandler(options: EstServerOptions): Handler {
  const enrolments = createAskLimit({ clock: options.clock, ...ENROLMENTS });
  const gate = createWorkGate({ clock: options.clock, ...WORK });
  const cacerts = createCacerts(options);
  return async (request, socket) => {
    const { method, path, mediaType } = requestLine(request);
    const operation = operationOf(path);
    if (operation === undefined) return plain(404, 'there is no such operation here');
    const wanted = OPERATIONS[operation];
    if (method !== wanted) return plain(405, `${operation} is asked by ${wanted}`, { Allow: wanted });
    // RFC 7030 4.1.1 and 4.5: these two are for everybody.
    if (operation === 'cacerts') return pkcs7(await cacerts());
    if (operation === 'csrattrs') {
      return { status: 200, mediaType: 'application/csrattrs', ...base64(CSR_ATTRIBUTES) };
    }
    if (mediaType !== 'application/pkcs10') return plain(415, 'a request is application/pkcs10');
    // First: its connection must not hold a place in the gate while it sends.
    const body = await readBody(request, MAX_BODY_BYTES);
    const code = readBasic(request.headers.authorization);
    const result = await gate.run(async () => {
      const peer = await peerOf(socket, options.anchors, options.clock.nowMs());
      const who = await authorise(options, operation, peer, code !== undefined);
      if ('status' in who) return who;
      const csr = readRequest(body);
      if ('status' in csr) return csr;
      return enrol(options, enrolments, operation, peer, who, csr.der, code);
    });
    if ('done' in result) return result.done;
    return plain(503, 'many boxes ask at once', { 'Retry-After': String(result.retryAfterS) });
  };
}

/** What went wrong below. */
export function estFailed(thrown: unknown): Answer {
  if (thrown instanceof BranchboxError && thrown.code === 'controller/unreachable') {
    return plain(503, 'the certification authority is away', { 'Retry-After': String(RETRY_AFTER_AWAY_S) });
  }
  return plain(500, 'the request failed here');
}

/**
 * RFC 7030 4.1.3: the CA, and in a rollover the next one with the links between them. The signer is asked at most once a
 * minute, since anybody may ask here; while it is away, what it said last holds.
 */
function createCacerts({
  signer,
  anchors,
  clock,
}: Pick<EstServerOptions, 'signer' | 'anchors' | 'clock'>): () => Promise<readonly Certificate[]> {
  let offered: readonly Certificate[] = [];
  let askAtMs = Number.NEGATIVE_INFINITY;
  return async () => {
    const nowMs = clock.monotonicMs();
    if (nowMs >= askAtMs) {
      askAtMs = nowMs + OFFERED_HOLDS_MS;
      offered = await signer.anchors().then(
        (told) => told.offered,
        () => offered,
      );
    }
    return [anchors.domain, ...offered];
  };
}

interface Enrollee {
  /** undefined where that depends on the code. */
  readonly gatewayId: string | undefined;
  readonly serial: string;
}

async function authorise(
  options: EstServerOptions,
  operation: Operation,
  peer: Peer,
  withCode: boolean,
): Promise<Enrollee | Answer> {
  if (peer.kind === 'none' || peer.kind === 'untrusted') {
    return plain(401, 'a client certificate of a known manufacturer or of this domain is needed', {
      // RFC 9110 15.5.2 demands a challenge; there is no scheme for certificates, and no password does without one.
      'WWW-Authenticate': 'Certificate realm="branchbox"',
    });
  }
  if (operation === 'simplereenroll') {
    if (peer.kind !== 'ldevid') return plain(403, 'renewal needs the certificate that is renewed');
    const admission = await options.admissions.recognise(peer.gatewayId, peer.certificate);
    if (admission.kind !== 'admitted' || admission.serial === undefined) return refused(admission);
    return { gatewayId: peer.gatewayId, serial: admission.serial };
  }
  if (peer.kind !== 'idevid') return plain(403, 'enrolment needs the factory identity (IDevID)');
  const admission = await options.admissions.consider(peer.serial, peer.certificate);
  // Judged with a good request in hand alone: a malformed one must not use the code up.
  if (admission.kind === 'pending' && admission.byCode === true && withCode) {
    return { gatewayId: undefined, serial: peer.serial };
  }
  if (admission.kind !== 'admitted') return refused(admission);
  return { gatewayId: admission.gateway.id, serial: peer.serial };
}

async function enrol(
  options: EstServerOptions,
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
    action: operation === 'simpleenroll' ? 'enrolled' : 'renewed',
    subject: gatewayId,
    detail: certificate.fingerprintSha256,
  });
  options.onEnrolled();
  log.info('issued a certificate', { gatewayId, serial, operation });
  // RFC 7030 4.2.3: the certificate alone; the anchor is had by cacerts.
  return pkcs7([certificate]);
}

function refused(admission: Admission): Answer {
  if (admission.kind === 'pending') {
    return plain(202, admission.why, {
      'Retry-After': String(RETRY_AFTER_PENDING_S),
      ...(admission.byCode === true ? CODE_CHALLENGE : {}),
    });
  }
  if (admission.kind === 'wrong-code') {
    return plain(401, admission.why, { 'Retry-After': String(RETRY_AFTER_PENDING_S), ...CODE_CHALLENGE });
  }
  return plain(403, admission.kind === 'refused' ? admission.why : 'this box is not known here');
}

/** `/.well-known/est/<operation>` or `/.well-known/est/<label>/<operation>`; there is one CA, whatever the label. */
function operationOf(path: string): Operation | undefined {
  const match = /^\/\.well-known\/est(?:\/[A-Za-z0-9._~-]{1,64})?\/([a-z]+)$/.exec(path);
  const name = match?.[1];
  return name !== undefined && isOperation(name) ? name : undefined;
}

function isOperation(name: string): name is Operation {
  return Object.hasOwn(OPERATIONS, name);
}

function readRequest(body: Buffer | undefined): { der: Uint8Array } | Answer {
  if (body === undefined) return plain(413, `a request has at most ${MAX_BODY_BYTES} bytes`);
  return certificateRequestOf(body);
}

/** RFC 8951 3.1: white space anywhere in the base64 is passed over, and Content-Transfer-Encoding is ignored. Pure. */
export function certificateRequestOf(body: Buffer): { der: Uint8Array } | Answer {
  const text = body.toString('latin1').replace(/[\t\n\r ]+/g, '');
  if (text.length === 0 || text.length % 4 !== 0 || !/^[A-Za-z0-9+/]+={0,2}$/.test(text)) {
    return plain(400, 'the body is not base64 of a certificate request');
  }
  const der = Uint8Array.from(Buffer.from(text, 'base64'));
  try {
    parseRequest(der);
  } catch (thrown) {
    return plain(400, thrown instanceof BranchboxError ? thrown.message : 'the request cannot be decoded');
  }
  return { der };
}

function pkcs7(certificates: readonly Certificate[]): Answer {
  return {
    status: 200,
    mediaType: 'application/pkcs7-mime; smime-type=certs-only',
    ...base64(certsOnly(certificates)),
  };
}

/** On one line without an end of line: strongSwan's client refuses any LF. */
function base64(der: Uint8Array): Pick<Answer, 'body' | 'headers'> {
  return {
    body: Buffer.from(der).toString('base64'),
    // RFC 8951 has it ignored; clients of RFC 7030's time look for it.
    headers: { 'Content-Transfer-Encoding': 'base64' },
  };
}

function plain(status: number, text: string, headers: Readonly<Record<string, string>> = {}): Answer {
  return { status, mediaType: 'text/plain; charset=utf-8', body: `${text}\n`, headers };
}
