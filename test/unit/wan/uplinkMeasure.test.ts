/** An uplink test from its beginning to its end, over the loopback: real TLS, DNS, HTTP and proxy, no kernel asked. */
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { createServer as createHttps } from 'node:https';
import { type AddressInfo, connect, createServer, type Server } from 'node:net';
import { afterEach, expect, it } from 'vitest';
import { createUplinkTestRoutes } from '../../../src/controller/uplinkTest/deviceRoutes.ts';
import { exportPrivateKey } from '../../../src/pki/keys.ts';
import type { DeviceCredentials } from '../../../src/system/deviceClient.ts';
import { checkDns } from '../../../src/wan/uplinkTest/dnsCheck.ts';
import { createUplinkTester } from '../../../src/wan/uplinkTest/measure.ts';
import type { Subject } from '../../../src/wan/uplinkTest/subject.ts';
import { issue, makeCa, serverNamed } from '../pki/domain.ts';
import { SUBJECT as GOOD } from './uplinkFindings.ts';

const validity = { notBeforeMs: Date.now() - 60_000, notAfterMs: Date.now() + 3_600_000 };
const domain = makeCa('Domain CA', validity);
const controller = issue(domain, serverNamed('controller.example'), validity);
const box = issue(domain, { kind: 'ldevid', gatewayId: 'branch1' }, validity);
const CREDENTIALS: DeviceCredentials = {
  key: exportPrivateKey(box.key),
  certificatePem: box.certificate.pem,
  anchorPem: domain.certificate.pem,
};
/** A session over the loopback: no gateway is asked for. */
const SUBJECT: Subject = { ...GOOD, address: '127.0.0.2/8', pppoe: true, dns: [] };

const open: { close(): void }[] = [];
afterEach(() => {
  for (const one of open.splice(0)) one.close();
});
const portOf = (server: { address(): AddressInfo | string | null }): number =>
  (server.address() as AddressInfo).port;

async function listening(server: Server): Promise<number> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  open.push(server);
  return portOf(server);
}

/** The controller's device API, without a port for probes. */
function startController(): Promise<number> {
  const routes = createUplinkTestRoutes({ sessions: { grant: () => undefined }, monotonicMs: () => 0 });
  const own = { cert: controller.certificate.pem, key: exportPrivateKey(controller.key).reveal() };
  const server = createHttps(own, (request, response) => {
    const line = { method: request.method ?? '', path: request.url ?? '' };
    void routes.handle('branch1', request, response, line).then((answer) => {
      if (answer === 'sent' || answer === undefined) return;
      response.writeHead(answer.status).end(answer.body);
    });
  });
  return listening(server);
}

/** Knows one name (RFC 1035 4.1), and that there is no other. */
async function startDns(name: string, ...addresses: readonly string[]): Promise<string> {
  const socket = createSocket('udp4');
  socket.on('message', (question, from) => {
    const isKnown = question.includes(name.split('.')[0] ?? '');
    const answer = Buffer.from(question);
    answer.writeUInt16BE(isKnown ? 0x8180 : 0x8183, 2);
    answer.writeUInt16BE(isKnown ? addresses.length : 0, 6);
    // No additional record: the question's own EDNS is cut off with it.
    answer.writeUInt16BE(0, 10);
    const end = question.indexOf(0, 12) + 5;
    const records = addresses.map((address) =>
      Buffer.from([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, ...address.split('.').map(Number)]),
    );
    socket.send(
      Buffer.concat([answer.subarray(0, end), ...(isKnown ? records : [])]),
      from.port,
      from.address,
    );
  });
  socket.bind(0, '127.0.0.1');
  await once(socket, 'listening');
  open.push(socket);
  return `127.0.0.1:${portOf(socket)}`;
}

/** Lets through to `port` whoever asks for `host`; tells whom it was asked for. */
async function startProxy(host: string, port: number): Promise<{ port: number; asked: string[] }> {
  const asked: string[] = [];
  const server = createServer((socket) => {
    socket.on('error', () => {});
    socket.once('data', (head) => {
      const target = /^CONNECT (\S+) /.exec(head.toString())?.[1] ?? '';
      asked.push(target);
      if (target !== `${host}:${port}`) {
        socket.end('HTTP/1.1 403 Forbidden\r\n\r\n');
        return;
      }
      const onward = connect(port, '127.0.0.1');
      onward.on('error', () => socket.destroy());
      socket.on('close', () => onward.destroy());
      socket.write('HTTP/1.1 200 OK\r\n\r\n');
      socket.pipe(onward).pipe(socket);
    });
  });
  return { port: await listening(server), asked };
}

