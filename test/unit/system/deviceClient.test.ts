/** The box's client of the device API against a real server: who is silent, the server or who reads. */
import { once } from 'node:events';
import type { ServerResponse } from 'node:http';
import { createServer, type Server } from 'node:https';
import { connect, type TLSSocket } from 'node:tls';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { exportPrivateKey } from '../../../src/pki/keys.ts';
import { createDeviceClient } from '../../../src/system/deviceClient.ts';
import { issue, makeCa } from '../pki/domain.ts';

const validity = { notBeforeMs: Date.now() - 86_400_000, notAfterMs: Date.now() + 86_400_000 };
const ca = makeCa('Device API', validity);
const name = { commonName: 'controller', dnsNames: ['localhost'], ipAddresses: ['127.0.0.1', '::1'] };
const own = issue(ca, { kind: 'server', ...name }, validity);
const box = issue(ca, { kind: 'ldevid', gatewayId: 'branch1' }, validity);
/** Long enough for a busy machine to answer. */
const IDLE_MS = 1000;

let server: Server;
let answerWith: (response: ServerResponse) => void;
let socket: TLSSocket;
const open = async (host = '127.0.0.1') => {
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  const client = createDeviceClient({
    server: () => ({ host, port: address.port }),
    credentials: async () => ({
      key: exportPrivateKey(box.key),
      certificatePem: box.certificate.pem,
      anchorPem: ca.certificate.pem,
    }),
    dialer: {
      async connectTls({ port, tls }) {
        // Of the same server, whatever it is called.
        socket = connect({ host: '127.0.0.1', port, ...tls });
        await once(socket, 'secureConnect');
        return { socket, uplink: { ifname: 'lo', address: '127.0.0.1', dns: [] } };
      },
    },
    idleTimeoutMs: IDLE_MS,
  });
  return client.get('/part', { signal: new AbortController().signal });
};

beforeEach(async () => {
  server = createServer(
    { key: exportPrivateKey(own.key).reveal(), cert: own.certificate.pem },
    (_request, response) => answerWith(response),
  );
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
});
afterEach(() => {
  server.close();
  server.closeAllConnections();
});

it('waits for a reader that takes its time, as one who is held to a rate does', async () => {
  const bytes = Buffer.alloc(4 * 1024 * 1024, 7);
  answerWith = (response) => response.end(bytes);
  const answer = await open();
  const parts: Buffer[] = [];
  for await (const chunk of answer) {
    // Twice as long as a server may be silent, before anything more is taken.
    if (parts.length === 0) for (let times = 0; times < 2; times += 1) await once(socket, 'timeout');
    parts.push(Buffer.from(chunk));
  }
  expect(Buffer.concat(parts).equals(bytes)).toBe(true);
});

it('lets go of a server that says nothing more', async () => {
  answerWith = (response) => response.writeHead(200, { 'Content-Length': 100 }).write('half');
  const answer = await open();
  await expect(async () => {
    for await (const chunk of answer) expect(chunk.toString()).toBe('half');
  }).rejects.toThrow(/no byte for 1 s|aborted/);
  answerWith = () => undefined;
  await expect(open()).rejects.toMatchObject({ code: 'controller/unreachable' });
});

it.each([
  ['controller.example', /^controller\.example:\d+$/],
  ['2001:db8::1', /^\[2001:db8::1\]:\d+$/],
])('names its server %s as HTTP has it, for what may stand before that', async (host, told) => {
  const heads: unknown[] = [];
  answerWith = (response) => {
    heads.push(response.req.headers.host);
    response.end();
  };
  (await open(host)).destroy();
  expect(heads).toEqual([expect.stringMatching(told)]);
});
