/** A part from a directory that somebody else filled: what it costs of what came from elsewhere. */
import { afterEach, beforeEach, expect, it } from 'vitest';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fetchPart, isWrong } from '../../../src/update/fetchPart.ts';
import { openDirectory } from '../../../src/update/directorySource.ts';
import { sha256 } from '../../fakes/firmwareVersion.ts';

const BYTES = Buffer.from(Array.from({ length: 5000 }, (_, index) => (index * 31) & 0xff));
const part = { role: 'root', file: 'x.root', sizeBytes: BYTES.length, sha256: sha256(BYTES) } as const;
const STOOD = 3000;

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'bbt-directory-'));
  writeFileSync(join(directory, 'x.update.jws'), 'manifest');
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

/** `durable`: as it was noted last. */
async function fetched(content: Uint8Array, durableBytes = STOOD) {
  writeFileSync(join(directory, part.file), content);
  const file = Buffer.alloc(10_000);
  BYTES.copy(file, 0, 0, durableBytes);
  let durable = durableBytes;
  const { source } = await openDirectory(directory);
  const thrown = await fetchPart({
    part,
    source,
    to: {
      read: async (offset, length) => file.subarray(offset, offset + length),
      write: async (offset, bytes) => file.set(bytes, offset),
      sync: async () => undefined,
      close: async () => undefined,
    },
    durableBytes,
    onDurable: async (bytes) => void (durable = bytes),
    pace: async () => undefined,
    sizes: { writeBytes: 100, syncBytes: 200 },
    signal: new AbortController().signal,
  }).then(
    () => undefined,
    (error: unknown) => error,
  );
  return { thrown, durable, isWhole: file.subarray(0, BYTES.length).equals(BYTES) };
}

it('that is the manifest’s is gone on with', async () => {
  expect(await fetched(BYTES)).toEqual({ thrown: undefined, durable: BYTES.length, isWhole: true });
});

it.each<[string, Uint8Array, RegExp]>([
  ['larger', Buffer.concat([BYTES, Buffer.from('x')]), /is larger than 5000 bytes: 5001/],
  ['shorter', BYTES.subarray(1), /is shorter than 5000 bytes: 4999/],
  ['another in its end', Buffer.from(BYTES).fill(1, 4000), /has SHA-256/],
  ['another in its beginning', Buffer.from(BYTES).fill(1, 0, 100), /has SHA-256/],
])('that is %s is refused, and what stood before stands', async (_, content, words) => {
  const { thrown, durable } = await fetched(content);
  expect(thrown).toMatchObject({ message: expect.stringMatching(words) });
  expect([isWrong(thrown), durable]).toEqual([true, STOOD]);
});

it.each([
  ['is empty', 0],
  ['has 65537 bytes, where a manifest has 65536 at most', 65_537],
])('a manifest that %s is told as that, and not as one that nobody signed', async (how, sizeBytes) => {
  writeFileSync(join(directory, 'x.update.jws'), 'x'.repeat(sizeBytes));
  await expect(openDirectory(directory)).rejects.toMatchObject({
    code: 'firmware/source',
    message: `x.update.jws in ${directory} ${how}: copy the version there again`,
  });
});
