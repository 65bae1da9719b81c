/**
 * Measures what honest boxes wait for a TLS handshake of the controller while somebody opens connections without end from
 * many addresses and says nothing in any: its own limits, over loopback addresses, no lab.
 */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { connect as connectTcp, type Socket } from 'node:net';
import { connect } from 'node:tls';
import { type Row, rowOf } from './result.ts';

/** Of each address at any time: 254 addresses fill the line. */
const CONNECTIONS = 4;
/** A client that floods has no use for a connection that was passed over for so long. */
const HELD_MS = 5_000;
const BOXES = 10;
/** Until the line is as full as it gets. */
const FILL_MS = 3_000;

const CASES: readonly { readonly name: string; readonly networks: number; readonly each: number }[] = [
  { name: 'nobody else', networks: 0, each: 0 },
  { name: '1 address', networks: 1, each: 1 },
  { name: 'a /24: 254 addresses', networks: 1, each: 254 },
  { name: 'two /24: 508 addresses', networks: 2, each: 254 },
  { name: 'four /24: 1,016 addresses', networks: 4, each: 254 },
];

export async function measureFlood(rounds: number): Promise<readonly Row[]> {
  const rows: Row[] = [];
  for (const { name, networks, each } of CASES) {
    console.log(name);
    const server = fork(new URL('./floodServer.ts', import.meta.url));
    const [port]: unknown[] = await once(server, 'message');
    const stop = flood(Number(port), networks, each);
    await new Promise((resolve) => setTimeout(resolve, FILL_MS));
    const waits: number[] = [];
    let closed = 0;
    for (let round = 0; round < rounds; round += 1) {
      const boxes = Array.from({ length: BOXES }, (_, i) => `127.200.0.${i + 1}`);
      for (const waitMs of await Promise.all(boxes.map((from) => ask(Number(port), from)))) {
        if (waitMs === undefined) closed += 1;
        else waits.push(waitMs);
      }
    }
    stop();
    server.kill('SIGKILL');
    rows.push(rowOf('branchbox', name, 'sent away', 'boxes', [closed]));
    if (waits.length > 0) rows.push(rowOf('branchbox', name, 'handshake and answer', 'ms', waits));
  }
  return rows;
}

function flood(port: number, networks: number, each: number): () => void {
  const open = new Set<Socket>();
  let stopped = false;
  const again = (from: string): void => {
    if (stopped) return;
    const socket = connectTcp({ port, host: '127.0.0.1', localAddress: from });
    open.add(socket);
    const held = setTimeout(() => socket.destroy(), HELD_MS);
    socket.on('error', () => undefined);
    socket.on('close', () => {
      clearTimeout(held);
      open.delete(socket);
      setImmediate(again, from);
    });
  };
  for (let network = 1; network <= networks; network += 1) {
    for (let host = 1; host <= each; host += 1) {
      for (let i = 0; i < CONNECTIONS; i += 1) again(`127.${network}.1.${host}`);
    }
  }
  return () => {
    stopped = true;
    for (const socket of open) socket.destroy();
  };
}

/** undefined: closed without an answer. */
function ask(port: number, from: string): Promise<number | undefined> {
  const startedMs = performance.now();
  return new Promise((resolve) => {
    const under = connectTcp({ port, host: '127.0.0.1', localAddress: from });
    const socket = connect({ socket: under, rejectUnauthorized: false });
    let text = '';
    socket.on('data', (chunk: Buffer) => (text += chunk.toString()));
    socket.on('error', () => undefined);
    socket.on('close', () => resolve(text.includes('hello') ? performance.now() - startedMs : undefined));
    socket.write('GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n');
  });
}
