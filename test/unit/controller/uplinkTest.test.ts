/** The far end of uplink tests: whom it answers, how often and how much. Its sockets: uplinkTestFarEnd.test.ts. */
import { createHmac } from 'node:crypto';
import { createServer, get, IncomingMessage, ServerResponse } from 'node:http';
import { type AddressInfo, connect, Socket } from 'node:net';
import { describe, expect, it } from 'vitest';
import { createUplinkTestRoutes } from '../../../src/controller/uplinkTest/deviceRoutes.ts';
import { createProbeSessions } from '../../../src/controller/uplinkTest/sessions.ts';
import { openSqliteStore } from '../../../src/controller/store/sqlite.ts';
import {
  bytesOfHex,
  downloadPath,
  encodeAsk,
  parseAnswer,
  PROBE_HEADER_BYTES,
  PROBE_LIMITS,
  type ProbeSession,
  SESSION_PATH,
  type Tag,
  TRANSFER_MAX_BYTES,
  UPLOAD_PATH,
} from '../../../src/model/uplinkProbe.ts';
import type { UplinkReport } from '../../../src/model/uplinkReport.ts';

const FROM = { address: '203.0.113.9', port: 4242 };

function world() {
  let nowMs = 0;
  const sessions = createProbeSessions({ ports: [8447, 8448], monotonicMs: () => nowMs });
  return { sessions, pass: (durationMs: number) => void (nowMs += durationMs), nowMs: () => nowMs };
}
function granted(sessions: { grant(id: string): ProbeSession | undefined }, id = 'branch1') {
  const session = sessions.grant(id);
  if (session === undefined) throw new Error('not granted');
  const tag: Tag = (signed) =>
    createHmac('sha256', Buffer.from(session.key, 'base64')).update(signed).digest();
  const ask = (number: number, sizeBytes = 100, answerBytes = sizeBytes): Uint8Array =>
    encodeAsk({ session: bytesOfHex(session.session), number, answerBytes }, sizeBytes, tag);
  return { session, tag, ask };
}

describe('a probe', () => {
  it('of a granted session is answered with where it came from, and never with more than came', () => {
    const { sessions } = world();
    const { ask, tag } = granted(sessions);
    const answer = sessions.answer(ask(1, 100, 60_000), FROM);
    expect(answer).toHaveLength(100);
    expect(parseAnswer(answer ?? new Uint8Array(), tag)).toMatchObject({
      number: 1,
      cameBytes: 100,
      port: 4242,
    });
    expect(sessions.answer(ask(2, 1472, 0), FROM)).toHaveLength(PROBE_HEADER_BYTES);
  });

  it('that is repeated, unknown, forged, too short, late or one too many is not answered', () => {
    const { sessions, pass } = world();
    const { ask } = granted(sessions);
    const probe = ask(1);
    expect(sessions.answer(probe, FROM)).toBeDefined();
    expect(sessions.answer(probe, { address: '198.51.100.99', port: 53 })).toBeUndefined();
    const forged = ask(2);
    forged[20] = 1;
    expect(sessions.answer(forged, FROM)).toBeUndefined();
    expect(sessions.answer(ask(3).subarray(0, 40), FROM)).toBeUndefined();
    expect(sessions.answer(granted(world().sessions).ask(4), FROM)).toBeUndefined();
    expect(sessions.answer(ask(PROBE_LIMITS.packets + 1), FROM)).toBeUndefined();
    pass(PROBE_LIMITS.lifeMs);
    expect(sessions.answer(ask(5), FROM)).toBeUndefined();
  });

  it('is not answered beyond the bytes of a session, nor under a gateway’s last session', () => {
    const { sessions } = world();
    const old = granted(sessions);
    const { ask } = granted(sessions);
    expect(sessions.answer(old.ask(1), FROM)).toBeUndefined();
    let answeredBytes = 0;
    for (let number = 1; number <= PROBE_LIMITS.packets; number += 1) {
      answeredBytes += sessions.answer(ask(number, 9000), FROM)?.length ?? 0;
    }
    expect(answeredBytes).toBeLessThanOrEqual(PROBE_LIMITS.bytes);
    expect(answeredBytes).toBeGreaterThan(PROBE_LIMITS.bytes - 9000);
  });

  it('has no session where too many are open, until some have ended', () => {
    const { sessions, pass } = world();
    for (let i = 0; i < 2_000; i += 1) expect(sessions.grant(`g${i}`)).toBeDefined();
    expect(sessions.grant('one-more')).toBeUndefined();
    pass(PROBE_LIMITS.lifeMs);
    expect(sessions.grant('one-more')).toBeDefined();
  });
});

