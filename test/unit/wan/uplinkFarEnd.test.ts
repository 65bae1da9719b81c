/** One connection to the controller for all of an uplink test: over the loopback, by real TLS. */
import { connect, createServer, type TLSSocket } from 'node:tls';
import { afterEach, expect, it } from 'vitest';
import { exportPrivateKey } from '../../../src/pki/keys.ts';
import { createFarEnd, type FarEnd } from '../../../src/wan/uplinkTest/farEnd.ts';
import { issue, makeCa, serverHere } from '../pki/domain.ts';

const validity = { notBeforeMs: Date.now() - 60_000, notAfterMs: Date.now() + 3_600_000 };
const controller = issue(makeCa('Domain CA', validity), serverHere('controller'), validity);
const credentials = {
  cert: controller.certificate.pem,
  key: exportPrivateKey(controller.key).reveal(),
};
const signal = new AbortController().signal;
const open: { close(): void }[] = [];
afterEach(() => {
  for (const one of open.splice(0)) one.close();
});

/** Against a controller that answers by hand: what is tested here no HTTP server does on order. */
async function farEndTo(
  serve: (socket: TLSSocket) => void,
  nowMs = () => performance.now(),
  transferTimeoutMs?: number,
): Promise<FarEnd> {
  const server = createServer(credentials, (socket) => {
    socket.on('error', () => {});
    serve(socket);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  const socket: TLSSocket = connect({ host: '127.0.0.1', port, rejectUnauthorized: false });
  socket.on('error', () => {});
  await new Promise<void>((resolve) => socket.once('secureConnect', resolve));
  const farEnd = createFarEnd(socket, 'controller', nowMs, transferTimeoutMs);
  open.push(server, farEnd);
  return farEnd;
}

it('goes on over its connection where the answer comes before all of the upload has gone', async () => {
  const bytes = 4 * 1024 * 1024;
  const farEnd = await farEndTo((socket) => {
    let head = Buffer.alloc(0);
    let left = 0;
    socket.on('data', (chunk: Buffer) => {
      const body = Math.min(left, chunk.length);
      left -= body;
      head = Buffer.concat([head, chunk.subarray(body)]);
      const end = head.indexOf('\r\n\r\n');
      if (end === -1) return;
      left = bytes - (head.length - end - 4);
      head = Buffer.alloc(0);
      socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}');
    });
  });
  for (let time = 0; time < 3; time += 1) {
    expect(await farEnd.upload(bytes, signal), `upload ${time}`).toMatchObject({ bytes });
  }
});

it('finds nothing where the controller hangs up while a transfer waits for the one before', async () => {
  const farEnd = await farEndTo((socket) => socket.on('data', () => socket.destroy()));
  // The second waits for the connection; thrown from the event of its end, an error would end the agent.
  const both = [farEnd.download(1024, signal), farEnd.download(1024, signal)];
  expect(await Promise.all(both)).toEqual([{ kind: 'cut' }, { kind: 'cut' }]);
});

it('counts the time of bytes that come in one TLS record with their answer’s head', async () => {
  let atMs = 0;
  const bytes = 8 * 1024;
  const head = `HTTP/1.1 200 OK\r\nContent-Length: ${bytes}\r\n\r\n`;
  const farEnd = await farEndTo(
    (socket) =>
      socket.on('data', () => {
        // The line took so long for them.
        atMs = 500;
        socket.write(Buffer.concat([Buffer.from(head), Buffer.alloc(bytes)]));
      }),
    () => atMs,
  );
  expect(await farEnd.download(bytes, signal)).toEqual({ kind: 'moved', bytes, durationMs: 500 });
});

it('tells a controller that is busy from a line on which nothing comes', async () => {
  const busy = await farEndTo((socket) =>
    socket.on('data', () => socket.write('HTTP/1.1 503 Busy\r\nContent-Length: 2\r\n\r\n{}')),
  );
  expect(await busy.download(1024, signal)).toEqual({ kind: 'refused', status: 503 });
  const words = ['Retry-After: 10', 'Retry-After: 0', 'Retry-After: Sun, 29 Nov 2026 09:00:00 GMT'];
  for (const [index, retryAfterMs] of [10_000, 1000, undefined].entries()) {
    const asking = await farEndTo((socket) =>
      socket.on('data', () =>
        socket.write(`HTTP/1.1 503 Busy\r\n${words[index]}\r\nContent-Length: 2\r\n\r\n{}`),
      ),
    );
    const refused = { kind: 'refused', status: 503, ...(retryAfterMs !== undefined && { retryAfterMs }) };
    expect(await asking.download(1024, signal)).toEqual(refused);
  }
  const dead = await farEndTo((socket) => socket.on('data', () => {}), undefined, 50);
  expect(await dead.download(1024, signal)).toEqual({ kind: 'stalled', bytes: 1024, withinMs: 50 });
  const short = await farEndTo((socket) =>
    socket.on('data', () => socket.end('HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nx')),
  );
  expect(await short.download(1024, signal)).toEqual({ kind: 'cut' });
});
