/**
 * One exchange: with a server that ends the session while it is still judged, which is over then, in words; and what is
 * left of it.
 */
import { once } from 'node:events';
import type { Socket } from 'node:net';
import { connect, createServer, type TLSSocket } from 'node:tls';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { afterEach, expect, it } from 'vitest';
import { createHttps } from '../../../src/bootstrap/https.ts';
import { exportPrivateKey } from '../../../src/pki/keys.ts';
import { Secret } from '../../../src/model/secret.ts';
import { issue, makeCa, serverNamed } from '../pki/domain.ts';

const HOST = 'controller.branchbox.example';
const uplink = { ifname: 'wan1', address: '127.0.0.1', dns: [], bootstrapServers: [] };
const shown = issue(makeCa(), serverNamed(HOST));
const servers: ReturnType<typeof createServer>[] = [];
afterEach(() => {
  for (const server of servers.splice(0)) server.close();
});

/** Asks a server that does so as soon as its handshake is done; `judged`: what the judge waits for. */
async function problemOf(
  served: (socket: TLSSocket, below: Socket) => void,
  judged: (socket: TLSSocket) => Promise<unknown>,
): Promise<unknown> {
  let below: Socket | undefined;
  const server = createServer(
    { key: exportPrivateKey(shown.key).reveal(), cert: shown.certificate.pem },
    (socket) => {
      socket.on('error', () => undefined);
      if (below !== undefined) served(socket, below);
    },
  ).listen(0, '127.0.0.1');
  server.on('connection', (socket: Socket) => (below = socket));
  servers.push(server);
  await once(server, 'listening');
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  const https = createHttps({
    nowMs: Date.now,
    connect: async () => {
      const socket = connect({ host: '127.0.0.1', port, servername: HOST, rejectUnauthorized: false });
      await once(socket, 'secureConnect');
      // As the box's dialler leaves it (system/uplinkTls).
      socket.on('error', () => undefined);
      return socket;
    },
  });
  const exchange = {
    server: { host: HOST, port },
    uplink,
    identity: { key: new Secret(''), certificatePem: '' },
    peer: {
      anchorsPem: '',
      judge: async (socket: TLSSocket) => {
        await judged(socket);
      },
    },
    method: 'GET',
    path: '/',
    accept: '*/*',
    maxBytes: 1024,
  } as const;
  return https(exchange, new AbortController().signal).then(
    ({ status }) => status,
    (thrown: unknown) => (thrown instanceof Error ? thrown.message.replace(/^.* over /, '') : thrown),
  );
}

const closed = (socket: TLSSocket): Promise<unknown> => {
  socket.resume();
  return once(socket, 'close');
};

it.each<[string, (socket: TLSSocket, below: Socket) => void, RegExp]>([
  ['ends it', (socket) => socket.end(), /^wan1: hung up after the handshake$/],
  ['breaks it off', (_socket, below) => below.resetAndDestroy(), /^wan1: .*ECONNRESET/],
])('a server that %s before it is asked is no wait without end', async (_, served, words) => {
  expect(await problemOf(served, closed)).toMatch(words);
});

it('what is judged in time is asked', async () => {
  const answer = 'HTTP/1.1 204 No Content\r\n\r\n';
  expect(
    await problemOf(
      (socket) => socket.once('data', () => socket.end(answer)),
      async () => {},
    ),
  ).toBe(204);
});

it.each([
  ['no head', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n y', false],
  [
    'folded',
    'HTTP/1.1 200 OK\r\nContent-Type: application/pkcs7-mime;\r\n smime-type=certs-only\r\n\r\n',
    true,
  ],
  ['folded at its beginning', 'HTTP/1.1 200 OK\r\nContent-Length:\r\n\t0\r\n\r\n', true],
  ['another thing', 'HTTP/1.1 200 OK\r\nno header\r\n\r\n and\r\n no fold\r\n', false],
])('a head that is %s is refused in words (RFC 9112 5.2)', async (_, head, isFolded) => {
  const said = await problemOf(
    (socket) => socket.once('data', () => socket.end(head)),
    async () => {},
  );
  expect(said).toMatch(/^wan1: answered with what is no HTTP\/1\.1 \(Parse Error: .+\)/);
  expect(String(said).includes('(obs-fold), which no server may send (RFC 9112 5.2)')).toBe(isFolded);
});

it('asks for no content coding, which a server may choose where nobody says so (RFC 9110 12.5.3)', async () => {
  let head = '';
  await problemOf(
    (socket) =>
      socket.once('data', (bytes) => {
        head = bytes.toString('latin1');
        socket.end('HTTP/1.1 204 No Content\r\n\r\n');
      }),
    async () => {},
  );
  expect(head).toMatch(/^accept-encoding: identity\r$/im);
});

it('leaves nothing of its session behind, whose key would keep its place in a TPM until the time is up', async () => {
  const sessions: WeakRef<TLSSocket>[] = [];
  const status = await problemOf(
    (socket) => socket.once('data', () => socket.end('HTTP/1.1 204 No Content\r\n\r\n')),
    async (socket) => void sessions.push(new WeakRef(socket)),
  );
  expect(status).toBe(204);
  setFlagsFromString('--expose-gc');
  const collect: unknown = runInNewContext('gc');
  await expect
    .poll(() => {
      if (typeof collect === 'function') collect();
      return sessions.map((session) => session.deref()?.destroyed);
    })
    .toEqual([undefined]);
});
