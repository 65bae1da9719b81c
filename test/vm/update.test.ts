/**
 * Updates of a box over its boots, ordered by its controller: a good version is kept, an older one is refused, and from
 * one whose kernel panics the box comes back by itself. After what tests the image as it came: the box runs another
 * version then.
 */
import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { labPaths } from '../../src/lab/paths.ts';
import { machinePaths } from '../../src/lab/vm/machinePaths.ts';
import { LAB, pings, until } from '../lab/mainjob/lab.ts';
import {
  BOX,
  booted,
  eventsOf,
  followTo,
  readFromVolume,
  reported,
  restartAgent,
  want,
  writeIntoVolume,
} from './update/box.ts';
import { forget, madeBefore, makeVersion, upload } from './update/versions.ts';

/** A download of 400 MB and up to three boots, emulated on a host that is busy. */
const TIMEOUT_MS = 30 * 60_000;
const NOTE = 'written before the update\n';

const serialLog = (): string => readFileSync(machinePaths(labPaths(LAB), BOX).serialLog, 'latin1');
/** Tenants have what they had, and their app what it kept. */
const worksAsBefore = async (): Promise<void> => {
  await until('red reaches red', () => pings('branch2-red', '10.10.0.11'));
  expect(await readFromVolume('note')).toBe(NOTE);
};

describe('a box that is to run another version', () => {
  let before: string;
  let good: string;
  let panics: string;

  beforeAll(async () => {
    before = (await booted()).version;
    good = `${before}.1`;
    panics = `${before}.2`;
    // Of an earlier run on a lab that was kept.
    await want(undefined);
    for (const version of [good, panics]) await forget(version);
    await upload(await makeVersion(good));
    await writeIntoVolume('note', NOTE);
  }, TIMEOUT_MS);
  afterAll(() => want(undefined));

  it(
    'fetches it, tries it over a boot, and keeps it when all that was up is up again',
    async () => {
      const from = await booted();
      await want({ version: good });
      const end = await followTo(
        `${BOX} keeps ${good}`,
        ({ version, lastResult }) => version === good && lastResult?.version === good,
        ({ state }) => state === 'rolled-back' || state === 'refused',
      );
      expect(end).toMatchObject({ state: 'committed', lastResult: { version: good, result: 'committed' } });
      const now = await booted();
      expect(now).toMatchObject({ version: good, started: `branchbox_${good}.efi` });
      expect(now.slot).not.toBe(from.slot);
      // No counter: it is started from now on. The version before stays, to go back to.
      expect(now.entries).toEqual([`branchbox_${before}.efi`, `branchbox_${good}.efi`]);
      expect(await eventsOf('firmware-trial', good)).toHaveLength(1);
      expect(await eventsOf('firmware-committed', good)).toHaveLength(1);
      await worksAsBefore();
    },
    TIMEOUT_MS,
  );

  it(
    'refuses an older one that nobody allowed, and says so',
    async () => {
      const from = await booted();
      await upload(await madeBefore(before));
      await want({ version: before });
      const end = await followTo(
        `${BOX} refuses ${before}`,
        ({ state }) => state === 'refused',
        ({ state }) => state === 'downloading' || state === 'trial',
      );
      expect(end.sentence).toContain(`${before} is older than ${good}, and no downgrade is allowed`);
      expect(await eventsOf('firmware-refused', before)).toHaveLength(1);
      expect((await reported()).health.conditions.map(({ code }) => code)).toContain('firmware-refused');
      expect(await booted()).toEqual(from);
    },
    TIMEOUT_MS,
  );

  it(
    'comes back from one whose kernel panics, says why, and does not try it again by itself',
    async () => {
      const from = await booted();
      const logged = serialLog().length;
      await upload(await makeVersion(panics, 'panics'));
      await want({ version: panics });
      const end = await followTo(
        `${BOX} gives ${panics} up`,
        ({ version, state }) => version === good && state === 'rolled-back',
        ({ version, state, lastResult }) =>
          version === panics || (state === 'refused' && lastResult?.version === panics),
      );
      expect(end.lastResult).toMatchObject({ version: panics, cause: 'panicked-or-hung' });
      // As often as the loader counts, and once more would be one too many.
      expect(
        serialLog()
          .slice(logged)
          .match(/\] Kernel panic/g),
      ).toHaveLength(2);
      const now = await booted();
      expect(now).toMatchObject({ version: good, slot: from.slot });
      expect(now.entries).toEqual([`branchbox_${good}.efi`, `branchbox_${panics}+0-2.efi`]);
      expect(await eventsOf('firmware-rolled-back', panics)).toHaveLength(1);
      expect((await reported()).health.conditions.map(({ code }) => code)).toContain('firmware-rolled-back');
      await worksAsBefore();

      const starts = async (): Promise<number> => (await eventsOf('agent-started', BOX)).length;
      const startsBefore = await starts();
      await restartAgent();
      await until('the agent started again', async () => (await starts()) > startsBefore, 120_000);
      const again = await followTo(
        'it looks at what is wanted again',
        ({ state }) => state === 'rolled-back',
        ({ state }) => state === 'downloading' || state === 'trial',
      );
      expect(again.sentence).toContain('It is not tried again by itself.');
      expect(await booted()).toEqual(now);
    },
    TIMEOUT_MS,
  );
});
