/** What a box remembers of how versions ended: of which kind how many, and of a file that another version wrote. */
import { afterEach, beforeEach, expect, it } from 'vitest';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createFiles } from '../../../src/system/linux/files.ts';
import { createUpdateRecords, type Ending, takenBack } from '../../../src/update/records.ts';
import { silentLog as log } from '../../fakes/silentLog.ts';

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'bbt-history-'));
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

const ending = (digest: string, result: Ending['result']): Ending => ({
  digest,
  version: '1.1.0',
  result,
  sentence: 'It ended.',
  atMs: 1,
});
const stand = (endings: readonly unknown[]): void =>
  writeFileSync(join(directory, 'history.json'), JSON.stringify({ schema: 1, endings }));
const junk = (count: number): Ending[] =>
  Array.from({ length: count }, (_, index) => ending(`junk${index}`, 'refused'));

it('a version that was taken back is not forgotten for any number of refusals', async () => {
  stand([ending('bad', 'rolled-back'), ...junk(31)]);
  const records = createUpdateRecords(createFiles(), directory, log);
  await records.end(ending('more', 'refused'));
  const history = await records.history();
  expect(takenBack(history, 'bad')?.result).toBe('rolled-back');
  expect(history.map(({ digest }) => digest)).toEqual([
    'bad',
    ...junk(31)
      .slice(-7)
      .map(({ digest }) => digest),
    'more',
  ]);
});

it('of a file with more than are kept, the newest are read', async () => {
  stand(Array.from({ length: 40 }, (_, index) => ending(`v${index}`, 'rolled-back')));
  const history = await createUpdateRecords(createFiles(), directory, log).history();
  expect(history.map(({ digest }) => digest)).toEqual(
    Array.from({ length: 24 }, (_, index) => `v${index + 16}`),
  );
});

it('no more are kept than an earlier version reads', async () => {
  stand([...Array.from({ length: 40 }, (_, index) => ending(`v${index}`, 'rolled-back')), ...junk(40)]);
  const records = createUpdateRecords(createFiles(), directory, log);
  await records.end(ending('v40', 'committed'));
  expect(await records.history()).toHaveLength(32);
});
