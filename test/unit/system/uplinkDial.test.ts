/** Connections by uplink over the loopback, held against uplinks and DNS servers that do not answer. */
import { createServer as createHttpServer, type Server as HttpServer } from 'node:http';
import type { Resolver } from 'node:dns/promises';
import { connect as connectTcp, createServer as createTcpServer, type Socket } from 'node:net';
import { createServer, type Server, type TLSSocket } from 'node:tls';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { exportPrivateKey } from '../../../src/pki/keys.ts';
import { createUplinkDialer, type UplinkAddress } from '../../../src/system/uplinkDial.ts';
import { issue, makeCa, serverHere } from '../pki/domain.ts';
import { silentLog as log } from '../../fakes/silentLog.ts';
const validity = { notBeforeMs: Date.now() - 60_000, notAfterMs: Date.now() + 3_600_000 };
const ca = makeCa('Domain CA', validity);
const server = issue(ca, serverHere('controller'), validity);
const tls = { ca: ca.certificate.pem, allowPartialTrustChain: true };
/** Any address of 127.0.0.0/8 may be bound to: each stands for an uplink. */
const uplink = (ifname: string, address: string): UplinkAddress => ({ ifname, address, dns: [] });
const wan1 = uplink('wan1', '127.0.0.2');
const wan2 = uplink('wan2', '127.0.0.3');
/** Not an address of this machine. */
const gone = uplink('wan3', '192.0.2.77');

let listening: Server;
let port: number;
let callers: (string | undefined)[];
const sockets: TLSSocket[] = [];
beforeEach(async () => {
  callers = [];
  listening = createServer(
    { cert: server.certificate.pem, key: exportPrivateKey(server.key).reveal() },
    (socket) => {
      callers.push(socket.remoteAddress);
      socket.on('error', () => {});
    },
  );
  listening.on('tlsClientError', () => {});
  await new Promise<void>((resolve) => listening.listen(0, '127.0.0.1', resolve));
  const address = listening.address();
  port = typeof address === 'object' && address !== null ? address.port : 0;
});
afterEach(() => {
  for (const socket of sockets.splice(0)) socket.destroy();
  listening.close();
});

const dialerOf = (...uplinks: UplinkAddress[]) => createUplinkDialer({ leases: () => uplinks, log });
async function dial(uplinks: readonly UplinkAddress[], options: { host?: string; ca?: string } = {}) {
  const connection = await dialerOf(...uplinks).connectTls({
    host: options.host ?? '127.0.0.1',
    port,
    tls: { ...tls, ...(options.ca === undefined ? {} : { ca: options.ca }) },
  });
  sockets.push(connection.socket);
  return connection;
}

describe('a connection by uplink', () => {
  it('leaves by the address of the first', async () => {
    expect((await dial([wan1, wan2])).uplink).toEqual(wan1);
    await expect.poll(() => callers).toEqual(['127.0.0.2']);
  });

  it('takes the next at once where one fails', async () => {
    expect((await dial([gone, wan2, wan1])).uplink).toEqual(wan2);
    await expect.poll(() => callers).toEqual(['127.0.0.3']);
  });

  it('names what is wrong with each where none gets through', async () => {
    await expect(
      dial([gone, wan1], { ca: makeCa('Other CA', validity).certificate.pem }),
    ).rejects.toMatchObject({
      code: 'controller/unreachable',
      problems: [
        { path: 'wan3', message: expect.stringContaining('EADDRNOTAVAIL') },
        { path: 'wan1', message: expect.stringContaining('refused the handshake') },
      ],
    });
    await expect(dial([])).rejects.toMatchObject({
      message: expect.stringContaining('no uplink has an address'),
    });
  });

  it('asks no other DNS server than those of the uplink', async () => {
    await expect(dial([wan1], { host: 'controller.example' })).rejects.toMatchObject({
      problems: [{ path: 'wan1', message: expect.stringContaining('no DNS server') }],
    });
    expect(await dialerOf(wan1).resolve('198.51.100.10', wan1)).toEqual(['198.51.100.10']);
  });
});

describe('a name with several addresses', () => {
  const SILENT = ['127.0.0.4', '127.0.0.5', '127.0.0.6'];
  const held: Socket[] = [];
  const silent = SILENT.map(() => createTcpServer());
  let dialled: (string | undefined)[];
  beforeEach(async () => {
    dialled = [];
    // They take the connection, and never say a word of TLS.
    for (const [index, one] of silent.entries()) {
      one.removeAllListeners('connection').on('connection', (socket) => {
        dialled.push(socket.localAddress);
        held.push(socket.on('error', () => {}));
      });
      await new Promise<void>((resolve) => one.listen(port, SILENT[index], resolve));
    }
  });
  afterEach(() => {
    for (const socket of held.splice(0)) socket.destroy();
    for (const one of silent) one.close();
  });

  async function dialName(addresses: string[]): Promise<TLSSocket> {
    const resolve = () => Promise.resolve(addresses);
    const dialer = createUplinkDialer({
      leases: () => [wan1],
      askServers: (_uplink, ask) => ask({ resolve4: resolve, resolve6: resolve } as unknown as Resolver),
      log,
    });
    const { socket } = await dialer.connectTls({
      host: 'controller.example',
      port,
      tls: { ...tls, checkServerIdentity: () => undefined },
    });
    sockets.push(socket);
    return socket;
  }

  it('reaches the last one within its time where all before it stay silent', async () => {
    const socket = await dialName([...SILENT, '127.0.0.1']);
    expect(dialled).toEqual(SILENT);
    expect(socket.remoteAddress).toBe('127.0.0.1');
  });

  it('does not give up the first, which is slow, for those behind it', async () => {
    const [slow = expect.unreachable(), ...others] = SILENT;
    // It begins to answer when all the others have been asked as well.
    const fronted: Socket[] = [];
    silent[0]?.removeAllListeners('connection').on('connection', (socket) => fronted.push(socket));
    let waiting = others.length;
    for (const one of silent.slice(1)) {
      one.on('connection', () => {
        waiting -= 1;
        if (waiting === 0) for (const socket of fronted) listening.emit('connection', socket);
      });
    }
    const socket = await dialName([slow, ...others]);
    expect(socket.remoteAddress).toBe(slow);
  });
});

