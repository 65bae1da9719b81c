/**
 * Owns an in-process controller for bootstrap's tests: SZTP, EST and the device API on one HTTPS port. Each answer
 * can be bent, so that a test is one line of what the server does wrong.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer } from 'node:https';
import { connect as tlsConnect, type TLSSocket } from 'node:tls';
import { once } from 'node:events';
import type { Connect } from '../../../src/bootstrap/https.ts';
import { REVOCATION_LISTS_PATH } from '../../../src/model/deviceApi.ts';
import {
  GetBootstrappingDataRequest,
  SZTP_GET_PATH,
  SZTP_MEDIA_TYPE,
  SZTP_REPORT_PATH,
  SZTP_XML_MEDIA_TYPE,
} from '../../../src/model/sztp.ts';
import { xmlOfYang, yangOfXml } from '../../../src/model/yangXml.ts';
import { parseCertificate, toPem, type Certificate } from '../../../src/pki/certificate.ts';
import { certsOnly } from '../../../src/pki/cms.ts';
import { ownerCertificate, signConveyed } from '../../../src/pki/conveyed.ts';
import { issueCertificate } from '../../../src/pki/issue.ts';
import { exportPrivateKey } from '../../../src/pki/keys.ts';
import { type CertificateRequest, parseRequest } from '../../../src/pki/request.ts';
import { createVoucher } from '../../../src/pki/voucher.ts';
import { type Authorities, DAY_MS, GATEWAY, NOW_MS, ownerRecord, SERIAL } from './authorities.ts';

export interface Reply {
  readonly status?: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
}

export interface Artefacts {
  conveyed: Uint8Array;
  ownerCertificate: Uint8Array | undefined;
  voucher: Uint8Array | undefined;
}

/** What a test may bend. Each is asked anew for every request. */
export interface Behaviour {
  artefacts: (nonce: Uint8Array) => Artefacts;
  sztp: (nonce: Uint8Array) => Reply;
  cacerts: () => Reply;
  issue: (request: CertificateRequest) => Certificate;
  enrol: (request: CertificateRequest, operation: string, authorization?: string) => Reply;
  ping: (peer: Certificate | undefined) => Reply;
  moved: (peer: Certificate | undefined) => Reply;
  /** Of an owner whose record names them (revoking.ts). */
  revocationLists: () => Reply;
  /** Of RESTCONF; a server of `xml` refuses a body of JSON, one of `none` any. */
  encoding: 'json' | 'xml' | 'none';
}

export interface TestController {
  readonly port: number;
  readonly behaviour: Behaviour;
  /** Lines of what was asked, in order. */
  readonly asked: string[];
  /** Client certificates of enrolments, by common name. */
  readonly enrolments: string[];
  readonly reports: string[];
  /** Bodies of get-bootstrapping-data. */
  readonly inputs: string[];
  /** Bodies of what boxes say that left. */
  readonly words: string[];
  readonly connect: Connect;
  close(): Promise<void>;
}

export const json = (body: unknown, status = 200): Reply => ({
  status,
  headers: { 'content-type': SZTP_MEDIA_TYPE },
  body: JSON.stringify(body),
});
export const pkcs7 = (certificates: readonly Certificate[]): Reply => ({
  headers: { 'content-type': 'application/pkcs7-mime; smime-type=certs-only' },
  body: Buffer.from(certsOnly(certificates)).toString('base64'),
});
export const sztpReply = (artefacts: Artefacts): Reply => {
  const base64 = (der: Uint8Array): string => Buffer.from(der).toString('base64');
  return json({
    'ietf-sztp-bootstrap-server:output': {
      'conveyed-information': base64(artefacts.conveyed),
      ...(artefacts.ownerCertificate && { 'owner-certificate': base64(artefacts.ownerCertificate) }),
      ...(artefacts.voucher && { 'ownership-voucher': base64(artefacts.voucher) }),
    },
  });
};
export const onboarding = (configuration: unknown, more: object = {}): Uint8Array =>
  Buffer.from(
    JSON.stringify({
      'ietf-sztp-conveyed-info:onboarding-information': {
        'configuration-handling': 'replace',
        configuration: Buffer.from(JSON.stringify(configuration)).toString('base64'),
        ...more,
      },
    }),
  );
