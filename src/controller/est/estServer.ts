/**
 * Owns the EST server (RFC 7030, clarified by RFC 8951): its operations, what a request has to be, how many at once.
 * Does not own enrolling (enrolment.ts) nor the forms of requests (certificateRequest.ts) and answers (answers.ts).
 */
import { type Certificate, sameCertificate } from '../../pki/certificate.ts';
import { readBasic } from '../activation.ts';
import { type Handler, requestLine } from '../exchange.ts';
import { createPeerOf, type PeerAnchors } from '../peer.ts';
import { readBody } from '../requestBody.ts';
import type { SignerClient } from '../signer/client.ts';
import { createWorkGate } from '../workGate.ts';
import { base64, pkcs7, plain } from './answers.ts';
import { certificateRequestOf, otherSession } from './certificateRequest.ts';
import { createEnrolment, type EnrolmentOptions } from './enrolment.ts';

/** Each is a chain, a signature and three writes that wait for the disk. */
const WORK = { together: 8, waiting: 64 } as const;
/** A request with a large RSA key and attributes is 3 KB; twice that in base64. */
const MAX_BODY_BYTES = 24 * 1024;
/** RFC 7030 4.2.1. */
const CSR_MEDIA_TYPE = 'application/pkcs10';
const OFFERED_HOLDS_MS = 60_000;
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

export interface EstServerOptions extends EnrolmentOptions {
  readonly signer: Pick<SignerClient, 'ldevid' | 'anchors'>;
  readonly anchors: PeerAnchors;
  /** As the signer said at the start. */
  readonly offered: readonly Certificate[];
}

export function createEstHandler(options: EstServerOptions): Handler {
  const enrolment = createEnrolment(options);
  const gate = createWorkGate({ clock: options.clock, ...WORK });
  const peerOf = createPeerOf();
  const cacerts = createCacerts(options);
  return async (request, socket) => {
    const { method, path, mediaType } = requestLine(request);
    const operation = operationOf(path);
    if (operation === undefined) return plain(404, 'there is no such operation here');
    const wanted = OPERATIONS[operation];
    const allowed = { Allow: wanted === 'GET' ? 'GET, HEAD, OPTIONS' : 'POST, OPTIONS' };
    if (method === 'OPTIONS') return { status: 204, headers: allowed };
    if (method !== wanted && !(method === 'HEAD' && wanted === 'GET')) {
      return plain(405, `${operation} is asked by ${wanted}`, allowed);
    }
    // RFC 7030 4.1.1 and 4.5: these two are for everybody.
    if (operation === 'cacerts') return pkcs7(await cacerts());
    if (operation === 'csrattrs') {
      return { status: 200, mediaType: 'application/csrattrs', ...base64(CSR_ATTRIBUTES) };
    }
    if (mediaType !== CSR_MEDIA_TYPE)
      return plain(415, `a request is ${CSR_MEDIA_TYPE}`, { Accept: CSR_MEDIA_TYPE });
    // First: its connection must not hold a place in the gate while it sends.
    const body = await readBody(request, MAX_BODY_BYTES);
    if (body === undefined) return plain(413, `a request has at most ${MAX_BODY_BYTES} bytes`);
    const code = readBasic(request.headers.authorization);
    const result = await gate.run(async () => {
      const peer = await peerOf(socket, options.anchors, options.clock.nowMs());
      const who = await enrolment.authorise(operation, peer, code !== undefined);
      if ('status' in who) return who;
      const csr = certificateRequestOf(body);
      if ('status' in csr) return csr;
      const elsewhere = otherSession(csr, socket);
      if (elsewhere !== undefined) return elsewhere;
      return enrolment.enrol(operation, peer, who, csr.der, code);
    });
    if ('done' in result) return result.done;
    return plain(503, 'many boxes ask at once', { 'Retry-After': String(result.retryAfterS) });
  };
}

/**
 * RFC 7030 4.1.3: the CA, and in a rollover the next one with the links between them. The signer is asked at most once a
 * minute, since anybody may ask here; while it is away, what it said last holds.
 */
function createCacerts({
  signer,
  anchors,
  clock,
  ...first
}: Pick<EstServerOptions, 'signer' | 'anchors' | 'clock' | 'offered'>): () => Promise<
  readonly Certificate[]
> {
  let { offered } = first;
  let askAtMs = Number.NEGATIVE_INFINITY;
  let { previous } = anchors;
  return async () => {
    const nowMs = clock.monotonicMs();
    if (previous !== anchors.previous) {
      // Dropped: nothing by which anybody would go on believing it is handed out from here on.
      previous = anchors.previous;
      offered = [];
      askAtMs = nowMs;
    }
    if (nowMs >= askAtMs) {
      askAtMs = nowMs + OFFERED_HOLDS_MS;
      offered = await signer.anchors().then(
        (told) => told.offered,
        () => offered,
      );
    }
    const all = [anchors.domain, ...offered];
    return all.filter((one, at) => all.findIndex((other) => sameCertificate(one, other)) === at);
  };
}

/**
 * `/.well-known/est/<operation>` or `/.well-known/est/<label>/<operation>`; there is one CA, whatever the label (RFC 7030
 * 3.2.2: any one segment).
 */
function operationOf(path: string): Operation | undefined {
  const match = /^\/\.well-known\/est(?:\/[^/]+)?\/([a-z]+)$/.exec(path);
  const name = match?.[1];
  return name !== undefined && isOperation(name) ? name : undefined;
}

function isOperation(name: string): name is Operation {
  return Object.hasOwn(OPERATIONS, name);
}
