/**
 * Owns one request and its answer on the servers that boxes and foreign clients speak to (SZTP, EST, device API):
 * answers with Content-Length always (several EST clients refuse chunked bodies), the servers' limits.
 * Does not own the REST API, which has its own framework, nor reading a body (requestBody.ts).
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer, type Server, type ServerOptions } from 'node:https';
import { constants } from 'node:crypto';
import { TLSSocket } from 'node:tls';
import { asBranchboxError } from '../model/errors.ts';
import type { Logger } from '../system/ports.ts';
import type { Certificate } from '../pki/certificate.ts';
import { toPem } from '../pki/certificate.ts';
import { createClientErrors } from './clientError.ts';
import { heedExpectations, isUnmet, UNMET } from './expectation.ts';
import type { HandshakeGate } from './handshakeGate.ts';
import { endAnswer, isUnread } from './requestBody.ts';
import type { ServiceCredential } from './serviceCredentials.ts';

export interface Answer {
  readonly status: number;
  readonly mediaType?: string;
  readonly body?: string | Uint8Array;
  readonly headers?: Readonly<Record<string, string>>;
}

/**
 * With each 401 of who showed no certificate (RFC 9110 11.6.1). No scheme is registered for those of TLS, and a registered one would
 * promise that a password helps; one that is not known ends a client's tries.
 */
export const CERTIFICATE_CHALLENGE = { 'WWW-Authenticate': 'ClientCertificate' } as const;

export type Handler = (
  request: IncomingMessage,
  socket: TLSSocket,
  response: ServerResponse,
) => Promise<Answer | 'sent'>;

const LIMITS = {
  headersTimeout: 10_000,
  requestTimeout: 30_000,
  keepAliveTimeout: 30_000,
  maxHeaderSize: 16 * 1024,
} as const;
const HANDSHAKE_TIMEOUT_MS = 15_000;
/**
 * Nobody's revocation list, by which OpenSSL misses everybody's: so its verdict on a client, which nobody asks for here, is never
 * good. Where it is, some releases of Node (24.21, 26.8; nodejs/node#65579) lose what came along with a client's certificate, and
 * a factory identity below a manufacturer's sub CA is not known.
 */
const NO_VERDICT = `-----BEGIN X509 CRL-----
MIGWMD0wCgYIKoZIzj0EAwIwETEPMA0GA1UEAwwGbm9ib2R5Fw0wMDAxMDEwMDAw
MDBaFw0wMDAxMDIwMDAwMDBaMAoGCCqGSM49BAMCA0kAMEYCIQCe3U0jqiXMoAaA
Gx0MtGXcUbaPwiix+29rgbM86ve4jwIhANiOlFfz3tr9r4CMC3zTVd5VPs+DHtSd
Notn33n1xqnh
-----END X509 CRL-----
`;

export function tlsOptions(options: {
  readonly credential: ServiceCredential;
  /** Named to clients as acceptable issuers; who is believed is decided per request (peer.ts). */
  readonly clientIssuers: readonly Certificate[];
  readonly minVersion: 'TLSv1.2' | 'TLSv1.3';
}): ServerOptions {
  return {
    key: options.credential.key.reveal(),
    cert: options.credential.certificatePem,
    ca: toPem(options.clientIssuers),
    crl: NO_VERDICT,
    minVersion: options.minVersion,
    requestCert: true,
    rejectUnauthorized: false,
    handshakeTimeout: HANDSHAKE_TIMEOUT_MS,
    // A resumed session would bring back a client's certificate without its chain. One handshake a connection: it is the
    // one that a request for a certificate names (RFC 7030 3.5).
    secureOptions: constants.SSL_OP_NO_TICKET | constants.SSL_OP_NO_RENEGOTIATION,
  };
}

export function createExchangeServer(options: {
  readonly tls: ServerOptions;
  readonly handle: Handler;
  /** When the handler threw. */
  readonly failed: (thrown: unknown, request: IncomingMessage) => Answer;
  /** To what is no request that the handler could be given. */
  readonly refusal: (status: number, why: string) => Answer;
  readonly gate: HandshakeGate;
  readonly log: Logger;
}): Server {
  const { handle, failed, refusal, gate, log } = options;
  // Paused: the gate says when a byte is looked at.
  const server = createServer({ ...options.tls, ...LIMITS, pauseOnConnect: true }, (request, response) => {
    const { socket } = request;
    if (!(socket instanceof TLSSocket)) {
      response.destroy();
      return;
    }
    const answering = isUnmet(request.headers)
      ? Promise.resolve(refusal(UNMET.status, UNMET.why))
      : handle(request, socket, response);
    answering
      .catch((thrown: unknown) => {
        const answer = failed(thrown, request);
        if (answer.status >= 500) {
          log.error('a request failed', { path: request.url ?? '', error: asBranchboxError(thrown) });
        }
        return answer;
      })
      .then((answer) => {
        if (answer !== 'sent') send(request, response, answer);
      })
      .catch((thrown: unknown) => {
        log.error('an answer could not be sent', { error: asBranchboxError(thrown) });
        response.destroy();
      });
  });
  heedExpectations(server);
  gate.guard(server);
  // accept(2) failed, for want of descriptors or memory: the next one need not.
  server.on('error', (error) => log.error('a server took no connection', { error }));
  // Scanners and boxes that hang up in a handshake are no event.
  server.on('tlsClientError', (error) => log.debug('a TLS handshake failed', { error: error.message }));
  const clientErrors = createClientErrors(refusal);
  clientErrors.watch(server);
  server.on('clientError', clientErrors.answer);
  return server;
}

function send(request: IncomingMessage, response: ServerResponse, answer: Answer): void {
  if (response.destroyed) return;
  const body = Buffer.from(answer.body ?? '');
  response.writeHead(answer.status, {
    ...(answer.mediaType === undefined ? {} : { 'Content-Type': answer.mediaType }),
    // RFC 9110 8.6: none on 204.
    ...(answer.status === 204 ? {} : { 'Content-Length': String(body.length) }),
    'Cache-Control': 'no-store',
    ...(isUnread(request) ? { Connection: 'close' } : {}),
    ...answer.headers,
  });
  endAnswer(request, response, body);
}

/** The path without its query, and the media type without its parameters. */
export function requestLine(request: IncomingMessage): { method: string; path: string; mediaType: string } {
  return {
    method: request.method ?? 'GET',
    path: pathOf(request.url ?? '/'),
    mediaType: (request.headers['content-type'] ?? '').split(';')[0]?.trim().toLowerCase() ?? '',
  };
}

/** RFC 9112 3.2.2: the absolute form must be taken as well; this server answers for whatever name it has there. */
function pathOf(target: string): string {
  const origin = /^https:\/\/[^/?]*/i.exec(target)?.[0] ?? '';
  const path = target.slice(origin.length).split('?')[0] ?? '';
  // A path segment may hold a colon as it is (RFC 3986 3.3), and clients' libraries write it otherwise; the two are one here.
  return path === '' ? '/' : path.replaceAll(/%3a/gi, ':');
}
