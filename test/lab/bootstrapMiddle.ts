/**
 * Owns whoever stands between a box and its controller, one a process. Arguments: what it is, the address it listens at,
 * then
 *   relay TARGET PORTS        TCP as it comes
 *   proxy PORT [DENIED]       HTTP CONNECT; DENIED is a port that it lets nobody to. Says each request
 *   portal PORTS              plain HTTP at 80, which sends browsers elsewhere, and a page over TLS at PORTS
 *   website                   plain HTTP at 80 with a page of its own and no other: nobody in between
 *   interceptor TARGET PORTS  TLS of its own on both sides, and so without the box's certificate towards TARGET
 */
import { createServer as createHttpServer } from 'node:http';
import { connect, createServer, type Socket } from 'node:net';
import { connect as connectTls, createServer as createTlsServer } from 'node:tls';
import { exportPrivateKey } from '../../src/pki/keys.ts';
import { issue, makeCa } from '../unit/pki/domain.ts';

const [role = '', listen = '', ...rest] = process.argv.slice(2);
const controller = '198.51.100.10';
const numbers = (text = ''): readonly number[] => text.split(',').filter(Boolean).map(Number);

function join(left: Socket, right: Socket): void {
  for (const [one, other] of [[left, right] as const, [right, left] as const]) {
    one.on('error', () => other.destroy());
    one.on('close', () => other.destroy());
    one.pipe(other);
  }
}
function certificate() {
  const validity = { notBeforeMs: Date.now() - 60_000, notAfterMs: Date.now() + 3_600_000 };
  const dnsNames = ['controller.branchbox.example'];
  const { key, certificate: own } = issue(
    makeCa('Somebody in between', validity),
    { kind: 'server', commonName: 'portal', dnsNames, ipAddresses: [] },
    validity,
  );
  return { key: exportPrivateKey(key).reveal(), cert: own.pem };
}
const listening: Promise<unknown>[] = [];
const listenAt = (server: ReturnType<typeof createServer>, port: number): void => {
  listening.push(new Promise<void>((resolve) => server.listen(port, listen, resolve)));
};

if (role === 'relay') {
  const [target = '', ports] = rest;
  for (const port of numbers(ports)) {
    listenAt(
      createServer((socket) => join(socket, connect(port, target))),
      port,
    );
  }
} else if (role === 'proxy') {
  const [port, denied] = rest;
  const proxy = createHttpServer();
  proxy.on('connect', ({ url = '' }, socket: Socket) => {
    process.stdout.write(`CONNECT ${url}\n`);
    const wanted = url.split(':').at(-1);
    if (wanted === denied) {
      socket.end('HTTP/1.1 403 Forbidden\r\n\r\n');
      return;
    }
    // The one place that knows the name: who comes this way needs no DNS.
    const onward = connect(Number(wanted), controller, () => {
      socket.write('HTTP/1.1 200 Connection established\r\n\r\n');
      join(socket, onward);
    });
    onward.on('error', () => socket.destroy());
  });
  listenAt(proxy, Number(port));
} else if (role === 'portal') {
  listenAt(
    createHttpServer((_request, response) => {
      response.writeHead(302, { location: 'http://login.hotel.example/welcome' });
      response.end();
    }),
    80,
  );
  for (const port of numbers(rest[0])) {
    listenAt(
      createTlsServer(certificate(), (socket) => {
        socket.on('error', () => undefined);
        socket.once('data', () =>
          socket.end('HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n<html>Welcome to our hotel</html>'),
        );
      }),
      port,
    );
  }
} else if (role === 'website') {
  listenAt(
    createHttpServer(({ url }, response) => {
      response.writeHead(url === '/' ? 200 : 404, { 'content-type': 'text/html' });
      response.end('<html>We make gateways</html>');
    }),
    80,
  );
} else if (role === 'interceptor') {
  const [target = '', ports] = rest;
  for (const port of numbers(ports)) {
    listenAt(
      createTlsServer(certificate(), (socket) => {
        join(socket, connectTls({ host: target, port, rejectUnauthorized: false }));
      }),
      port,
    );
  }
}
await Promise.all(listening);
process.stdout.write('ready\n');