describe('the device API', () => {
  const asked = (contentLength?: number) => {
    const request = new IncomingMessage(new Socket());
    if (contentLength !== undefined) request.headers['content-length'] = String(contentLength);
    return request;
  };
  const routes = (nowMs: () => number = () => 0) =>
    createUplinkTestRoutes({ sessions: world().sessions, monotonicMs: nowMs });
  const response = () => new ServerResponse(asked());

  it('grants a session, and leaves other paths to others', async () => {
    const at = routes();
    const grant = await at.handle('branch1', asked(), response(), { method: 'POST', path: SESSION_PATH });
    expect(grant).toMatchObject({ status: 200 });
    expect(
      await at.handle('branch1', asked(), response(), { method: 'GET', path: '/v1/ping' }),
    ).toBeUndefined();
    expect(
      await at.handle('branch1', asked(), response(), { method: 'POST', path: downloadPath(9) }),
    ).toBeUndefined();
  });

  it('moves no more than a test needs, one transfer a gateway at a time', async () => {
    const at = routes();
    const post = { method: 'POST', path: UPLOAD_PATH };
    const get = (bytes: number) => ({ method: 'GET', path: downloadPath(bytes) });
    expect(await at.handle('branch1', asked(), response(), post)).toMatchObject({ status: 411 });
    expect(await at.handle('branch1', asked(), response(), get(TRANSFER_MAX_BYTES + 1))).toMatchObject({
      status: 413,
    });
    const upload = asked(1000);
    const moving = at.handle('branch1', upload, response(), post);
    expect(await at.handle('branch1', asked(), response(), get(1))).toMatchObject({
      status: 503,
      headers: { 'Retry-After': '10' },
    });
    upload.push(Buffer.alloc(1000));
    upload.push(null);
    expect(await moving).toMatchObject({ status: 200, body: '{"receivedBytes":1000}' });
    // An hour's worth, and one more.
    for (let i = 0; i < 7; i += 1) {
      const more = asked(TRANSFER_MAX_BYTES);
      more.push(null);
      expect(await at.handle('branch1', more, response(), post)).toMatchObject({ status: 200 });
    }
    const last = asked(TRANSFER_MAX_BYTES);
    expect(await at.handle('branch1', last, response(), post)).toMatchObject({ status: 503 });
    const other = asked(TRANSFER_MAX_BYTES);
    other.push(null);
    expect(await at.handle('branch2', other, response(), post)).toMatchObject({ status: 200 });
  });

  it('sends as many bytes as were asked for, and is free again when a box hangs up', async () => {
    const at = routes();
    const server = createServer(
      (request, answer) =>
        void at.handle('branch1', request, answer, { method: request.method ?? '', path: request.url ?? '' }),
    );
    await new Promise<void>((resolve) => {
      server.listen(0, '127.0.0.1', resolve);
    });
    const { port } = server.address() as AddressInfo;
    const ask = (bytes: number): Promise<IncomingMessage> =>
      new Promise((resolve) => {
        get({ host: '127.0.0.1', port, path: downloadPath(bytes), agent: false }, resolve);
      });
    const cutOff = await ask(TRANSFER_MAX_BYTES);
    cutOff.destroy();
    await new Promise((resolve) => {
      cutOff.once('close', resolve);
    });
    // The server hears of it a moment later.
    let answer = await ask(200_000);
    while (answer.statusCode !== 200) answer = await ask(200_000);
    let came = 0;
    for await (const chunk of answer) came += Buffer.from(chunk).length;
    expect(came).toBe(200_000);
    server.closeAllConnections();
    server.close();
  });

  /** A request of a box over a real connection, of which the box reads nothing. */
  async function boxAsks(path: string) {
    const came = Promise.withResolvers<[IncomingMessage, ServerResponse]>();
    const server = createServer((request, answer) => came.resolve([request, answer]));
    await new Promise<void>((resolve) => {
      server.listen(0, '127.0.0.1', resolve);
    });
    const { port } = server.address() as AddressInfo;
    const box = connect(port, '127.0.0.1', () => box.write(`GET ${path} HTTP/1.1\r\nHost: c\r\n\r\n`));
    box.pause();
    const [request, answer] = await came.promise;
    server.close();
    return { box, request, answer };
  }
  const download = { method: 'GET', path: downloadPath(TRANSFER_MAX_BYTES) };

  it('is free again where a box hung up while its certificate was looked at', async () => {
    const at = routes();
    const { box, request, answer } = await boxAsks(download.path);
    box.destroy();
    await new Promise((resolve) => {
      answer.once('close', resolve);
    });
    expect(await at.handle('branch1', request, answer, download)).toBe('sent');
  });

  it('is free again where a box takes nothing of its answer', async () => {
    const { sessions } = world();
    const at = createUplinkTestRoutes({ sessions, monotonicMs: () => 0, transferTimeoutMs: 50 });
    const { box, request, answer } = await boxAsks(download.path);
    expect(await at.handle('branch1', request, answer, download)).toBe('sent');
    expect(answer.destroyed).toBe(true);
    box.destroy();
  });
});

describe('the reports of a gateway', () => {
  it('are kept once each, the newest first, and no more than twenty', async () => {
    const store = openSqliteStore(':memory:');
    const report = (id: string): UplinkReport => ({
      schema: 1,
      id,
      occasion: 'ordered',
      serial: 'SN-1',
      startedAtMs: 1,
      endedAtMs: 2,
      verdict: 'pass',
      uplinks: [],
    });
    for (let i = 1; i <= 25; i += 1) await store.uplinkReports.add('branch1', report(`r${i}`), i);
    await store.uplinkReports.add('branch1', report('r25'), 99);
    await store.uplinkReports.add('branch2', report('other'), 1);
    const kept = await store.uplinkReports.list('branch1', 100);
    expect(kept).toHaveLength(20);
    expect(kept[0]).toEqual({ receivedAtMs: 25, report: report('r25') });
    expect(kept.at(-1)?.report.id).toBe('r6');
  });
});
