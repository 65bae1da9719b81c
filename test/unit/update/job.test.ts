/** What an update by hand may do that the controller did not allow: no more than whoever asked said. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { requestedJob } from '../../../src/update/job.ts';
import { createFakeSource } from '../../fakes/firmwareSource.ts';
import { NEW, wantedOf } from './updaterBox.ts';

const source = createFakeSource(NEW, 100);

it.each([
  { controller: false, hand: false, allowed: false },
  { controller: true, hand: false, allowed: true },
  { controller: false, hand: true, allowed: true },
])('a downgrade to what is wanted: $controller by the controller, $hand by hand', async (row) => {
  const window = { start: '01:00', end: '04:00' };
  const wanted = wantedOf(NEW, { allowDowngrade: row.controller, window, rateLimitKbps: 8 });
  const job = await requestedJob({ kind: 'update', allowDowngrade: row.hand }, wanted, source);
  // At once; but the line is as narrow as ever.
  expect(job).toMatchObject({ allowDowngrade: row.allowed, window: undefined, rateLimitKbps: 8 });
});

it('a downgrade to what lies in a directory is for whoever asked to allow, and not for the controller', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'bbt-job-'));
  try {
    writeFileSync(join(directory, 'a.update.jws'), 'a manifest');
    const wanted = wantedOf(NEW, { allowDowngrade: true });
    for (const allowDowngrade of [false, true]) {
      const job = await requestedJob({ kind: 'update', directory, allowDowngrade }, wanted, source);
      expect(job).toMatchObject({ allowDowngrade, manifest: 'a manifest' });
    }
  } finally {
    rmSync(directory, { recursive: true });
  }
});