export const redirect = (servers: readonly unknown[]): Uint8Array =>
  Buffer.from(
    JSON.stringify({ 'ietf-sztp-conveyed-info:redirect-information': { 'bootstrap-server': servers } }),
  );

export async function startController(authorities: Authorities): Promise<TestController> {
  const { domain, server: tls } = authorities;
  const asked: string[] = [];
  const enrolments: string[] = [];
  const reports: string[] = [];
  const inputs: string[] = [];
  const words: string[] = [];
  const behaviour: Behaviour = {
    artefacts: (nonce) => ({
      conveyed: signConveyed({
        content: onboarding(ownerRecord(authorities, controller.port)),
        format: 'json',
        owner: authorities.ownerSigner,
      }),
      ownerCertificate: ownerCertificate(authorities.ownerSigner),
      voucher: createVoucher({
        voucher: {
          serialNumber: SERIAL,
          assertion: 'verified',
          createdOnMs: NOW_MS,
          expiresOnMs: undefined,
          nonce,
          idevidIssuer: authorities.idevid.certificate.authorityKeyId,
          pinnedDomainCert: domain.certificate,
        },
        signer: authorities.voucherSigner,
      }),
    }),
    sztp: (nonce) => sztpReply(behaviour.artefacts(nonce)),
    cacerts: () => pkcs7([domain.certificate]),
    issue: (request) =>
      issueCertificate({
        profile: { kind: 'ldevid', gatewayId: GATEWAY },
        publicKey: request.publicKey,
        issuer: domain,
        validity: { notBeforeMs: NOW_MS - 60_000, notAfterMs: NOW_MS + 90 * DAY_MS },
      }),
    enrol: (request) => pkcs7([behaviour.issue(request)]),
    ping: (peer) => (peer?.subject.commonName === GATEWAY ? json({ ok: true }) : json({}, 401)),
    moved: (peer) => ({ status: peer?.subject.commonName === GATEWAY ? 204 : 401 }),
    revocationLists: () => ({ status: 404 }),
    encoding: 'json',
  };

  function route(
    method: string,
    path: string,
    body: string,
    peer: Certificate | undefined,
    authorization: string | undefined,
  ): Reply {
    if (path === SZTP_GET_PATH) {
      inputs.push(body);
      const input = GetBootstrappingDataRequest.parse(JSON.parse(body))['ietf-sztp-bootstrap-server:input'];
      return behaviour.sztp(Buffer.from(input.nonce ?? '', 'base64'));
    }
    if (path === SZTP_REPORT_PATH) {
      reports.push(body);
      return { status: 204 };
    }
    if (path === '/v1/ping') return behaviour.ping(peer);
    if (path === REVOCATION_LISTS_PATH) return behaviour.revocationLists();
    if (path === '/v1/moved') {
      words.push(body);
      return behaviour.moved(peer);
    }
    if (path === '/.well-known/est/lab/cacerts' && method === 'GET') return behaviour.cacerts();
    const operation = /^\/\.well-known\/est\/lab\/(simpleenroll|simplereenroll)$/.exec(path)?.[1];
    if (operation === undefined || !body.endsWith('\n')) return { status: 400 };
    enrolments.push(`${operation} by ${peer?.subject.commonName ?? 'nobody'}`);
    return behaviour.enrol(parseRequest(Buffer.from(body, 'base64')), operation, authorization);
  }

  /** As a server that speaks XML alone would take and give what is JSON here. */
  function inXml(
    { 'content-type': type, accept }: IncomingMessage['headers'],
    body: string,
    routed: (text: string) => Reply,
  ): Reply {
    if (behaviour.encoding !== 'xml' || type !== SZTP_XML_MEDIA_TYPE || accept !== SZTP_XML_MEDIA_TYPE) {
      return { status: 415 };
    }
    const reply = routed(JSON.stringify(yangOfXml(body, 'the request', 64 * 1024)));
    if (reply.body === undefined) return reply;
    const document = JSON.parse(reply.body) as Readonly<Record<string, unknown>>;
    return { ...reply, headers: { 'content-type': SZTP_XML_MEDIA_TYPE }, body: xmlOfYang(document) };
  }

  async function handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const body = await readAll(request);
    asked.push(`${request.method} ${request.url}`);
    const { authorization } = request.headers;
    const isRestconf = request.url?.startsWith('/restconf/') === true;
    const routed = (text: string): Reply =>
      route(request.method ?? '', request.url ?? '', text, peerOf(request), authorization);
    const reply =
      isRestconf && behaviour.encoding !== 'json' ? inXml(request.headers, body, routed) : routed(body);
    response.writeHead(reply.status ?? 200, reply.headers);
    response.end(reply.body);
  }

  const server = createServer(
    {
      key: exportPrivateKey(tls.key).reveal(),
      cert: toPem([tls.certificate, ...tls.chain]),
      requestCert: true,
      rejectUnauthorized: false,
    },
    (request, response) => void handle(request, response),
  );
  server.on('tlsClientError', () => {});
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;

  const controller: TestController = {
    port,
    behaviour,
    asked,
    enrolments,
    reports,
    inputs,
    words,
    connect: ({ server: target, identity, anchorsPem, signal }) =>
      dial(target.host, target.port, identity, anchorsPem, signal),
    async close() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
  return controller;
}

