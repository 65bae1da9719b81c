/** The servers that boxes and foreign clients speak to, on real connections: methods, what is no HTTP, refused bodies. */
import { afterEach, describe, expect, it } from 'vitest';
import { RestconfErrors, SZTP_GET_PATH } from '../../../src/model/sztp.ts';
import { failAccept } from '../../fakes/failedAccept.ts';
import { createExchangeServers, ENROL, head } from './exchangeServers.ts';
import { speak, speakExpecting } from './wire.ts';

const { est, sztp, device, close } = createExchangeServers();
afterEach(close);

describe('EST', () => {
  it.each([
    ['GET', 'simpleenroll', 405, 'POST, OPTIONS'],
    ['PROPFIND', 'cacerts', 405, 'GET, HEAD, OPTIONS'],
    ['OPTIONS', 'csrattrs', 204, 'GET, HEAD, OPTIONS'],
    ['HEAD', 'csrattrs', 200, undefined],
  ])('%s %s is %i', async (method, operation, status, allow) => {
    const answer = await speak(await est(), head(`${method} /.well-known/est/${operation}`));
    expect([answer.status, answer.headers['allow']]).toEqual([status, allow]);
    if (method === 'HEAD') expect([answer.headers['content-length'], answer.text]).toEqual(['48', '']);
  });

  it('says what a request has to be, and what is no method', async () => {
    const port = await est();
    const type = await speak(port, head(`POST ${ENROL}`, 'Content-Length: 2'), '{}');
    expect([type.status, type.headers['accept']]).toEqual([415, 'application/pkcs10']);
    const method = await speak(port, head(`FOO ${ENROL}`));
    expect([method.status, method.text]).toEqual([501, 'there is no method FOO here\n']);
  });
});

describe('SZTP', () => {
  it.each([
    ['GET', 405, 'POST, OPTIONS'],
    ['QUERY', 405, 'POST, OPTIONS'],
    ['OPTIONS', 204, 'POST, OPTIONS'],
  ])('%s is %i', async (method, status, allow) => {
    const answer = await speak(await sztp(), head(`${method} ${SZTP_GET_PATH}`));
    expect([answer.status, answer.headers['allow']]).toEqual([status, allow]);
  });

  it('says what a request has to be, and what is no method', async () => {
    const port = await sztp();
    const type = await speak(port, head(`POST ${SZTP_GET_PATH}`, 'Content-Length: 2'), '{}');
    expect([type.status, type.headers['accept']]).toEqual([
      415,
      'application/yang-data+json, application/yang-data+xml',
    ]);
    // As RFC 8572's own examples spell it.
    const xml = '<input xmlns="urn:ietf:params:xml:ns:yang:ietf-sztp-bootstrap-server"/>';
    const dotted = ['Content-Type: application/yang.data+xml', `Content-Length: ${xml.length}`];
    for (const accept of ['*/*', 'application/yang.data+xml']) {
      const asked = await speak(port, head(`POST ${SZTP_GET_PATH}`, ...dotted, `Accept: ${accept}`), xml);
      expect([asked.status, asked.headers['content-type']]).toEqual([401, 'application/yang-data+xml']);
      // RFC 9110 11.6.1; what asks for a password would be no help.
      expect(asked.headers['www-authenticate']).toBe('ClientCertificate');
    }
    const method = await speak(port, head(`FOO ${SZTP_GET_PATH}`));
    const [error] = RestconfErrors.parse(JSON.parse(method.text))['ietf-restconf:errors'].error;
    expect([method.status, error?.['error-tag']]).toEqual([501, 'operation-not-supported']);
  });
});

it.each([
  ['EST', est],
  ['SZTP', sztp],
  ['the device API', device],
])('%s goes on where it could not accept a connection', async (_, server) => {
  const port = await server();
  const ask = () => speak(port, head('GET /nowhere'));
  await failAccept(ask);
  expect((await ask()).status).toBeGreaterThan(400);
});

