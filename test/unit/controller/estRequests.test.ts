/**
 * What an EST client may send, and what it is answered, over real TLS with a factory identity: forms of the body and of the
 * target, the TLS session that a request names, who is asked to authenticate and who cannot.
 */
import { once } from 'node:events';
import { Agent, request } from 'node:https';
import type { AddressInfo } from 'node:net';
import { connect, type ConnectionOptions, type TLSSocket } from 'node:tls';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { Admission } from '../../../src/controller/admission.ts';
import { plain } from '../../../src/controller/est/answers.ts';
import { createEstHandler } from '../../../src/controller/est/estServer.ts';
import { createExchangeServer, tlsOptions } from '../../../src/controller/exchange.ts';
import { createHandshakeGate } from '../../../src/controller/handshakeGate.ts';
import { openSqliteStore } from '../../../src/controller/store/sqlite.ts';
import { Secret } from '../../../src/model/secret.ts';
import { toPem } from '../../../src/pki/certificate.ts';
import { type Credential, issueCertificate, NO_EXPIRY_MS, type Profile } from '../../../src/pki/issue.ts';
import { exportPrivateKey, generateKeyPair } from '../../../src/pki/keys.ts';
import { toPemBlock } from '../../../src/pki/pem.ts';
import { createRequest, parseRequest } from '../../../src/pki/request.ts';
import { createLogger } from '../../../src/system/linux/logger.ts';
import { DAY_MS, hasOpenssl, issue, makeCa, NOW_MS, oldRootAbove, VALIDITY } from '../pki/domain.ts';
import { makeServerCredential } from './wire.ts';

const clock = { nowMs: () => NOW_MS, monotonicMs: () => 0, sleep: async () => undefined };
const log = createLogger({ name: 'test', write: () => undefined });
/** By the machine's clock too, by which OpenSSL judges. */
const LASTING = { notBeforeMs: NOW_MS - DAY_MS, notAfterMs: NO_EXPIRY_MS };
const manufacturer = makeCa('Manufacturer', LASTING);
const domain = makeCa('Domain');
const box = issue(manufacturer, { kind: 'idevid', serialNumber: 'SN-1', commonName: 'box' });
const stranger = issue(makeCa('Nobody'), { kind: 'idevid', serialNumber: 'SN-1', commonName: 'box' });
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

const ENROL = '/.well-known/est/simpleenroll';
interface Sent {
  readonly method?: string;
  readonly path?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly as?: typeof box | undefined;
  readonly tls?: ConnectionOptions;
  /** Made once the session is there. */
  readonly body?: (socket: TLSSocket) => string | Uint8Array;
}

