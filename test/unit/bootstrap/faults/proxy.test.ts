/**
 * Rows of the fault table: the HTTP proxy that a medium named, which refuses, breaks off, or dies later. The box's own
 * dialler and a proxy of Node's run.
 */
import { createServer, type Server } from 'node:http';
import { type AddressInfo, connect as connectTcp, type Socket } from 'node:net';
import { afterEach, beforeEach } from 'vitest';
import { connectByUplink } from '../../../../src/bootstrap/connect.ts';
import { createLogger } from '../../../../src/system/linux/logger.ts';
import { createTpmUse } from '../../../../src/system/tpmUse.ts';
import { createUplinkDialer } from '../../../../src/system/uplinkDial.ts';
import { createFaultBench, failed } from '../faultBench.ts';
import type { TestController } from '../servers.ts';
import { type FaultRow, faultTable, problemOf, stateOf } from './table.ts';

const bench = createFaultBench();
/** What the proxy does with one who asks; true: it lets him through. */
let answer: (socket: Socket) => boolean;
let proxy: Server;
const open = new Set<Socket>();
beforeEach(async () => {
  proxy = createServer();
  proxy.on('connection', (socket) => {
    open.add(socket);
    socket.on('close', () => open.delete(socket));
  });
  proxy.on('connect', (_request, stream) => {
    const socket = stream as Socket;
    socket.on('error', () => {});
    if (!answer(socket)) return;
    const onward = connectTcp(bench.controller.port, '127.0.0.1', () => {
      socket.write('HTTP/1.1 200 Connection established\r\n\r\n');
      onward.pipe(socket).pipe(onward);
    });
    onward.on('error', () => socket.destroy());
    socket.on('close', () => onward.destroy());
  });
  await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve));
});
const end = (): void => {
  proxy.close();
  for (const socket of open) socket.destroy();
};
afterEach(end);

function through(): TestController {
  const { port } = proxy.address() as AddressInfo;
  const dialer = createUplinkDialer({
    leases: () => [],
    proxy: () => ({ host: '127.0.0.1', port }),
    log: createLogger({ name: 'test', write: () => {} }),
  });
  return { ...bench.controller, connect: connectByUplink(dialer, createTpmUse()) };
}

const TRIES = 2;
const SERVER = 'controller.branchbox.example:PORT through the proxy 127.0.0.1:PORT over wan1';
/** It comes to `from` well, then the proxy does this for some tries, then it is well again. */
const row = (
  fault: string,
  told: string,
  does: (socket: Socket) => boolean,
  from?: 'OWNED' | 'LDEVID',
): FaultRow => ({
  fault,
  must: 'say that it is the proxy and what it answered, go round it nowhere, and go on when it lets the box through',
  outcome: `${TRIES} × bootstrap/unreachable in ${from ?? 'PROVISIONAL'}; then by itself OPERATIONAL`,
  told: `bootstrap/unreachable: ${SERVER} ${told}`,
  run: async () => {
    const well = (): boolean => true;
    answer = from === undefined ? does : well;
    await bench.box.run({
      controller: through(),
      until: (line) => {
        if (line.message === 'bootstrap state entered' && line.fields['state'] === from) answer = does;
        if (bench.box.log.filter(failed).length >= TRIES) answer = well;
        return line.message === 'bootstrap state entered' && line.fields['state'] === 'OPERATIONAL';
      },
    });
    const met = bench.box.log.filter(failed);
    const codes = [
      ...new Set(met.map(({ fields }) => `${String(fields['code'])} in ${String(fields['state'])}`)),
    ];
    return {
      outcome: `${met.length} × ${codes.join()}; then by itself ${await stateOf(bench)}`,
      told: problemOf(met.at(-1)),
    };
  },
});
const says =
  (text: string) =>
  (socket: Socket): boolean => {
    socket.end(text);
    return false;
  };

faultTable('HTTP proxy', [
  row(
    'that wants a password: 407',
    'was not let through: the proxy answered 407: it wants a user and password, and this box was given none',
    says('HTTP/1.1 407 Who are you\r\nProxy-Authenticate: Basic\r\n\r\n'),
  ),
  row(
    'that lets in by Kerberos and NTLM alone: 407',
    'was not let through: the proxy answered 407: it asks for Negotiate, NTLM, and this box knows Basic alone; have it let this box through',
    says(
      'HTTP/1.1 407 Who are you\r\nProxy-Authenticate: Negotiate\r\nproxy-authenticate: NTLM TlRM,realm="Basic"\r\n\r\n',
    ),
  ),
  row(
    'that forbids: 403',
    'was not let through: the proxy answered 403: it does not allow this destination',
    says('HTTP/1.1 403 No\r\n\r\n'),
  ),
  row(
    'that cannot reach the server: 502',
    'was not let through: the proxy answered 502: it does not reach this destination',
    says('HTTP/1.1 502 Bad Gateway\r\n\r\n'),
  ),
  row(
    'that answers with a page',
    'was not let through: the proxy answered 200 with something of its own',
    says('HTTP/1.1 200 OK\r\n\r\n<html>Sign in</html>'),
  ),
  row(
    'that closes in the middle of its answer',
    'was not let through: the proxy closed the connection',
    says('HTTP/1.1 200 Connec'),
  ),
  row('that hangs up on CONNECT', 'was not let through: the proxy closed the connection', (socket) => {
    socket.destroy();
    return false;
  }),
  row(
    'that answers without end',
    'was not let through: the proxy answered with more than headers',
    says(`HTTP/1.1 200 OK\r\n${'X: y\r\n'.repeat(4000)}`),
  ),
  row(
    'that takes its word back once the box has an owner: 407',
    'was not let through: the proxy answered 407: it wants a user and password, and this box was given none',
    says('HTTP/1.1 407 Who are you\r\n\r\n'),
    'OWNED',
  ),
  row(
    'that breaks off once the box has its certificate',
    'was not let through: the proxy closed the connection',
    (socket) => {
      socket.destroy();
      return false;
    },
    'LDEVID',
  ),
  {
    fault: 'that dies for good, once the box has an owner',
    must: 'say that the proxy cannot be reached, and go round it nowhere',
    outcome: 'bootstrap/unreachable in OWNED, 0 enrolments',
    told: `bootstrap/unreachable: ${SERVER} cannot be reached: connect ECONNREFUSED 127.0.0.1:PORT`,
    run: async () => {
      answer = () => true;
      const { box, controller } = bench;
      await box.run({
        controller: through(),
        until: (line) => {
          if (line.message === 'bootstrap state entered' && line.fields['state'] === 'OWNED') end();
          return failed(line);
        },
      });
      const line = box.log.findLast(failed);
      return {
        outcome: `${String(line?.fields['code'])} in ${await stateOf(bench)}, ${controller.enrolments.length} enrolments`,
        told: problemOf(line),
      };
    },
  },
]);
