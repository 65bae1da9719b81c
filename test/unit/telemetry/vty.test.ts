/** The reader of FRR's vty sockets, held against answers cut anywhere and daemons that are away. */
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { createVty } from '../../../src/telemetry/vty.ts';

let directory: string;
let server: Server;
let answers: (asked: string) => Buffer[];
let ending: AbortController;
let signal: AbortSignal;
let connections: Socket[];

/** As patient as a test: a machine with other work may take seconds over what takes 2 ms. */
const newVty = () => createVty({ directory, signal, timeoutMs: 60_000 });

beforeEach(async () => {
  ending = new AbortController();
  signal = ending.signal;
  connections = [];
  directory = mkdtempSync(join(tmpdir(), 'branchbox-vty-'));
  server = createServer((socket) => {
    connections.push(socket);
    socket.on('error', () => {});
    socket.on('data', (asked) => {
      const send = ([next, ...rest]: Buffer[]): void => {
        if (next === undefined) return;
        socket.write(next, () => setImmediate(send, rest));
      };
      // A daemon shows nothing to who is not enabled.
      send(asked.toString() === 'enable\0' ? [Buffer.from('\0\0\0\0')] : answers(asked.toString()));
    });
  });
  await new Promise<void>((resolve) => {
    server.listen(join(directory, 'bfdd.vty'), resolve);
  });
});
afterEach(async () => {
  // The reader's connections stay open until then; the server waits for their end.
  ending.abort();
  await new Promise((resolve) => {
    server.close(resolve);
  });
  rmSync(directory, { recursive: true, force: true });
});

test('an answer is whole however it is cut into pieces', async () => {
  const asked: string[] = [];
  answers = (command) => {
    asked.push(command);
    return [...Buffer.from('[{"a":1}]\n\0\0\0\0')].map((byte) => Buffer.from([byte]));
  };
  expect(await newVty().show('bfdd', 'show bfd peers json', signal)).toEqual([{ a: 1 }]);
  expect(asked).toEqual(['show bfd peers json\0']);
});

test('a daemon that is not there, or says no JSON, is unknown', async () => {
  answers = () => [Buffer.from('% Unknown command\0\0\0\u0002')];
  const vty = newVty();
  expect(await vty.show('bfdd', 'show x json', signal)).toBeUndefined();
  expect(await vty.show('zebra', 'show x json', signal)).toBeUndefined();
});

test('questions go over one connection, one after the other', async () => {
  answers = (command) => [Buffer.from(`"${command.slice(0, -1)}"\0\0\0\0`)];
  const vty = newVty();
  const ask = (command: string) => vty.show('bfdd', command, signal);
  expect(await Promise.all(['a', 'b', 'c'].map(ask))).toEqual(['a', 'b', 'c']);
  expect(await ask('d')).toBe('d');
  expect(connections.length).toBe(1);
});

test('a daemon that was started anew is asked again', async () => {
  answers = () => [Buffer.from('1\0\0\0\0')];
  const vty = newVty();
  expect(await vty.show('bfdd', 'show', signal)).toBe(1);
  connections[0]?.destroy();
  await expect.poll(() => vty.show('bfdd', 'show', signal), { timeout: 15_000 }).toBe(1);
  expect(connections.length).toBe(2);
});

test('the answer to a question that was given up is never the answer to the next', async () => {
  const asked = Promise.withResolvers<void>();
  answers = (command) => {
    if (command === 'late\0') {
      asked.resolve();
      return [];
    }
    return [Buffer.from('"next"\0\0\0\0')];
  };
  const vty = newVty();
  const limit = new AbortController();
  const late = vty.show('bfdd', 'late', limit.signal);
  await asked.promise;
  limit.abort();
  expect(await late).toBeUndefined();
  connections[0]?.write('"late"\0\0\0\0');
  expect(await vty.show('bfdd', 'next', signal)).toBe('next');
});