describe('a connection through a proxy', () => {
  let proxy: HttpServer;
  let requests: { target: string; credentials: string | undefined; from: string | undefined }[];
  /** What the proxy says before anything else; '' is a way through. */
  let says = '';
  beforeEach(async () => {
    requests = [];
    says = '';
    proxy = createHttpServer();
    proxy.on('connect', (request, socket) => {
      const from = request.socket.remoteAddress;
      requests.push({ target: request.url ?? '', credentials: request.headers['proxy-authorization'], from });
      if (says !== '') {
        socket.end(says);
        return;
      }
      // Whatever name was asked for: it is the proxy that knows where that is.
      const onward = connectTcp(port, '127.0.0.1', () => {
        socket.write('HTTP/1.1 200 Connection established\r\nVia: test\r\n\r\n');
        onward.pipe(socket).pipe(onward);
      });
      for (const one of [socket, onward]) one.on('error', () => onward.destroy());
    });
    await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve));
  });
  afterEach(() => {
    proxy.closeAllConnections();
    proxy.close();
  });
  const through = async (host: string, credentials: { user?: string; password?: string } = {}) => {
    const address = proxy.address();
    const proxyPort = typeof address === 'object' && address !== null ? address.port : 0;
    const dialer = createUplinkDialer({
      leases: () => [wan1],
      proxy: () => ({ host: '127.0.0.1', port: proxyPort, ...credentials }),
      log,
    });
    const connection = await dialer.connectTls({
      host,
      port,
      tls: { ...tls, checkServerIdentity: () => undefined },
    });
    sockets.push(connection.socket);
    return connection;
  };

  it('goes to the proxy by the uplink, and asks for the name there: the uplink needs no DNS', async () => {
    await through('controller.example', { user: 'box', password: 'pass:word' });
    const credentials = `Basic ${Buffer.from('box:pass:word').toString('base64')}`;
    expect(requests).toEqual([{ target: `controller.example:${port}`, credentials, from: '127.0.0.2' }]);
    await expect.poll(() => callers).toEqual(['127.0.0.1']);
  });

  it.each([
    ['407', 'HTTP/1.1 407 Who are you\r\n\r\n', '407: it wants a user and password'],
    [
      '407 with a list that has Basic in it',
      'HTTP/1.1 407 Who\r\nProxy-Authenticate: Digest realm="a, b", nonce="x", Basic realm="y"\r\n\r\n',
      '407: it wants a user and password',
    ],
    [
      '407 with a list that has none',
      'HTTP/1.1 407 Who\r\nProxy-Authenticate: Digest realm="a, Basic b", qop=auth, Bearer\r\n\r\n',
      '407: it asks for Digest, Bearer, and',
    ],
    ['504', 'HTTP/1.1 504 Gone\r\n\r\n', '504: it does not reach this destination'],
    ['403', 'HTTP/1.1 403 No\r\n\r\n', '403: it does not allow this destination'],
    ['a page instead of a way', 'HTTP/1.1 200 OK\r\n\r\n<html>Sign in</html>', 'answered 200'],
    ['something that is no HTTP', 'SSH-2.0-OpenSSH\r\n\r\n', 'does not speak HTTP'],
    ['headers without end', `HTTP/1.1 200 OK\r\n${'X: y\r\n'.repeat(4000)}`, 'more than headers'],
    ['nothing', ' ', 'closed the connection'],
  ])('is refused where the proxy answers %s', async (_, answer, words) => {
    says = answer;
    await expect(through('controller.example')).rejects.toMatchObject({
      code: 'controller/unreachable',
      problems: [{ path: 'wan1', message: expect.stringContaining(words) }],
    });
    expect(callers).toEqual([]);
  });

  it('is told of another password where it had one', async () => {
    says = 'HTTP/1.1 407 Who are you\r\nProxy-Authenticate: Basic realm="x"\r\n\r\n';
    await expect(through('controller.example', { user: 'box', password: 'x' })).rejects.toMatchObject({
      problems: [{ message: expect.stringContaining('407: it wants another user or password') }],
    });
  });
});
