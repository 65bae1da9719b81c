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

const emptyFile = archiveOf({ empty: '' }).subarray(0, 512);
/** As GNU tar writes a size from 8 GiB on. */
const large = Buffer.from(emptyFile);
large.writeUInt32BE(0x8000_0000, 124);
large.fill(0, 128, 136).writeUIntBE(16 * 1024 ** 3, 130, 6);
large.fill(' ', 148, 156);
large.write(
  `${large
    .reduce((total, byte) => total + byte, 0)
    .toString(8)
    .padStart(6, '0')}\0 `,
  148,
  'latin1',
);

it.each<[string, Uint8Array]>([
  ['one of a layer and a manifest', imageArchive()],
  ['one in the form of OCI that has a manifest too', archiveOf(LAYOUT)],
  ['a tar of a directory by its path', archiveOf({ './layer.tar': 'x', './manifest.json': '[]' })],
  ['a pax archive', archiveOf(LAYOUT, '--format=pax')],
  ['a compressed one', gzipSync(imageArchive())],
  ['one of more files than are looked at', Buffer.concat(Array.from({ length: 4_097 }, () => emptyFile))],
  ['one that begins with a file of 16 GiB', large],
])('%s may be one', async (_, content) => {
  expect(await why(content)).toBeUndefined();
});

const flipped = imageArchive();
flipped[0] = (flipped[0] ?? 0) ^ 1;
// `docker export` writes the files of a container; of an image, they are what a layer has.
const exported = Buffer.from(anchorImageTar());

it.each<[string, Uint8Array | string, string]>([
  ['nothing', '', 'it is empty'],
  ['a text', 'an image, honestly'.repeat(100), 'it is no tar'],
  ['a disk of zeros', Buffer.alloc(4_096), 'it is no tar'],
  ['a header whose sum is off', flipped, 'it is no tar'],
  ['the files of a container', exported, NO_MANIFEST],
  ['a manifest that is not at the top', archiveOf({ 'image/manifest.json': '[]' }), NO_MANIFEST],
  ['a manifest inside of a layer', archiveOf({ 'layer.tar': imageArchive().toString() }), NO_MANIFEST],
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
