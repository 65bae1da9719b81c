/** The reader of FRR's vty sockets, held against answers cut anywhere and daemons that are away. */
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { createVty } from '../../../src/telemetry/vty.ts';

let directory: string;
let server: Server;
let answers: (asked: string) => Buffer[];
const signal = new AbortController().signal;

beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), 'branchbox-vty-'));
  server = createServer((socket) => {
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
  expect(await createVty({ directory }).show('bfdd', 'show bfd peers json', signal)).toEqual([{ a: 1 }]);
  expect(asked).toEqual(['show bfd peers json\0']);
});

test('a daemon that is not there, or says no JSON, is unknown', async () => {
  answers = () => [Buffer.from('% Unknown command\0\0\0\u0002')];
  const vty = createVty({ directory });
  expect(await vty.show('bfdd', 'show x json', signal)).toBeUndefined();
  expect(await vty.show('zebra', 'show x json', signal)).toBeUndefined();
});
