/**
 * Owns a process that is the far end of an uplink test in a namespace: the real routes and responder behind TLS with a
 * certificate of the test's domain, beside it a DNS server and, where asked for, a captive portal.
 * Arguments: a file of JSON (FarEndOptions). It says `ready` when it listens.
 */
import { readFileSync } from 'node:fs';
import { createSocket } from 'node:dgram';
import { createServer } from 'node:http';
import { createHandshakeGate } from '../../src/controller/handshakeGate.ts';
import { createExchangeServer } from '../../src/controller/exchange.ts';
import { startUplinkTest } from '../../src/controller/uplinkTest/farEnd.ts';
import { createClock } from '../../src/system/linux/clock.ts';
import { createLogger } from '../../src/system/linux/logger.ts';

export interface FarEndOptions {
  readonly kind: 'controller' | 'portal' | 'dns';
  readonly address: string;
  readonly key?: string;
  readonly certificate?: string;
  readonly anchor?: string;
  /** What the first download and the first upload are told to wait, as by the real routes while other boxes test. */
  readonly busyS?: { readonly download: number; readonly upload: number };
  /** Of a DNS server: what it says of every name; empty: that there is none. */
  readonly lie?: string;
}

const options = JSON.parse(readFileSync(process.argv[2] ?? '', 'utf8')) as FarEndOptions;
const log = createLogger({ name: 'far-end' });

switch (options.kind) {
  case 'controller': {
    const clock = createClock();
    const { routes } = await startUplinkTest({ address: options.address, ports: [8447, 8448], clock, log });
    const busy = new Map(Object.entries(options.busyS ?? {}));
    const server = createExchangeServer({
      tls: {
        key: options.key,
        cert: options.certificate,
        ca: options.anchor,
        requestCert: true,
        rejectUnauthorized: true,
        minVersion: 'TLSv1.3',
      },
      handle: async (request, _socket, response) => {
        const { method = '', url: path = '' } = request;
        const kind = /^\/v1\/uplink-test\/(download|upload)/.exec(path)?.[1] ?? '';
        const waitS = busy.get(kind);
        busy.delete(kind);
        if (waitS !== undefined) return { status: 503, headers: { 'Retry-After': String(waitS) } };
        return (await routes.handle('branch1', request, response, { method, path })) ?? { status: 404 };
      },
      failed: () => ({ status: 500 }),
      refusal: (status) => ({ status }),
      gate: createHandshakeGate({ clock, together: 8, waiting: 8, patienceMs: 5_000, turnMs: 500 }),
      log,
    });
    server.listen(8446, options.address, () => console.log('ready'));
    break;
  }
  case 'portal':
    createServer((_request, response) => {
      response.writeHead(302, { Location: 'http://login.hotel.example/sign-in' });
      response.end();
    }).listen(80, options.address, () => console.log('ready'));
    break;
  case 'dns': {
    const socket = createSocket(options.address.includes(':') ? 'udp6' : 'udp4');
    socket.on('message', (query, from) => {
      // RFC 1035 4.1: the question again; one A record that points back to it, or "no such name".
      const lie = options.lie ?? '';
      const answer = Buffer.from(query);
      answer.writeUInt16BE(lie === '' ? 0x8183 : 0x8180, 2);
      answer.writeUInt16BE(lie === '' ? 0 : 1, 6);
      answer.writeUInt32BE(0, 8);
      const record = Buffer.from([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4, ...lie.split('.').map(Number)]);
      const question = answer.subarray(0, 12 + endOfQuestion(answer.subarray(12)));
      socket.send(lie === '' ? question : Buffer.concat([question, record]), from.port, from.address);
    });
    socket.bind(53, options.address, () => console.log('ready'));
  }
}

function endOfQuestion(bytes: Buffer): number {
  let at = 0;
  while ((bytes[at] ?? 0) !== 0) at += (bytes[at] ?? 0) + 1;
  return at + 5;
}
