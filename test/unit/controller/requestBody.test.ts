/** How long a refused body is read on: to its end, so many bytes, so long. */
import { once } from 'node:events';
import { createServer, type IncomingMessage } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { expect, it } from 'vitest';
import { createRouteListener, json } from '../../../src/controller/keyholder/routes.ts';
import { type DrainCaps, endAnswer, readBody } from '../../../src/controller/requestBody.ts';
import { createLogger } from '../../../src/system/linux/logger.ts';

const ANSWER = Buffer.from('too much');

/** A client that sends until it is cut off, and after `sentBytes` nothing more; what it was answered before. */
async function send(
  caps: DrainCaps,
  sentBytes: number,
): Promise<{ readonly answer: string; readonly body: unknown }> {
  let body: unknown;
  const server = createServer((request: IncomingMessage, response) => {
    void readBody(request, 1_000).then((read) => {
      body = read;
      response.writeHead(413, { 'Content-Length': ANSWER.length, Connection: 'close' });
      endAnswer(request, response, ANSWER, caps);
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const socket = connect((server.address() as AddressInfo).port, '127.0.0.1');
  let answer = '';
  socket.on('data', (chunk: Buffer) => (answer += chunk.toString()));
  socket.on('error', () => undefined);
  const closed = new Promise((resolve) => void socket.once('close', resolve));
  socket.write('PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000000000\r\n\r\n');
  const chunk = Buffer.alloc(64 * 1024);
  let sent = 0;
  const more = (): void => {
    while (sent < sentBytes && !socket.destroyed) {
      sent += chunk.length;
      if (!socket.write(chunk)) return;
    }
  };
  socket.on('drain', more);
  more();
  await closed;
  server.close();
  return { answer, body };
}

it('a sender without end is cut off after so many bytes, and has its answer', async () => {
  const { answer, body } = await send(
    { maxBytes: 1024 * 1024, timeoutMs: 3_600_000 },
    Number.POSITIVE_INFINITY,
  );
  expect(answer).toMatch(/^HTTP\/1\.1 413 [^]*too much$/);
  expect(body).toBeUndefined();
});

it('a sender that stops is waited for so long', async () => {
  const { answer } = await send({ maxBytes: Number.POSITIVE_INFINITY, timeoutMs: 20 }, 128 * 1024);
  expect(answer).toMatch(/^HTTP\/1\.1 413 [^]*too much$/);
});

it('a key-holding process tells whoever sends it too much', async () => {
  const log = createLogger({ name: 'test', write: () => undefined });
  const route = { name: 'POST /vouchers', maxBodyBytes: 1_000, answer: async () => json({}) };
  const server = createServer(createRouteListener({ routes: [route], log }));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const at = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const ask = async (path: string) =>
    (await fetch(`${at}${path}`, { method: 'POST', body: Buffer.alloc(20_000_000) })).status;
  expect([await ask('/vouchers'), await ask('/nowhere')]).toEqual([413, 404]);
  server.close();
});
