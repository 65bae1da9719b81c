/** A question over a real unix socket: what comes back, and that neither silence nor a flood holds up who asked. */
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { askSocket } from '../../../src/system/askSocket.ts';

let directory: string;
let server: Server;
let socketPath: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'bbt-ask-'));
  socketPath = join(directory, 'a.sock');
  server = createServer((request, response) => {
    if (request.url === '/silent') return;
    response.writeHead(request.url === '/none' ? 404 : 200);
    request.setEncoding('utf8');
    request.on('data', (body: string) => response.write(`${body} `));
    request.on('end', () => response.end(`${request.method} ${request.url}: è`));
  });
  await new Promise<void>((resolve) => server.listen(socketPath, resolve));
});
afterEach(async () => {
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
  await rm(directory, { recursive: true });
});
const ask = (path: string, more: Partial<Parameters<typeof askSocket>[1]> = {}) =>
  askSocket({ socketPath }, { path, timeoutMs: 30_000, maxAnswerBytes: 1000, ...more });

it('is answered, whatever the answer is', async () => {
  expect(await ask('/good')).toEqual({ status: 200, text: 'GET /good: è' });
  expect(await ask('/none')).toEqual({ status: 404, text: 'GET /none: è' });
  expect(await ask('/do', { body: '{}' })).toEqual({ status: 200, text: '{} POST /do: è' });
});

it('fails where the answer is too large, late, or nobody is there', async () => {
  await expect(ask('/good', { maxAnswerBytes: 5 })).rejects.toThrow('the answer is too large');
  await expect(ask('/silent', { timeoutMs: 1 })).rejects.toThrow('no answer in time');
  await expect(
    askSocket({ socketPath: join(directory, 'none') }, { path: '/', timeoutMs: 1, maxAnswerBytes: 1 }),
  ).rejects.toThrow('ENOENT');
});
