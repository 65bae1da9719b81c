/** The outbox of events over a real file, held against restarts, its bounds and a damaged file. */
import {
  mkdirSync,
  mkdtempSync,
  openSync,
  closeSync,
  rmdirSync,
  rmSync,
  statSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { createOutbox as createLogged } from '../../../src/telemetry/outbox.ts';
import { silentLog } from '../../fakes/silentLog.ts';

let directory: string;
let path: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'branchbox-outbox-'));
  path = join(directory, 'outbox.sqlite');
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

const nowMs = () => 7;
const createOutbox = (options: Omit<Parameters<typeof createLogged>[0], 'log'>) =>
  createLogged({ ...options, log: silentLog });
const event = (sentence: string) => ({ atMs: 1, kind: 'path-changed' as const, subject: 's', sentence });
const words = (box: ReturnType<typeof createOutbox>) => box.pending(100).map(({ sentence }) => sentence);

test('events outlive the process, in order, under ids that never repeat', () => {
  const first = createOutbox({ nowMs, path });
  first.add(event('a'));
  first.add(event('b'));
  const ids = first.pending(10).map(({ id }) => id);
  first.stored(ids.slice(1));
  first.close();
  const second = createOutbox({ nowMs, path });
  second.add(event('c'));
  expect(words(second)).toEqual(['a', 'c']);
  expect(ids).not.toContain(second.pending(10)[1]?.id);
  second.close();
});

test('ids that are not of this outbox store nothing', () => {
  const box = createOutbox({ nowMs, path });
  box.add(event('a'));
  box.stored(['other/1', 'nonsense', '1']);
  expect(words(box)).toEqual(['a']);
  box.close();
});

test('over the bound the oldest go, and how many is told once, behind the rest, over a restart', () => {
  const box = createOutbox({ nowMs, path, maxEvents: 3 });
  for (const sentence of ['a', 'b', 'c', 'd', 'e']) box.add(event(sentence));
  expect(words(box)).toEqual(['c', 'd', 'e']);
  box.close();
  const again = createOutbox({ nowMs, path, maxEvents: 3 });
  expect(again.dropped()).toBe(2);
  const rest = again.pending(10).map(({ id }) => id);
  again.stored(rest.slice(0, 2));
  expect(words(again)).toEqual(['e']);
  again.stored(rest);
  expect(again.dropped()).toBe(0);
  const told = again.pending(10);
  expect(told).toMatchObject([{ atMs: 7, kind: 'events-dropped', subject: 'outbox' }]);
  expect(told[0]?.sentence).toMatch(/^2 events were dropped unsent, the oldest first/);
  again.stored(told.map(({ id }) => id));
  expect(again.pending(10)).toEqual([]);
  again.close();
});

test('what a newer version wrote does not stand before what came after it', () => {
  const box = createOutbox({ nowMs, path });
  box.add(event('a'));
  box.close();
  const database = new DatabaseSync(path);
  const insert = database.prepare('INSERT INTO event (body, bytes) VALUES (?, ?)');
  for (let i = 0; i < 150; i += 1) insert.run(i % 2 === 0 ? '{"kind":"of-tomorrow"}' : 'torn{', 20);
  database.close();
  const again = createOutbox({ nowMs, path });
  again.add(event('b'));
  expect(words(again)).toEqual(['a', 'b']);
  expect(again.dropped()).toBe(150);
  again.close();
});

test('bytes are a bound too', () => {
  const box = createOutbox({ nowMs, path, maxBytes: 1000 });
  for (let i = 0; i < 10; i += 1) box.add(event('x'.repeat(300)));
  expect(box.pending(100).length).toBeLessThan(4);
  expect(box.dropped()).toBeGreaterThan(6);
  box.close();
});

test('a file that is no database is put aside', () => {
  writeFileSync(path, 'power was cut here, '.repeat(1000));
  const box = createOutbox({ nowMs, path });
  box.add(event('a'));
  expect(words(box)).toEqual(['a']);
  box.close();
});

test('a file that is damaged behind its first page is put aside', () => {
  const first = createOutbox({ nowMs, path });
  for (let i = 0; i < 200; i += 1) first.add(event('x'.repeat(300)));
  first.close();
  const file = openSync(path, 'r+');
  const pageBytes = 4096;
  for (let at = 3 * pageBytes; at < statSync(path).size; at += pageBytes)
    writeSync(file, Buffer.alloc(pageBytes, 'power was cut here, '), 0, pageBytes, at);
  closeSync(file);
  const box = createOutbox({ nowMs, path });
  box.add(event('a'));
  expect(words(box)).toEqual(['a']);
  box.close();
});

// As where the file system has no file left for it.
test('a journal that cannot be made costs no event that is on disk, and nobody the agent', () => {
  const first = createOutbox({ nowMs, path });
  first.add(event('a'));
  first.close();
  mkdirSync(`${path}-wal`);
  const meanwhile = createOutbox({ nowMs, path });
  meanwhile.add(event('b'));
  expect(words(meanwhile)).toEqual(['b']);
  meanwhile.close();
  rmdirSync(`${path}-wal`);
  const again = createOutbox({ nowMs, path });
  expect(words(again)).toEqual(['a']);
  again.close();
});

test('a directory that cannot be made costs nobody the agent', () => {
  writeFileSync(join(directory, 'file'), '');
  const box = createOutbox({ nowMs, path: join(directory, 'file', 'outbox.sqlite') });
  box.add(event('a'));
  expect(words(box)).toEqual(['a']);
  box.close();
});
