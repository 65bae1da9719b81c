/** What a RESTCONF client looks for before it asks for anything: the root, what is below it, and in which words. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { RestconfErrors, SZTP_GET_PATH } from '../../../src/model/sztp.ts';
import { createExchangeServers, head } from './exchangeServers.ts';
import { speak } from './wire.ts';

const JSON_TYPE = 'application/yang-data+json';
const XML = 'application/yang-data+xml';

const { sztp, close } = createExchangeServers();
afterEach(close);

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