async function ask(sent: Sent) {
  const { as } = sent;
  const socket = connect({
    host: '127.0.0.1',
    port: (server.address() as AddressInfo).port,
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

const { privateKey } = generateKeyPair();
const csr = (challengePassword?: string): Uint8Array =>
  createRequest({ key: privateKey, commonName: 'any', dnsNames: ['a'], challengePassword });
const base64 = (der: Uint8Array): string => Buffer.from(der).toString('base64');
const CSR_TYPE = { 'content-type': 'application/pkcs10' };

it.each<[string, string | Uint8Array, Readonly<Record<string, string>>]>([
  ['base64 on one line', base64(csr()), CSR_TYPE],
  ['lines of 64 and CRLF', base64(csr()).replaceAll(/.{64}/g, '$&\r\n'), CSR_TYPE],
  ['called binary', base64(csr()), { ...CSR_TYPE, 'content-transfer-encoding': 'BINARY' }],
  ['called BASE64', base64(csr()), { ...CSR_TYPE, 'Content-Transfer-Encoding': 'BASE64' }],
  [
    'a media type in capitals, with a parameter',
    base64(csr()),
    { 'content-type': 'Application/PKCS10; charset=us-ascii' },
  ],
  ['PEM as openssl writes it', toPemBlock('CERTIFICATE REQUEST', csr()), CSR_TYPE],
  ['PEM of the older label', toPemBlock('NEW CERTIFICATE REQUEST', csr()), CSR_TYPE],
  ['DER as it is', csr(), CSR_TYPE],
])('a request is taken in this form: %s', async (_, body, headers) => {
  const answer = await ask({ as: box, headers, body: () => body });
  expect([answer.status, answer.headers['content-type']]).toEqual([
    200,
    'application/pkcs7-mime; smime-type=certs-only',
  ]);
  expect(answer.text).toMatch(/^MII[A-Za-z0-9+/]+={0,2}$/);
});

it.each([
  ['', 400],
  ['-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n', 400],
  ['-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n', 400],
  ['0AAA', 400],
])('a body that is no request is told so: %j', async (body, status) => {
  const answer = await ask({ as: box, headers: CSR_TYPE, body: () => body });
  expect([answer.status, answer.headers['content-type']]).toEqual([status, 'text/plain; charset=utf-8']);
});

it.each([
  ['GET', '/.well-known/est/cacerts', 200],
  ['GET', '/.well-known/est/any%20label%2F1/cacerts', 200],
  ['GET', "/.well-known/est/a:b@c!$&'()*+,;=/csrattrs", 200],
  ['HEAD', `/.well-known/est/${'l'.repeat(200)}/cacerts`, 200],
  ['GET', '/.well-known/est/cacerts?now', 200],
  ['GET', 'https://localhost/.well-known/est/cacerts', 200],
  ['GET', 'HTTPS://localhost:8444/.well-known/est/label/csrattrs', 200],
  ['GET', 'https://localhost', 404],
  ['GET', '/.well-known/est/a/b/cacerts', 404],
  ['GET', '/.well-known/est//cacerts', 404],
  ['POST', '/.well-known/est/serverkeygen', 404],
  ['POST', '/.well-known/est/label/fullcmc', 404],
])('%s %s is %i for everybody', async (method, path, status) => {
  const answer = await ask({ method, path });
  expect([answer.status, answer.headers['www-authenticate']]).toEqual([status, undefined]);
});

it.each([
  ['no certificate', undefined, {}],
  ['no certificate, and a password', undefined, { authorization: 'Basic Y29kZTpBQkNEMjM0NQ==' }],
  ['a stranger’s', stranger, {}],
])(
  'whoever shows %s is asked for no password that would not help him',
  async (_, as, more: Readonly<Record<string, string>>) => {
    for (const operation of ['simpleenroll', 'simplereenroll']) {
      const path = `/.well-known/est/${operation}`;
      const answer = await ask({ as, path, headers: { ...CSR_TYPE, ...more }, body: () => base64(csr()) });
      expect([answer.status, answer.headers['www-authenticate']]).toEqual([403, undefined]);
      expect(answer.text).toMatch(/; one of a known manufacturer or of this domain is needed\n$/);
    }
  },
);

const CHALLENGE = /^Basic realm="[^"]+", charset="UTF-8"$/;
it.each<[string, Admission, number, boolean, boolean]>([
  ['a wrong code', { kind: 'wrong-code', why: 'The code is wrong.' }, 401, true, true],
  ['a code that is waited for', { kind: 'pending', why: 'waits', byCode: true }, 202, true, true],
  ['an approval that is waited for', { kind: 'pending', why: 'waits' }, 202, false, true],
  ['a box that was revoked', { kind: 'refused', why: 'revoked' }, 403, false, false],
  ['a box that nobody knows', { kind: 'unknown' }, 403, false, false],
])('credentials are asked for where they help: %s', async (_, found, status, helps, comesAgain) => {
  admission = found;
  try {
    const answer = await ask({ as: box, headers: CSR_TYPE, body: () => base64(csr()) });
    const { 'www-authenticate': challenge, 'retry-after': retryAfter } = answer.headers;
    expect(answer.status).toBe(status);
    expect(challenge === undefined ? '' : challenge).toMatch(helps ? CHALLENGE : /^$/);
    expect(retryAfter !== undefined).toBe(comesAgain);
  } finally {
    admission = ADMITTED;
  }
});

it('a box whose serial number no part of the product could use is told so, before anything is kept of it', async () => {
  const as = issue(manufacturer, { kind: 'idevid', serialNumber: 'PID:X SN:1/2', commonName: 'box' });
  const answer = await ask({ as, headers: CSR_TYPE, body: () => base64(csr()) });
  expect([answer.status, answer.text]).toEqual([
    403,
    expect.stringContaining('the serial number "PID:X SN:1/2" of the factory identity cannot be used: '),
  ]);
});

const UNIQUE = (socket: TLSSocket): string => base64(socket.getFinished() ?? Buffer.alloc(0));
const EXPORTER = (socket: TLSSocket): string =>
  base64(socket.exportKeyingMaterial(32, 'EXPORTER-Channel-Binding', Buffer.alloc(0)));
it.each<[string, 'TLSv1.2' | 'TLSv1.3', (socket: TLSSocket) => string, number]>([
  ['tls-unique', 'TLSv1.2', UNIQUE, 200],
  ['tls-exporter', 'TLSv1.3', EXPORTER, 200],
  ['the Finished of the server', 'TLSv1.2', (socket) => base64(socket.getPeerFinished() ?? csr()), 400],
  ['a Finished', 'TLSv1.3', UNIQUE, 400],
  ['another session', 'TLSv1.3', () => base64(Buffer.alloc(32, 7)), 400],
  ['a password', 'TLSv1.2', () => 'secret', 400],
])('a request that names %s: %s', async (_, version, named, status) => {
  const answer = await ask({
    as: box,
    headers: CSR_TYPE,
    tls: { minVersion: version, maxVersion: version },
    body: (socket) => base64(csr(named(socket))),
  });
  expect(answer.status).toBe(status);
  if (status === 400) expect(answer.text).toMatch(/^the challengePassword of the request is not this TLS/);
});

it('a connection has one handshake, which is the one that a request names', async () => {
  const socket = connect({
    host: '127.0.0.1',
    port: (server.address() as AddressInfo).port,
    rejectUnauthorized: false,
    maxVersion: 'TLSv1.2',
  });
  await once(socket, 'secureConnect');
  const ended = once(socket, 'error');
  socket.renegotiate({}, () => undefined);
  expect(String((await ended)[0])).toMatch(/no.renegotiation/i);
  socket.destroy();
});

const below = (by: Credential, profile: Profile): Credential => issue(by, profile, LASTING);
const upper = below(manufacturer, { kind: 'ca', commonName: 'Manufacturer, plant 2' });
const lower = below(upper, { kind: 'ca', commonName: 'Manufacturer, plant 2, line 1' });
const pemOf = (...chain: readonly Credential[]): string => toPem(chain.map(({ certificate }) => certificate));
// Where OpenSSL has nothing to say against a chain, some releases of Node lose it (exchange.ts).
it.each([
  ['one CA', upper, pemOf(upper)],
  ['two CAs', lower, pemOf(lower, upper)],
  ['two CAs and the root, in another order', lower, pemOf(upper, manufacturer, lower)],
  ['two CAs that stand behind another’s', lower, pemOf(domain, lower, upper)],
])('a factory identity is known below %s that came along', async (_, by, above) => {
  const as = below(by, { kind: 'idevid', serialNumber: 'SN-1', commonName: 'box' });
  for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
    const tls = { cert: as.certificate.pem + above, minVersion: version, maxVersion: version };
    const answer = await ask({ as, tls, headers: CSR_TYPE, body: () => base64(csr()) });
    expect([version, answer.status, answer.text.slice(0, 3)]).toEqual([version, 200, 'MII']);
  }
});

it('a factory identity is known in each request of its connection', async () => {
  const as = below(upper, { kind: 'idevid', serialNumber: 'SN-1', commonName: 'box' });
  const agent = new Agent({
    keepAlive: true,
    maxSockets: 1,
    rejectUnauthorized: false,
    key: exportPrivateKey(as.key).reveal(),
    cert: as.certificate.pem + upper.certificate.pem,
  });
  const { port } = server.address() as AddressInfo;
  const sockets = new Set<unknown>();
  for (let time = 0; time < 3; time += 1) {
    const asking = request({
      agent,
      host: '127.0.0.1',
      port,
      method: 'POST',
      path: ENROL,
      headers: CSR_TYPE,
    });
    asking.end(base64(csr()));
    const [answer] = await once(asking, 'response');
    sockets.add(answer.socket);
    answer.resume();
    await once(answer, 'end');
    expect([time, answer.statusCode]).toEqual([time, 200]);
  }
  expect(sockets.size).toBe(1);
  agent.destroy();
});

it.runIf(hasOpenssl)(
  'a factory identity that comes with a root as nothing here can use one is known',
  async () => {
    const chain = { cert: box.certificate.pem + oldRootAbove(manufacturer) };
    const answer = await ask({ as: box, tls: chain, headers: CSR_TYPE, body: () => base64(csr()) });
    expect([answer.status, answer.text.slice(0, 3)]).toEqual([200, 'MII']);
  },
);