it.each([
  ['EST', est, ENROL, 'Content-Type: application/pkcs10', 413],
  ['EST, of another media type,', est, ENROL, 'Content-Type: text/plain', 415],
  ['EST, at no operation,', est, '/nowhere', 'Content-Type: application/pkcs10', 404],
  ['SZTP', sztp, SZTP_GET_PATH, 'Content-Type: application/yang-data+json', 413],
] as const)(
  'a large body at %s is refused so that its sender hears it',
  async (_, server, path, type, status) => {
    const body = Buffer.alloc(20_000_000, 0x41);
    const port = await server();
    const known = await speak(port, head(`POST ${path}`, type, `Content-Length: ${body.length}`), body);
    expect([known.status, known.headers['connection']]).toEqual([status, 'close']);
    expect(known.text).not.toBe('');
    const chunked = head(`POST ${path}`, type, 'Transfer-Encoding: chunked');
    const unknown = await speak(port, chunked, `${body.length.toString(16)}\r\n`, body, '\r\n0\r\n\r\n');
    expect(unknown.status).toBe(status);
  },
);

describe('Expect', () => {
  const CSR = 'Content-Type: application/pkcs10';
  const YANG = 'Content-Type: application/yang-data+json';
  const LENGTH = 'Content-Length: 20000000';
  const CHUNKED = 'Transfer-Encoding: chunked';

  it.each([
    ['EST', est, `POST ${ENROL}`, [CSR, LENGTH], 413],
    [
      'EST, of another media type,',
      est,
      `POST ${ENROL}`,
      ['Content-Type: text/plain', 'Content-Length: 5'],
      415,
    ],
    ['EST, by another method,', est, `PUT ${ENROL}`, [CSR, CHUNKED], 405],
    ['EST, at no operation,', est, 'POST /nowhere', [CSR, LENGTH], 404],
    ['SZTP', sztp, `POST ${SZTP_GET_PATH}`, [YANG, LENGTH], 413],
    ['SZTP, of another media type,', sztp, `POST ${SZTP_GET_PATH}`, [CSR, 'Content-Length: 5'], 415],
    ['SZTP, by another method,', sztp, `PUT ${SZTP_GET_PATH}`, [YANG, LENGTH], 405],
    ['SZTP, answered in HTML,', sztp, `POST ${SZTP_GET_PATH}`, [YANG, LENGTH, 'Accept: text/html'], 406],
    ['the device API, by whoever has no certificate', device, 'POST /v1/moved', [LENGTH], 401],
  ] as const)(
    'a body that its head alone refuses is not asked for: %s',
    async (_, server, line, fields, status) => {
      const answer = await speakExpecting(
        await server(),
        head(line, ...fields, 'Expect: 100-continue'),
        'never',
      );
      expect([answer.isTold, answer.status, answer.headers['connection']]).toEqual([false, status, 'close']);
      expect(answer.text).not.toBe('');
    },
  );

  it.each([
    ['EST', est, ENROL, [CSR, 'Content-Length: 5'], 'small', 403],
    [
      'EST, larger than it said,',
      est,
      ENROL,
      [CSR, CHUNKED],
      `${(30_000).toString(16)}\r\n${'x'.repeat(30_000)}\r\n0\r\n\r\n`,
      413,
    ],
    ['SZTP', sztp, SZTP_GET_PATH, [YANG, 'Content-Length: 5', 'Accept: text/*, */*;q=0.1'], 'small', 401],
  ] as const)(
    'a body that is to be looked at is asked for: %s',
    async (_, server, path, fields, body, status) => {
      const request = head(`POST ${path}`, ...fields, 'Expect: 100-Continue');
      const answer = await speakExpecting(await server(), request, body);
      expect([answer.isTold, answer.status]).toEqual([true, status]);
    },
  );

  it.each(['200-ok', '100-continue, 200-ok', 'x=100-continue'])(
    '%s, which nobody meets, is 417',
    async (expected) => {
      const fields = [CSR, 'Content-Length: 5', `Expect: ${expected}`];
      const answer = await speakExpecting(await est(), head(`POST ${ENROL}`, ...fields), 'never');
      expect([answer.isTold, answer.status, answer.text]).toEqual([
        false,
        417,
        expect.stringContaining('100-continue'),
      ]);
      const yang = await speakExpecting(await sztp(), head(`POST ${SZTP_GET_PATH}`, ...fields), 'never');
      const [error] = RestconfErrors.parse(JSON.parse(yang.text))['ietf-restconf:errors'].error;
      expect([yang.status, error?.['error-tag']]).toEqual([417, 'operation-not-supported']);
    },
  );
});
