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
const entryOf = (version: string): string => `branchbox_${version}.efi`;

const serialLog = (): string => readFileSync(machinePaths(labPaths(LAB), BOX).serialLog, 'latin1');
/** Tenants have what they had, and their app what it kept. */
const worksAsBefore = async (): Promise<void> => {
  await until('red reaches red', () => pings('branch2-red', '10.10.0.11'));
  expect(await readFromVolume('note')).toBe(NOTE);
};

describe('a box that is to run another version', () => {
  let base: string;

  beforeAll(async () => {
    base = (await booted()).version;
    // Of an earlier run on a lab that was kept.
    await want(undefined);
    for (const version of [`${base}.1`, `${base}.2`]) await forget(version);
    await writeIntoVolume('note', NOTE);
  }, TIMEOUT_MS);
  afterAll(() => want(undefined));

  it(
    'fetches it, tries it over a boot, and keeps it when all that was up is up again',
    async () => {
      const from = await booted();
      const good = `${base}.1`;
      await upload(await makeVersion(good));
      await want({ version: good });
      const end = await followTo(
        `${BOX} keeps ${good}`,
        ({ version, lastResult }) => version === good && lastResult?.version === good,
        ({ state }) => state === 'rolled-back' || state === 'refused',
      );
      expect(end).toMatchObject({ state: 'committed', lastResult: { version: good, result: 'committed' } });
      const now = await booted();
      expect(now).toMatchObject({ version: good, started: entryOf(good) });
      expect(now.slot).not.toBe(from.slot);
      // No counter: it is started from now on. The version before stays, to go back to.
      expect(now.entries).toEqual([entryOf(base), entryOf(good)].toSorted());
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
      // What it ran before stands in the other slot.
      const other = from.entries.find((file) => file !== from.started) ?? expect.unreachable();
      const older = other.replace(/^branchbox_(.*)\.efi$/, '$1');
      await upload(await madeBefore(older));
      await want({ version: older });
      const end = await followTo(
        `${BOX} refuses ${older}`,
        ({ state }) => state === 'refused',
        ({ state }) => state === 'downloading' || state === 'trial',
      );
      expect(end.sentence).toContain(`${older} is older than ${from.version}, and no downgrade is allowed`);
      expect(await eventsOf('firmware-refused', older)).toHaveLength(1);
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
      const panics = `${base}.2`;
      await upload(await makeVersion(panics, 'panics'));
      await want({ version: panics });
      const end = await followTo(
        `${BOX} gives ${panics} up`,
        ({ version, state }) => version === from.version && state === 'rolled-back',
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
      expect(now).toMatchObject({ version: from.version, slot: from.slot, started: from.started });
      expect(now.entries).toEqual([from.started, `branchbox_${panics}+0-2.efi`].toSorted());
      expect(await eventsOf('firmware-rolled-back', panics)).toHaveLength(1);
      expect((await reported()).health.conditions.map(({ code }) => code)).toContain('firmware-rolled-back');
      await worksAsBefore();

      const starts = async (): Promise<number> => (await eventsOf('agent-started', BOX)).length;
      const startsBefore = await starts();
      await restartAgent();
      await until('the agent started again', async () => (await starts()) > startsBefore, 120_000);
      const again = await followTo(
        'it looks at what is wanted again',
        ({ sentence }) => sentence.includes('It is not tried again by itself.'),
        ({ state }) => state === 'downloading' || state === 'trial',
      );
      expect(again.state).toBe('rolled-back');
      expect(await booted()).toEqual(now);
    },
    TIMEOUT_MS,
  );
});
