/** The box's download of bundles, held against bytes that are too many or not those that were named. */
import { createHash } from 'node:crypto';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { IncomingMessage } from 'node:http';
import { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { createBundleStore, keep } from '../../../src/containers/bundles.ts';

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'branchbox-bundles-'));
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

const content = Buffer.from('an archive');
const sha256 = createHash('sha256').update(content).digest('hex');
async function* chunks(...parts: Buffer[]): AsyncGenerator<Buffer> {
  yield* parts;
}

test('an archive of the right bytes is kept', async () => {
  const path = join(directory, 'a');
  await keep(chunks(content.subarray(0, 3), content.subarray(3)), path, {
    sha256,
    sizeBytes: content.length,
  });
  expect(readFileSync(path)).toEqual(content);
});

test.each([
  ['larger than announced', content.length - 1, sha256, /larger/],
  ['cut short', content.length + 1, sha256, /ended after/],
  ['of another digest', content.length, 'f'.repeat(64), /SHA-256/],
])('an archive %s is refused', async (_, sizeBytes, digest, words) => {
  const path = join(directory, 'a');
  await expect(keep(chunks(content), path, { sha256: digest, sizeBytes })).rejects.toThrow(words);
});

test('what is over its size is not written on', async () => {
  const path = join(directory, 'a');
  await expect(
    keep(chunks(content, content, content), path, { sha256, sizeBytes: content.length }),
  ).rejects.toThrow(/larger/);
  expect(existsSync(path) && readFileSync(path).length).toBe(content.length);
});

test('a directory that could not be made is made at the next fetch', async () => {
  const place = join(directory, 'bundles');
  const store = createBundleStore({
    directory: place,
    device: {
      async get() {
        const answer = new IncomingMessage(new Socket());
        answer.statusCode = 200;
        answer.push(content);
        answer.push(null);
        return answer;
      },
    },
  });
  const fetch = () => store.fetch(sha256, content.length, new AbortController().signal);
  writeFileSync(place, 'in its way');
  await expect(fetch()).rejects.toThrow('EEXIST');
  rmSync(place);
  expect(readFileSync(await fetch())).toEqual(content);
});
