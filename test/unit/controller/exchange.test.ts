/** The servers that boxes and foreign clients speak to, on real connections: methods, what is no HTTP, refused bodies. */
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import type { Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { createDeviceHandler, deviceRefusal } from '../../../src/controller/deviceApi.ts';
import { createExchangeServer, type Handler } from '../../../src/controller/exchange.ts';
import { plain } from '../../../src/controller/est/answers.ts';
import { createEstHandler } from '../../../src/controller/est/estServer.ts';
import { createHandshakeGate } from '../../../src/controller/handshakeGate.ts';
import { openSqliteStore } from '../../../src/controller/store/sqlite.ts';
import { bootstrapRefusal } from '../../../src/controller/sztp/answers.ts';
import { createBootstrapHandler } from '../../../src/controller/sztp/bootstrapServer.ts';
import { RestconfErrors, SZTP_GET_PATH } from '../../../src/model/sztp.ts';
import { createLogger } from '../../../src/system/linux/logger.ts';
import { makeCa } from '../pki/domain.ts';
import { createControllerParts } from './controllerParts.ts';
import { makeServerCredential, speak, speakExpecting } from './wire.ts';

const { tls } = makeServerCredential();
const log = createLogger({ name: 'test', write: () => undefined });
const clock = { nowMs: () => 1_000, monotonicMs: () => 0, sleep: async () => undefined };
const anchors = { manufacturers: [], domain: makeCa('Domain').certificate, previous: [] };
const notAsked = async (): Promise<never> => {
  throw new Error('nobody is asked before the request is one');
};
const servers: Server[] = [];
afterEach(() => {
  for (const server of servers.splice(0)) {
    server.closeAllConnections();
    server.close();
  }
});

async function listen(
  handle: Handler,
  refusal: typeof plain | typeof bootstrapRefusal | typeof deviceRefusal,
): Promise<number> {
  const server = createExchangeServer({
    tls,
    handle,
    refusal,
    failed: () => ({ status: 500 }),
    gate: createHandshakeGate({ clock, together: 8, waiting: 8, patienceMs: 5_000, turnMs: 500 }),
    log,
  });
  servers.push(server);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}

const parts = () => {
  const store = openSqliteStore(':memory:');
  const { admissions, pending } = createControllerParts({ store, clock, log });
  const signer = {
    ldevid: notAsked,
    serverCertificate: notAsked,
    clientCertificate: notAsked,
    desired: notAsked,
    order: notAsked,
    conveyed: notAsked,
    revocationList: notAsked,
    anchors: notAsked,
    drop: notAsked,
  };
  return { store, admissions, pending, signer, anchors, clock, log };
};
const est = () => listen(createEstHandler({ ...parts(), offered: [], onEnrolled: () => undefined }), plain);
const sztp = () => {
  const ownerOf = (): never => expect.unreachable();
  const manufacturer = { requestVoucher: notAsked, release: notAsked, ping: notAsked };
  return listen(createBootstrapHandler({ ...parts(), manufacturer, ownerOf }), bootstrapRefusal);
};
const device = () => {
  const unread = (): never => expect.unreachable();
  const kept = { take: notAsked, open: unread, remove: notAsked };
  const offered = { ...kept, register: notAsked, takePart: notAsked, list: notAsked, offered: notAsked };
  const further = {
    bundles: kept,
    firmware: offered,
    fleet: { read: notAsked },
    uplinkTest: { handle: notAsked },
    moved: { handle: notAsked },
  };
  return listen(createDeviceHandler({ ...parts(), ...further }), deviceRefusal);
};
const JSON_TYPE = 'application/yang-data+json';
const XML = 'application/yang-data+xml';
const ENROL = '/.well-known/est/simpleenroll';
const head = (line: string, ...fields: readonly string[]): string =>
  [`${line} HTTP/1.1`, 'Host: localhost', 'Connection: close', ...fields, '', ''].join('\r\n');

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
    const method = await speak(port, head(`FOO ${SZTP_GET_PATH}`));
    const [error] = RestconfErrors.parse(JSON.parse(method.text))['ietf-restconf:errors'].error;
    expect([method.status, error?.['error-tag']]).toEqual([501, 'operation-not-supported']);
  });
});