/** Every name leads to this machine. */
function dial(
  host: string,
  port: number,
  identity: Parameters<Connect>[0]['identity'],
  anchorsPem: string | undefined,
  signal: AbortSignal,
): Promise<TLSSocket> {
  return new Promise((resolve, reject) => {
    signal.throwIfAborted();
    const socket = tlsConnect({
      host: '127.0.0.1',
      port,
      servername: host,
      key: identity.key.reveal(),
      cert: identity.certificatePem,
      rejectUnauthorized: false,
      ...(anchorsPem !== undefined && { ca: anchorsPem }),
    });
    signal.addEventListener('abort', () => socket.destroy(new Error('aborted')), { once: true });
    socket.once('error', reject);
    socket.once('secureConnect', () => {
      socket.on('error', () => {});
      resolve(socket);
    });
  });
}

function peerOf(request: IncomingMessage): Certificate | undefined {
  const socket = request.socket;
  if (!('getPeerCertificate' in socket) || typeof socket.getPeerCertificate !== 'function') return undefined;
  const raw: unknown = socket.getPeerCertificate().raw;
  return Buffer.isBuffer(raw) ? parseCertificate(raw) : undefined;
}

async function readAll(request: IncomingMessage): Promise<string> {
  let text = '';
  for await (const chunk of request) text += String(chunk);
  return text;
}

/** From now on certificates are valid from the box's own time on, whatever that is. */
export function issueAtTheTimeOf(
  box: { readonly clock: { nowMs(): number } },
  authorities: Authorities,
  controller: TestController,
): void {
  controller.behaviour.issue = (request) =>
    issueCertificate({
      profile: { kind: 'ldevid', gatewayId: GATEWAY },
      publicKey: request.publicKey,
      issuer: authorities.domain,
      validity: { notBeforeMs: box.clock.nowMs() - 60_000, notAfterMs: box.clock.nowMs() + 90 * DAY_MS },
    });
}

/** Every server that a box asks is this one; it has another port than the one that the box was told. */
export const everywhereTo =
  (other: TestController): TestController['connect'] =>
  (options) =>
    other.connect({ ...options, server: { ...options.server, port: other.port } });
