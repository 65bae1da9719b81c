/** What may be an app's image and what can be none, of archives as tar(1) and its like write them. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { anchorImageTar } from '../../../src/containers/anchorImage.ts';
import { whyNoImageArchive } from '../../../src/system/imageArchive.ts';
import { archiveOf, imageArchive } from '../../fakes/imageArchive.ts';

let directory: string;
const why = (content: Uint8Array | string): Promise<string | undefined> => {
  const path = join(directory, 'app.tar');
  writeFileSync(path, content);
  return whyNoImageArchive(path);
};
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'bbt-archive-'));
});
afterEach(() => rmSync(directory, { recursive: true }));

const LAYOUT = { 'blobs/sha256/aa': 'x'.repeat(5_000), 'index.json': '{}', 'manifest.json': '[]' };
const NO_MANIFEST = 'it is a tar without manifest.json, which lists the images';

it.each<[string, Uint8Array]>([
  ['one of a layer and a manifest', imageArchive()],
  ['one in the form of OCI that has a manifest too', archiveOf(LAYOUT)],
  ['a tar of a directory by its path', archiveOf({ './layer.tar': 'x', './manifest.json': '[]' })],
  ['a pax archive', archiveOf(LAYOUT, '--format=pax')],
  ['a compressed one', gzipSync(imageArchive())],
])('%s may be one', async (_, content) => {
  expect(await why(content)).toBeUndefined();
});

const flipped = imageArchive();
flipped[0] = (flipped[0] ?? 0) ^ 1;
// `docker export` writes the files of a container; of an image, they are what a layer has.
const exported = Buffer.from(anchorImageTar());
const emptyFile = archiveOf({ empty: '' }).subarray(0, 512);

it.each<[string, Uint8Array | string, string]>([
  ['nothing', '', 'it is empty'],
  ['a text', 'an image, honestly'.repeat(100), 'it is no tar'],
  ['a disk of zeros', Buffer.alloc(4_096), 'it is no tar'],
  ['a header whose sum is off', flipped, 'it is no tar'],
  ['the files of a container', exported, NO_MANIFEST],
  ['a manifest that is not at the top', archiveOf({ 'image/manifest.json': '[]' }), NO_MANIFEST],
  ['a manifest inside of a layer', archiveOf({ 'layer.tar': imageArchive().toString() }), NO_MANIFEST],
  [
    'more files than an image has',
    Buffer.concat([...Array.from({ length: 4_096 }, () => emptyFile), imageArchive()]),
    NO_MANIFEST,
  ],
  [
    'one that was cut short',
    archiveOf({ 'layer.tar': 'x'.repeat(5_000), 'manifest.json': '[]' }).subarray(0, 3_000),
    'it is a tar that was cut short',
  ],
])('%s is none, and it is said why', async (_, content, said) => {
  expect(await why(content)).toBe(said);
});

it('a directory is none, and what is not there is no answer', async () => {
  expect(await whyNoImageArchive(directory)).toBe('it is no regular file');
  await expect(whyNoImageArchive(join(directory, 'missing'))).rejects.toMatchObject({ code: 'ENOENT' });
});
