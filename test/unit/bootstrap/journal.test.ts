/** Since when a box is in a state, told by a box whose clock is set in between. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { openJournal } from '../../../src/bootstrap/journal.ts';
import type { BootstrapState } from '../../../src/model/bootstrap.ts';
import { createFiles } from '../../../src/system/linux/files.ts';
import { createLogger } from '../../../src/system/linux/logger.ts';
import { HOUR_MS, NOW_MS } from './authorities.ts';
import { createTestClock } from './box.ts';

const files = createFiles();
const log = createLogger({ name: 'test', write: () => undefined });
let directory = '';
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'bbt-journal-'));
});
afterEach(() => rmSync(directory, { recursive: true }));
const open = (clock: ReturnType<typeof createTestClock>) => {
  const fallback = async (): Promise<BootstrapState> => 'FACTORY';
  return openJournal({ files, clock, log, path: join(directory, 'journal'), fallback });
};
const told = (journal: Awaited<ReturnType<typeof open>>) =>
  journal.history().map(({ state, enteredAtMs }) => [state, enteredAtMs]);

it('tells how long ago a state began by the clock that was set since, and writes that down', async () => {
  const clock = createTestClock(10_000);
  const journal = await open(clock);
  await clock.sleep(HOUR_MS);
  await journal.enter('DISCOVER');
  await clock.sleep(2 * HOUR_MS);
  clock.setMs(NOW_MS);
  const stepped = [
    ['FACTORY', NOW_MS - 3 * HOUR_MS],
    ['DISCOVER', NOW_MS - 2 * HOUR_MS],
  ];
  expect(told(journal)).toEqual(stepped);
  // What was told stays while the clock is steered.
  clock.setMs(NOW_MS + 900);
  expect(told(journal)).toEqual(stepped);
  await journal.enter('PROVISIONAL');
  expect(told(await open(createTestClock()))).toEqual([...stepped, ['PROVISIONAL', NOW_MS + 900]]);
});

it('leaves what an earlier start wrote as it is, whichever way the clock is set', async () => {
  await open(createTestClock(10_000));
  const clock = createTestClock(NOW_MS);
  const journal = await open(clock);
  await journal.enter('DISCOVER');
  clock.setMs(NOW_MS - HOUR_MS);
  await clock.sleep(1_000);
  expect(told(journal)).toEqual([
    ['FACTORY', 10_000],
    ['DISCOVER', NOW_MS - HOUR_MS],
  ]);
});
