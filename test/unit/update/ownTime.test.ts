/** The time that a version is judged by: not what a check of the data partition took. */
import { expect, it } from 'vitest';
import { readOwnTimeMs } from '../../../src/update/ownTime.ts';

const readOf = (texts: Readonly<Record<string, string>>): Promise<number> =>
  readOwnTimeMs({
    readText: async (path) =>
      path === '/proc/uptime' ? '1000.25 7.00\n' : texts[path.split('-').at(-1) ?? ''],
  });

it.each<[string, Readonly<Record<string, string>>, number]>([
  ['all of it where nothing was checked', {}, 1_000_250],
  ['what is left after a check', { began: '20\n', ended: '900\n' }, 120_250],
  ['nothing less than none', { began: '0\n', ended: '5000\n' }, 0],
  ['all of it where the notes are broken', { began: 'x\n', ended: '900\n' }, 1_000_250],
  ['all of it where they are the wrong way round', { began: '900\n', ended: '20\n' }, 1_000_250],
])('is %s', async (_, texts, ms) => {
  expect(await readOf(texts)).toBe(ms);
});
