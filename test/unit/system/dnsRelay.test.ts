/** A resolver of Node's through a relay, to a server of the test's own: datagrams, TCP for what does not fit, and silence. */
import { createSocket } from 'node:dgram';
import { Resolver } from 'node:dns/promises';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { afterEach, expect, it } from 'vitest';
import { failAccept } from '../../fakes/failedAccept.ts';
import { openDnsRelay } from '../../../src/system/dnsRelay.ts';

const TRUNCATED = 0x02;
const ANSWERS = 0x80;
const ended: (() => void)[] = [];
afterEach(() => {
  for (const end of ended.splice(0)) end();
});

/** RFC 1035 4.1: the question again, and one AAAA record by a pointer to its name. */
function answerTo(question: Buffer, addresses: number): Buffer {
  const head = Buffer.from(question.subarray(0, 12));
  head[2] = (head[2] ?? 0) | ANSWERS;
  head.writeUInt16BE(addresses, 6);
  // No EDNS: of additional records none.
  head.writeUInt16BE(0, 10);
  const end = question.indexOf(0, 12) + 5;
  const record = Buffer.from('c00c001c00010000003c001020010db8000000000000000000000001', 'hex');
  return Buffer.concat([head, question.subarray(12, end), ...Array<Buffer>(addresses).fill(record)]);
}

/** On the loopback of IPv6: it answers datagrams as it is told, and TCP with two addresses. Returns its port. */
async function startServer(datagrams: 'answered' | 'truncated' | 'silent'): Promise<number> {
  const server = createServer((stream) => {
    stream.on('data', (chunk: Buffer) => {
      const answer = answerTo(chunk.subarray(2), 2);
      const length = Buffer.alloc(2);
      length.writeUInt16BE(answer.length);
      stream.end(Buffer.concat([length, answer]));
    });
  });
  // An accept that fails is the relay's to bear.
  server.on('error', () => undefined);
  server.listen(0, '::1');
  await once(server, 'listening');
  const at = server.address();
  if (at === null || typeof at === 'string') throw new Error('no port');
  const socket = createSocket('udp6');
  socket.bind(at.port, '::1');
  await once(socket, 'listening');
  socket.on('message', (question, asker) => {
    if (datagrams === 'silent') return;
    const answer = answerTo(question, datagrams === 'truncated' ? 0 : 1);
    if (datagrams === 'truncated') answer[2] = (answer[2] ?? 0) | TRUNCATED;
    socket.send(answer, asker.port, asker.address);
  });
  ended.push(() => {
    server.close();
    socket.close();
  });
  return at.port;
}

async function ask(datagrams: 'answered' | 'truncated' | 'silent'): Promise<readonly string[]> {
  const relay = await openDnsRelay('::1', await startServer(datagrams));
  ended.push(relay.close);
  const resolver = new Resolver({ timeout: 250, tries: 1 });
  resolver.setServers([relay.server]);
  return resolver.resolve6('controller.example');
}

it('brings the answer of a datagram', async () => {
  expect(await ask('answered')).toEqual(['2001:db8::1']);
});

it('asks by TCP where the answer does not fit', async () => {
  expect(await ask('truncated')).toEqual(['2001:db8::1', '2001:db8::1']);
});

it('goes on where it could not accept a question by TCP', async () => {
  await failAccept(() => ask('truncated'));
  expect(await ask('truncated')).toEqual(['2001:db8::1', '2001:db8::1']);
});

it('leaves it to the resolver how long nobody answers', async () => {
  await expect(ask('silent')).rejects.toMatchObject({ code: 'ETIMEOUT' });
});

it('has no answer of a link that is gone', async () => {
  const relay = await openDnsRelay('fe80::1%gone0');
  ended.push(relay.close);
  const resolver = new Resolver({ timeout: 250, tries: 1 });
  resolver.setServers([relay.server]);
  await expect(resolver.resolve6('controller.example')).rejects.toMatchObject({ code: 'ETIMEOUT' });
});

it('holds nothing open once it is closed', async () => {
  const relay = await openDnsRelay('::1', 9);
  const again = createSocket('udp4');
  relay.close();
  again.bind(Number(relay.server.split(':')[1]), '127.0.0.1');
  await once(again, 'listening');
  again.close();
});
