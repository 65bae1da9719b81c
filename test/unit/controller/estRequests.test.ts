/**
 * What an EST client may send, and what it is answered, over real TLS with a factory identity: forms of the body and of the
 * target, the TLS session that a request names, who is asked to authenticate. Who is known: estIdentities.test.ts.
 */
import { once } from 'node:events';
import { connect, type TLSSocket } from 'node:tls';
import { expect, it } from 'vitest';
import type { Admission } from '../../../src/controller/admission.ts';
import { toPemBlock } from '../../../src/pki/pem.ts';
import { issue, makeCa } from '../pki/domain.ts';
import { base64, createEstBench, csr, CSR_TYPE } from './estBench.ts';

const { ask, box, port, whileFound } = createEstBench();
const stranger = issue(makeCa('Nobody'), { kind: 'idevid', serialNumber: 'SN-1', commonName: 'box' });

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
  const answer = await whileFound(found, () =>
    ask({ as: box, headers: CSR_TYPE, body: () => base64(csr()) }),
  );
  const { 'www-authenticate': challenge, 'retry-after': retryAfter } = answer.headers;
  expect(answer.status).toBe(status);
  expect(challenge === undefined ? '' : challenge).toMatch(helps ? CHALLENGE : /^$/);
  expect(retryAfter !== undefined).toBe(comesAgain);
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
    port: port(),
    rejectUnauthorized: false,
    maxVersion: 'TLSv1.2',
  });
  await once(socket, 'secureConnect');
  const ended = once(socket, 'error');
  socket.renegotiate({}, () => undefined);
  expect(String((await ended)[0])).toMatch(/no.renegotiation/i);
  socket.destroy();
});
