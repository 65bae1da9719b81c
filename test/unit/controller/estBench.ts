/**
 * An EST server of ours over real TLS, and what asks it: everybody whom it knows is admitted, or what else is found of him. One
 * manufacturer, one domain and a box. Owns no expectation.
 */
import { once } from 'node:events';
import { request } from 'node:https';
import type { AddressInfo } from 'node:net';
import { connect, type ConnectionOptions, type TLSSocket } from 'node:tls';
import { afterAll, beforeAll, expect } from 'vitest';
import type { Admission } from '../../../src/controller/admission.ts';
import { plain } from '../../../src/controller/est/answers.ts';
import { createEstHandler } from '../../../src/controller/est/estServer.ts';
import { createExchangeServer, tlsOptions } from '../../../src/controller/exchange.ts';
import { createHandshakeGate } from '../../../src/controller/handshakeGate.ts';
import { openSqliteStore } from '../../../src/controller/store/sqlite.ts';
import { Secret } from '../../../src/model/secret.ts';
import { type Credential, issueCertificate, NO_EXPIRY_MS } from '../../../src/pki/issue.ts';
import { exportPrivateKey, generateKeyPair } from '../../../src/pki/keys.ts';
import { createRequest, parseRequest } from '../../../src/pki/request.ts';
import { createLogger } from '../../../src/system/linux/logger.ts';
import { DAY_MS, issue, makeCa, NOW_MS, VALIDITY } from '../pki/domain.ts';
import { makeServerCredential } from './wire.ts';

/** By the machine's clock too, by which OpenSSL judges. */
export const LASTING = { notBeforeMs: NOW_MS - DAY_MS, notAfterMs: NO_EXPIRY_MS };
export const ENROL = '/.well-known/est/simpleenroll';
export const CSR_TYPE = { 'content-type': 'application/pkcs10' };
export const base64 = (der: Uint8Array): string => Buffer.from(der).toString('base64');
const { privateKey } = generateKeyPair();
export const csr = (challengePassword?: string): Uint8Array =>
  createRequest({ key: privateKey, commonName: 'any', dnsNames: ['a'], challengePassword });

const clock = { nowMs: () => NOW_MS, monotonicMs: () => 0, sleep: async () => undefined };
const log = createLogger({ name: 'test', write: () => undefined });

interface Sent {
  readonly method?: string;
  readonly path?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly as?: Credential | undefined;
  readonly tls?: ConnectionOptions;
  /** Made once the session is there. */
  readonly body?: (socket: TLSSocket) => string | Uint8Array;
}

/** Runs from `beforeAll` to `afterAll`. */
export function createEstBench() {
  const manufacturer = makeCa('Manufacturer', LASTING);
  const domain = makeCa('Domain');
  const box = issue(manufacturer, { kind: 'idevid', serialNumber: 'SN-1', commonName: 'box' });
  const gateway = { id: 'one', serial: 'SN-1' };
  const ADMITTED: Admission = { kind: 'admitted', gateway };
  let admission: Admission = ADMITTED;
  const judged = async (): Promise<Admission> => admission;
  const { key, cert } = makeServerCredential().tls;

  const { records } = openSqliteStore(':memory:');
  const server = createExchangeServer({
    tls: tlsOptions({
      credential: { key: new Secret(key), certificatePem: cert, notAfterMs: VALIDITY.notAfterMs },
      clientIssuers: [manufacturer.certificate, domain.certificate],
      minVersion: 'TLSv1.2',
    }),
    handle: createEstHandler({
      store: { records: { ...records, enrol: async () => true } },
      admissions: { consider: judged, admit: judged, recognise: async () => ({ kind: 'unknown' }) },
      signer: {
        ldevid: async ({ csr, gatewayId }) => ({
          certificate: issueCertificate({
            profile: { kind: 'ldevid', gatewayId },
            publicKey: parseRequest(csr).publicKey,
            issuer: domain,
            validity: VALIDITY,
          }),
          chain: [],
        }),
        anchors: async () => expect.unreachable(),
      },
      anchors: { manufacturers: [manufacturer.certificate], domain: domain.certificate, previous: [] },
      offered: [],
      onEnrolled: () => undefined,
      clock,
      log,
    }),
    refusal: plain,
    failed: (thrown) => plain(500, String(thrown)),
    gate: createHandshakeGate({ clock, together: 8, waiting: 8, patienceMs: 5_000, turnMs: 500 }),
    log,
  });
  beforeAll(async () => {
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
  });
  afterAll(() => {
    server.close();
    server.closeAllConnections();
  });

  /** Of the server. */
  const port = (): number => (server.address() as AddressInfo).port;

  async function ask(sent: Sent) {
    const { as } = sent;
    const socket = connect({
      host: '127.0.0.1',
      port: port(),
      rejectUnauthorized: false,
      ...(as && { key: exportPrivateKey(as.key).reveal(), cert: as.certificate.pem }),
      ...sent.tls,
    });
    await once(socket, 'secureConnect');
    const body = sent.body?.(socket);
    const asking = request({
      createConnection: () => socket,
      method: sent.method ?? 'POST',
      path: sent.path ?? ENROL,
      headers: { host: 'localhost', connection: 'close', ...sent.headers },
    });
    asking.end(body);
    const [answer] = await once(asking, 'response');
    let text = '';
    for await (const chunk of answer.setEncoding('utf8')) text += chunk;
    socket.destroy();
    return { status: answer.statusCode, headers: answer.headers, text };
  }

  return {
    manufacturer,
    domain,
    box,
    port,
    ask,
    /** What is found of whoever comes meanwhile. */
    async whileFound<T>(found: Admission, work: () => Promise<T>): Promise<T> {
      admission = found;
      try {
        return await work();
      } finally {
        admission = ADMITTED;
      }
    },
  };
}
