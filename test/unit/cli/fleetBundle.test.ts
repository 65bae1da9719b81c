/** What `fleet bundle` holds a file against before a byte of it is sent. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { createProgram } from '../../../src/cli/program.ts';
import { imageArchive } from '../../fakes/imageArchive.ts';

let directory: string;
const put = (name: string, content: Uint8Array | string): string => {
  const path = join(directory, name);
  writeFileSync(path, content);
  return path;
};
/** A controller that nobody is: an archive that is taken fails there. */
const bundle = async (file: string): Promise<unknown> => {
  const access = [
    '--api',
    'https://127.0.0.1:1',
    '--ca',
    put('ca', 'x'),
    '--credential',
    put('credential', 'x'),
  ];
  const program = await createProgram((name) => name === 'fleet');
  return program.parseAsync(['fleet', 'bundle', file, ...access], { from: 'user' });
};
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'bbt-bundle-'));
});
afterEach(() => rmSync(directory, { recursive: true }));

it('refuses what can be no app image, by name, with why and how one is made', async () => {
  const file = put('notes.txt', 'to do: save the image');
  await expect(bundle(file)).rejects.toMatchObject({
    code: 'model/invalid',
    message: `${file} is no app image: it is no tar`,
    mend: expect.stringContaining('docker save'),
  });
});

it('says of a file that cannot be read why, as of every other', async () => {
  const missing = join(directory, 'missing.tar');
  await expect(bundle(missing)).rejects.toMatchObject({
    code: 'system/file',
    message: `${missing} cannot be read: ENOENT`,
  });
});

it('sends what may be one', async () => {
  await expect(bundle(put('app.tar', imageArchive()))).rejects.toMatchObject({
    code: 'controller/unreachable',
  });
});