const test = (subject: Partial<Subject>, credentials: () => Promise<DeviceCredentials | undefined>) =>
  createUplinkTester({
    runner: {
      run: () => Promise.resolve({ exitCode: 0, stdout: '', stderr: '' }),
      runChecked: () => Promise.reject(new Error('no program is needed')),
      follow: () => Promise.reject(new Error('no program is needed')),
    },
    files: { readText: () => Promise.resolve(undefined) },
    clock: { sleep: () => Promise.resolve() },
    credentials,
  })({ ...SUBJECT, ...subject }, new AbortController().signal, () => undefined);
const checkOf = (result: Awaited<ReturnType<typeof test>>, wanted: string) =>
  result.checks.find(({ check }) => check === wanted);

it('asks for the name of each bootstrap server, not of the first alone', async () => {
  const port = await startController();
  const dns = await startDns('second.example', '127.0.0.1');
  const result = await test(
    {
      dns: [dns],
      targets: [
        { host: 'first.example', port },
        { host: 'second.example', port },
      ],
    },
    () => Promise.resolve(undefined),
  );
  expect(checkOf(result, 'dns')).toMatchObject({ verdict: 'pass' });
  expect(checkOf(result, 'controller')).toMatchObject({
    verdict: 'pass',
    sentence: expect.stringContaining(`second.example:${port} answers`),
  });
  expect(result.figures.controller).toMatchObject({ host: 'second.example', address: '127.0.0.1' });
});

it('takes the word of the first DNS server that answers, as the box does', async () => {
  // Where nobody listens, the kernel says so at once.
  const gone = createSocket('udp4');
  gone.bind(0, '127.0.0.1');
  await once(gone, 'listening');
  const silent = `127.0.0.1:${gone.address().port}`;
  gone.close();
  const ignorant = await startDns('another.example', '192.0.2.1');
  const knowing = await startDns('controller.example', '198.51.100.10', '198.51.100.11');
  const named = async (...servers: readonly string[]) => {
    const hosts = ['controller.example'];
    const { signal } = new AbortController();
    return (
      await checkDns({ ifname: 'lo', servers, address: '127.0.0.2', hosts, signal })
    ).names[0]?.addresses.toSorted();
  };
  const known = ['198.51.100.10', '198.51.100.11'];
  expect(await named(knowing, ignorant)).toEqual(known);
  expect(await named(ignorant, knowing)).toEqual([]);
  expect(await named(silent, knowing)).toEqual(known);
});

it('goes through the proxy that the box goes through, and sends no probe past it', async () => {
  const port = await startController();
  const proxy = await startProxy('controller.example', port);
  const subject = {
    targets: [{ host: 'controller.example', port }],
    proxy: { host: '127.0.0.1', port: proxy.port },
    budgetBytes: 64 * 1024,
  };
  const result = await test(subject, () => Promise.resolve(CREDENTIALS));
  expect(checkOf(result, 'controller')).toMatchObject({ verdict: 'pass' });
  expect(result.figures.controller).not.toHaveProperty('address');
  expect(checkOf(result, 'loss')).toMatchObject({
    verdict: 'unknown',
    sentence: expect.stringContaining('through a proxy'),
  });
  expect(checkOf(result, 'download')).toMatchObject({ verdict: 'pass' });
  expect(checkOf(result, 'upload')).toMatchObject({ verdict: 'pass' });
  expect(proxy.asked).toEqual([`controller.example:${port}`]);

  const refused = await test({ ...subject, targets: [{ host: 'other.example', port }] }, () =>
    Promise.resolve(CREDENTIALS),
  );
  expect(checkOf(refused, 'controller')).toMatchObject({
    verdict: 'fail',
    sentence: expect.stringContaining(`by the proxy 127.0.0.1:${proxy.port}: the proxy answered 403`),
  });
});

it('measures nothing by an address that leads out by another uplink', async () => {
  const port = await startController();
  const result = await test({ twin: 'lte', targets: [{ host: '127.0.0.1', port }] }, () =>
    Promise.resolve(undefined),
  );
  expect(result.verdict).toBe('fail');
  expect(checkOf(result, 'controller')).toMatchObject({ verdict: 'unknown' });
  expect(result.usedBytes).toBe(0);
});

it('fails where it could not find out whether the controller is there', async () => {
  const result = await test({ targets: [{ host: '127.0.0.1', port: 1 }] }, () =>
    Promise.reject(new Error('the key cannot be used')),
  );
  expect(result.verdict).toBe('fail');
  expect(checkOf(result, 'controller')).toMatchObject({
    verdict: 'fail',
    sentence: expect.stringContaining('the key cannot be used'),
  });
});
