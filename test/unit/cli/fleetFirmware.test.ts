/** Which version `fleet firmware upload` takes, of a directory that images are built into one after the other. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { findManifest } from '../../../src/cli/fleetFirmware.ts';

let directory: string;
const put = (version: string): string => {
  const name = `branchbox-${version}.update.jws`;
  writeFileSync(join(directory, name), 'jws');
  return name;
};
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'bbt-release-'));
});
afterEach(() => rmSync(directory, { recursive: true }));

it('is the one that is there', async () => {
  await expect(findManifest(directory)).rejects.toThrow('holds no *.update.jws');
  const name = put('0.1.0');
  expect(await findManifest(directory)).toEqual({ directory, name });
});

it('is the one whose manifest is named, where several are there', async () => {
  put('0.1.0');
  const name = put('0.2.0');
  await expect(findManifest(directory)).rejects.toMatchObject({
    message: expect.stringContaining('holds 2 *.update.jws'),
    mend: expect.stringContaining(join(directory, name)),
  });
  expect(await findManifest(join(directory, name))).toEqual({ directory, name });
});

it('is none of a directory that is not there, which is said with why', async () => {
  const missing = join(directory, 'none');
  await expect(findManifest(missing)).rejects.toMatchObject({
    code: 'system/file',
    message: `${missing} cannot be read: ENOENT`,
    mend: expect.stringContaining('*.update.jws'),
  });
});
