/** The keys that sign in the domain CA's name, held against time and against being asked for at once. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { openSignerKeys } from '../../../src/controller/signer/keys.ts';
import { createClock } from '../../../src/system/linux/clock.ts';
import { createFiles } from '../../../src/system/linux/files.ts';

const YEAR_MS = 365 * 86_400_000;
let directory = '';
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'bbt-signer-keys-'));
});
afterAll(() => rm(directory, { recursive: true }));

it('makes one next key for all that find the present one due', async () => {
  let nowMs = Date.now();
  const keys = await openSignerKeys({
    files: createFiles(),
    clock: { ...createClock(), nowMs: () => nowMs },
    directory,
  });
  const fingerprint = async () => (await keys.configurationSigning()).certificate.fingerprintSha256;
  const first = await fingerprint();
  expect(await fingerprint()).toBe(first);
  nowMs += 3 * YEAR_MS;
  const [one, other] = await Promise.all([fingerprint(), fingerprint()]);
  expect(one).not.toBe(first);
  expect(other).toBe(one);
});
