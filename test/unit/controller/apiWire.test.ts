/** The REST API on a real connection: methods that it does not have, what is no HTTP, and bodies that are refused. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeEach, describe, expect, it } from 'vitest';
import { failAccept } from '../../fakes/failedAccept.ts';
import { ApiError } from '../../../src/controller/api/errors.ts';
import { imageArchive } from '../../fakes/imageArchive.ts';
import { listenTo, type RunningApi, useApi, WIRE } from './apiWorld.ts';
import { fetched, speak, speakExpecting } from './wire.ts';

let running: RunningApi;
let port: number;
useApi((fresh) => {
  running = fresh;
});
beforeEach(async () => {
  port = await listenTo(running);
});

const head = (line: string, ...fields: readonly string[]): string =>
  [
    `${line} HTTP/1.1`,
    'Host: localhost',
    `Authorization: Bearer ${running.token}`,
    'Connection: close',
    ...fields,
    '',
    '',
  ].join('\r\n');

describe('a method', () => {
  it.each([
    ['PROPFIND', '/api/v1/fleet', 'GET, HEAD, PUT, OPTIONS'],
    ['QUERY', '/api/v1/gateways/branch1/status', 'GET, HEAD, OPTIONS'],
    ['M-SEARCH', '/healthz', 'GET, HEAD, OPTIONS'],
    ['MKCOL', '/api/v1/inventory/SN-1', 'GET, HEAD, PATCH, DELETE, OPTIONS'],
    ['TRACE', '/api/v1/firmware/parts', 'POST, OPTIONS'],
  ])(
    '%s %s, which HTTP has and the path has not, is 405 with those that it has',
    async (method, path, allow) => {
      const answer = await speak(port, head(`${method} ${path}`));
      expect([answer.status, answer.headers['allow']]).toEqual([405, allow]);
      expect(ApiError.parse(JSON.parse(answer.text)).code).toBe('controller/not-found');
    },
  );

  it('is answered after a connection that could not be accepted', async () => {
    const asked = () => speak(port, head('GET /api/v1/nowhere'));
    await failAccept(asked);
    expect((await asked()).status).toBe(404);
  });

  it('at a path that there is not is 404, whichever it is', async () => {
    expect((await speak(port, head('PROPFIND /api/v1/nowhere'))).status).toBe(404);
    expect((await speak(port, head('OPTIONS /api/v1/nowhere'))).status).toBe(404);
  });

  it('OPTIONS says what there is, and what PATCH takes', async () => {
    const one = await speak(port, head('OPTIONS /api/v1/inventory/SN-1'));
    expect([one.status, one.text]).toEqual([204, '']);
    expect([one.headers['allow'], one.headers['accept-patch']]).toEqual([
      'GET, HEAD, PATCH, DELETE, OPTIONS',
      'application/json',
    ]);
    const fleet = await speak(port, head('OPTIONS /api/v1/fleet'));
    expect([fleet.headers['allow'], fleet.headers['accept-patch']]).toEqual([
      'GET, HEAD, PUT, OPTIONS',
      undefined,
    ]);
    const all = await speak(port, head('OPTIONS *'));
    expect([all.status, all.headers['allow']]).toEqual([204, 'GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS']);
    expect(
      (await speak(port, 'OPTIONS /api/v1/fleet HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n')).status,
    ).toBe(401);
  });

  it('HEAD has no body, whatever is said', async () => {
    for (const [path, status] of [
      ['/api/v1/inventory', 200],
      ['/api/v1/fleet', 404],
      ['/api/v1/firmware/parts', 405],
    ] as const) {
      const answer = await speak(port, head(`HEAD ${path}`));
      expect([answer.status, answer.text]).toEqual([status, '']);
      expect(Number(answer.headers['content-length'])).toBeGreaterThan(0);
    }
  });

  it.each([
    ['FOO /api/v1/fleet', 501, 'there is no method FOO here'],
    ['FOO-bar_9 /api/v1/fleet', 501, 'there is no method FOO-bar_9 here'],
    ['CONNECT localhost:443', 501, 'there is no method CONNECT here'],
    ['(x) /api/v1/fleet', 400, 'this is no request of HTTP/1.1'],
    ['GET /api/v1/fl eet', 400, 'the request is not well-formed HTTP/1.1'],
  ])('or what stands in its place, %s, is %i with our own body', async (line, status, message) => {
    const answer = await speak(port, head(line), 'and more');
    expect([answer.status, answer.headers['connection']]).toEqual([status, 'close']);
    expect(answer.headers['content-type']).toContain('application/json');
    expect(ApiError.parse(JSON.parse(answer.text)).message).toBe(message);
  });

  it('that is none, behind a request of the same connection, is answered behind that one', async () => {
    const good = 'GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n';
    const both = await speak(port, `${good}FOO /healthz HTTP/1.1\r\nHost: x\r\n\r\n`);
    expect(both.status).toBe(200);
    expect(both.text).toMatch(/^\{"ok":true,.*\}HTTP\/1\.1 501 Not Implemented\r\n/);
  });
});

it('a header that is too long is 431 with our own body', async () => {
  const answer = await speak(port, head('GET /api/v1/fleet', `X-Long: ${'x'.repeat(20_000)}`));
  expect([answer.status, ApiError.parse(JSON.parse(answer.text)).code]).toEqual([431, 'model/invalid']);
});

describe('a body that is refused while it is sent', () => {
  const TOO_MUCH = 20_000_000;
  const body = Buffer.alloc(TOO_MUCH, 0x20);
  const json = 'Content-Type: application/json';
  const length = `Content-Length: ${TOO_MUCH}`;
  const codeOf = (text: string) => ApiError.parse(JSON.parse(text)).code;

  it('gets its 413, also by a client that looks for it only when all is sent', async () => {
    const answer = await speak(port, head('PUT /api/v1/fleet', json, length), body);
    expect([answer.status, answer.headers['connection'], codeOf(answer.text)]).toEqual([
      413,
      'close',
      'model/invalid',
    ]);
  });

  it('gets its 413 where no length was said before', async () => {
    const chunk = `${TOO_MUCH.toString(16)}\r\n`;
    const parts = [
      head('PUT /api/v1/fleet', json, 'Transfer-Encoding: chunked'),
      chunk,
      body,
      '\r\n0\r\n\r\n',
    ];
    expect((await speak(port, ...parts)).status).toBe(413);
  });

  it.each([
    ['PUT /api/v1/fleet', 'Content-Type: text/plain', 415],
    ['POST /api/v1/fleet', json, 405],
    ['PUT /api/v1/nowhere', json, 404],
    ['POST /api/v1/bundles', 'Content-Type: application/x-tar', 413],
  ])('gets whatever else it is refused with: %s with %s is %i', async (line, type, status) => {
    const answer = await speak(port, head(line, type, length), body);
    expect([answer.status, codeOf(answer.text)]).toEqual([
      status,
      expect.stringMatching(/^(model|controller)\//),
    ]);
  });

  it('of somebody who may nothing gets its 401', async () => {
    const request = `PUT /api/v1/fleet HTTP/1.1\r\nHost: x\r\n${json}\r\n${length}\r\n\r\n`;
    expect((await speak(port, request, body)).status).toBe(401);
  });

  it('is one to Node’s fetch', async () => {
    const anchor = join(running.directory, 'anchor.pem');
    await writeFile(anchor, WIRE.anchorPem);
    const headers = { authorization: `Bearer ${running.token}`, 'content-type': 'application/json' };
    for (let i = 0; i < 3; i += 1) {
      const url = `https://localhost:${port}/api/v1/fleet`;
      const answer = await fetched(url, anchor, { method: 'PUT', headers, bodyBytes: TOO_MUCH });
      expect(answer).toMatchObject({ status: 413, text: expect.stringContaining('model/invalid') });
    }
  });
});

describe('Expect: 100-continue', () => {
  const LENGTH = 'Content-Length: 20000000';
  const JSON_BODY = 'Content-Type: application/json';
  const TAR = 'Content-Type: application/x-tar';
  const WAITS = 'Expect: 100-continue';

  it.each([
    ['PUT /api/v1/fleet', [JSON_BODY, LENGTH], 413],
    ['PUT /api/v1/fleet', ['Content-Type: text/plain', 'Content-Length: 5'], 415],
    ['PUT /api/v1/fleet', [JSON_BODY, 'Content-Encoding: gzip', LENGTH], 415],
    ['POST /api/v1/fleet', [JSON_BODY, 'Content-Length: 5'], 405],
    ['PUT /api/v1/nowhere', [JSON_BODY, LENGTH], 404],
    ['POST /api/v1/bundles', [TAR, LENGTH], 413],
    [`POST /api/v1/firmware/parts?sha256=${'0'.repeat(64)}`, [TAR, LENGTH], 404],
  ])('%s with %j is %i, and no body is asked for', async (line, fields, status) => {
    const answer = await speakExpecting(port, head(line, ...fields, WAITS), 'never');
    expect([answer.isTold, answer.status, answer.headers['connection']]).toEqual([false, status, 'close']);
    expect(ApiError.parse(JSON.parse(answer.text)).code).toMatch(/^(model|controller)\//);
  });

  it('of somebody who may nothing is 401, and no body is asked for', async () => {
    const request = `PUT /api/v1/fleet HTTP/1.1\r\nHost: x\r\n${JSON_BODY}\r\n${LENGTH}\r\n${WAITS}\r\n\r\n`;
    const answer = await speakExpecting(port, request, 'never');
    expect([answer.isTold, answer.status]).toEqual([false, 401]);
  });

  it.each([
    ['PUT /api/v1/fleet', JSON_BODY, '[1]', 400],
    ['POST /api/v1/inventory', JSON_BODY, '{"serial":"SN-77"}', 201],
    ['POST /api/v1/bundles', TAR, imageArchive().toString(), 201],
  ])('%s of %s, which has to be looked at, asks for its body', async (line, type, body, status) => {
    const request = head(line, type, `Content-Length: ${body.length}`, WAITS);
    const answer = await speakExpecting(port, request, body);
    expect([answer.isTold, answer.status]).toEqual([true, status]);
  });

  it('is the only expectation that is met: another is 417', async () => {
    for (const expected of ['200-ok', '100-continue, 200-ok']) {
      const request = head('PUT /api/v1/fleet', JSON_BODY, 'Content-Length: 5', `Expect: ${expected}`);
      const answer = await speakExpecting(port, request, 'never');
      expect([answer.isTold, answer.status]).toEqual([false, 417]);
      expect(ApiError.parse(JSON.parse(answer.text)).code).toBe('model/invalid');
    }
  });
});
