/** The identity process's sockets: whoever holds a connection to one does not hold up the process. */
import { mkdtemp, rm } from 'node:fs/promises';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { serveLocalApi } from '../../../src/bootstrap/localApi.ts';
import { askSocket } from '../../../src/system/askSocket.ts';
import { silentLog } from '../../fakes/silentLog.ts';
import { createFiles } from '../../../src/system/linux/files.ts';

describe('the socket of the identity process', () => {
  let directory: string;
  let socketPath: string;
  const ending = { current: new AbortController() };
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'bbt-identity-'));
    socketPath = join(directory, 'identity.sock');
    ending.current = new AbortController();
  });
  afterEach(async () => {
    ending.current.abort();
    await rm(directory, { recursive: true });
  });
  const serve = () =>
    serveLocalApi({
      files: createFiles(),
      socketPath,
      status: () => Promise.reject(new Error('not asked')),
      offer: () => true,
      log: silentLog,
      signal: ending.current.signal,
    });

  it('closes with who says half a request and then nothing', async () => {
    const server = await serve();
    const idle = connect(socketPath);
    idle.on('error', () => {});
    await once(server, 'connection');
    idle.write('GET /bootstrap HTTP/1.1\r\nHost:');
    ending.current.abort();
    await once(server, 'close');
  });

  it('goes on where it could not accept a connection, however often', async () => {
    const server = await serve();
    const failed = Object.assign(new Error('accept ENOMEM'), { code: 'ENOMEM', syscall: 'accept' });
    for (let time = 0; time < 2; time += 1) server.emit('error', failed);
    const ask = { path: '/nowhere', timeoutMs: 5_000, maxAnswerBytes: 1_000 };
    expect((await askSocket({ socketPath }, ask)).status).toBe(404);
  });

  it('gives nobody more connections than it can bear', async () => {
    await serve();
    const open: Socket[] = [];
    let closed = 0;
    for (let i = 0; i < 100; i += 1) {
      const socket = connect(socketPath);
      socket.on('error', () => {});
      socket.on('close', () => (closed += 1));
      open.push(socket);
    }
    await expect.poll(() => closed).toBe(68);
    for (const socket of open) socket.destroy();
  });

  it.each([
    ['/activation', { code: 'ABCD2345' }, 200],
    ['/activation', 'no code at all', 400],
    ['/doubt', {}, 404],
    ['/wipe', {}, 404],
    ['/move', 'jws', 404],
  ])('answers POST %s with %j by %i where nothing but a code may come', async (path, body, status) => {
    await serve();
    const asked = { path, body: JSON.stringify(body), timeoutMs: 10_000, maxAnswerBytes: 4096 };
    expect((await askSocket({ socketPath }, asked)).status).toBe(status);
  });

  it('answers a status that cannot be read, and goes on', async () => {
    await serve();
    const asked = { path: '/bootstrap', timeoutMs: 10_000, maxAnswerBytes: 4096 };
    for (let i = 0; i < 2; i += 1) {
      expect(await askSocket({ socketPath }, asked)).toMatchObject({
        status: 500,
        text: expect.stringContaining('the status cannot be read'),
      });
    }
  });
});