describe('what a RESTCONF client looks for first', () => {
  const LIBRARY = '/restconf/data/ietf-yang-library:modules-state';
  const get = async (line: string, ...fields: readonly string[]) =>
    speak(await sztp(), head(line, ...fields));

  it('is the root, told by the host (RFC 8040 3.1)', async () => {
    const answer = await get('GET /.well-known/host-meta', 'Accept: application/xrd+xml');
    expect([answer.status, answer.headers['content-type']]).toEqual([200, 'application/xrd+xml']);
    expect(answer.text).toMatch(/<Link rel="restconf" href="\/restconf"\/>/);
    const bare = await get('HEAD /.well-known/host-meta');
    expect([bare.status, bare.headers['content-length'], bare.text]).toEqual([
      200,
      String(answer.text.length),
      '',
    ]);
  });

  it.each([
    ['', { 'ietf-restconf:restconf': { data: {}, operations: {}, 'yang-library-version': '2016-06-21' } }],
    ['/', { 'ietf-restconf:restconf': { 'yang-library-version': '2016-06-21' } }],
    ['/yang-library-version', { 'ietf-restconf:yang-library-version': '2016-06-21' }],
    [
      '/operations',
      {
        'ietf-restconf:operations': {
          'ietf-sztp-bootstrap-server:get-bootstrapping-data': [null],
          'ietf-sztp-bootstrap-server:report-progress': [null],
        },
      },
    ],
    [
      '/data?content=nonconfig',
      {
        'ietf-restconf:data': {
          'ietf-restconf-monitoring:restconf-state': {},
          'ietf-yang-library:modules-state': {},
        },
      },
    ],
  ])('is what is below it: %s', async (path, part) => {
    const answer = await get(`GET /restconf${path}`);
    expect([answer.status, answer.headers['content-type']]).toEqual([200, 'application/yang-data+json']);
    expect(JSON.parse(answer.text)).toMatchObject(part);
  });

  it('is the modules, each operation’s and ours as docs have it', async () => {
    const library: unknown = JSON.parse((await get(`GET ${LIBRARY}`)).text);
    const ours = readFileSync(join(import.meta.dirname, '../../../docs/branchbox-sztp.yang'), 'utf8');
    const revision = /revision (\d{4}-\d{2}-\d{2})/.exec(ours)?.[1];
    const namespace = /namespace "([^"]+)"/.exec(ours)?.[1];
    expect(library).toMatchObject({
      'ietf-yang-library:modules-state': {
        module: expect.arrayContaining([
          expect.objectContaining({ name: 'ietf-sztp-bootstrap-server', feature: ['onboarding-server'] }),
          { name: 'branchbox-sztp', revision, namespace, 'conformance-type': 'implement' },
        ]),
      },
    });
  });

  it.each([
    [`POST ${LIBRARY}`, 405, 'operation-not-supported'],
    ['DELETE /restconf/data', 405, 'operation-not-supported'],
    ['GET /restconf/data?depth=1', 400, 'invalid-value'],
    [`POST ${SZTP_GET_PATH}?insert=first`, 400, 'invalid-value'],
    ['GET /restconf/data/ietf-interfaces:interfaces', 404, 'invalid-value'],
    [
      'GET /restconf/operations/ietf-sztp-bootstrap-server:get-bootstrapping-data',
      405,
      'operation-not-supported',
    ],
    ['GET /', 404, 'invalid-value'],
  ])('%s is %i', async (line, status, tag) => {
    const answer = await get(line);
    const [error] = RestconfErrors.parse(JSON.parse(answer.text))['ietf-restconf:errors'].error;
    expect([answer.status, error?.['error-tag']]).toEqual([status, tag]);
    if (status === 405) expect(answer.headers['allow']).toMatch(/OPTIONS/);
  });

  it.each([
    ['', '<restconf xmlns="urn:ietf:params:xml:ns:yang:ietf-restconf"><data/><operations/>'],
    [
      '/operations',
      '<operations xmlns="urn:ietf:params:xml:ns:yang:ietf-restconf"><get-bootstrapping-data xmlns="urn:ietf:params:xml:ns:yang:ietf-sztp-bootstrap-server"/>',
    ],
    ['/data', '<module><name>branchbox-sztp</name>'],
  ])('is the same in XML: %s', async (path, part) => {
    const answer = await get(`GET /restconf${path}`, `Accept: ${XML}`);
    expect([answer.status, answer.headers['content-type']]).toEqual([200, XML]);
    expect(answer.text).toContain(part);
  });

  it.each([
    ['in XML, where that is asked for', ['Accept: text/html;q=0.9, application/yang-data+xml'], XML],
    ['in JSON, where that is preferred', [`Accept: ${XML};q=0.5, */*`], JSON_TYPE],
    ['in what was sent', [`Content-Type: ${XML}`], XML],
    ['in what is asked for, whatever was sent', [`Content-Type: ${XML}`, `Accept: ${JSON_TYPE}`], JSON_TYPE],
    ['in JSON, where nothing that is here is taken', ['Accept: text/html'], JSON_TYPE],
  ])('is refused %s', async (_, fields, type) => {
    const answer = await get('POST /restconf/none', ...fields, 'Content-Length: 0');
    expect([answer.status, answer.headers['content-type']]).toEqual([404, type]);
    expect(answer.text).toMatch(
      type === XML ? /<error-tag>invalid-value<\/error-tag>/ : /"error-tag":"invalid-value"/,
    );
  });

  it('is answered in nothing else', async () => {
    expect((await get('GET /restconf', 'Accept: text/html')).status).toBe(406);
    const options = await get('OPTIONS /restconf');
    expect([options.status, options.headers['allow']]).toEqual([204, 'GET, HEAD, OPTIONS']);
  });
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
