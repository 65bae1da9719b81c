/**
 * An older version that is allowed, over a real boot: by the loader's one-shot variable, since the loader would take the
 * newer entry by itself; kept, and started from then on too.
 */
import { afterAll, expect, it } from 'vitest';
import { pings, until } from '../../lab/mainjob/lab.ts';
import { BOX, booted, eventsOf, followTo, readFromVolume, restartBox, want, writeIntoVolume } from './box.ts';
import { forget, makeVersion, upload } from './versions.ts';

const TIMEOUT_MS = 45 * 60_000;
/** Down, and up to its agent's first word to the controller. */
const RESTART_MS = 15 * 60_000;
const NOTE = 'written before the downgrade\n';

afterAll(() => want(undefined));

it(
  'goes back to an older version that is allowed, and stays there',
  async () => {
    const from = await booted();
    // Before the version that runs, whichever that is: UAPI.10 sorts a tilde before the end.
    const older = `${from.version}~1`;
    const entry = `branchbox_${older}.efi`;
    await want(undefined);
    await forget(older);
    await upload(await makeVersion(older));
    await writeIntoVolume('note', NOTE);
    await want({ version: older, allowDowngrade: true });
    const end = await followTo(
      `${BOX} keeps ${older}`,
      ({ version, lastResult }) => version === older && lastResult?.version === older,
      ({ state }) => state === 'rolled-back' || state === 'refused',
    );
    expect(end).toMatchObject({ state: 'committed', lastResult: { version: older, result: 'committed' } });
    const now = await booted();
    expect(now).toMatchObject({ version: older, started: entry });
    expect(now.slot).not.toBe(from.slot);
    // The newer entry is gone: the loader would take it at the next start.
    expect(now.entries).toEqual([entry]);
    expect(await eventsOf('firmware-committed', older)).toHaveLength(1);
    // Apps' data, and what the newer version committed, serve the older one too.
    await until('red reaches red', () => pings('branch2-red', '10.10.0.11'));
    expect(await readFromVolume('note')).toBe(NOTE);

    // Nothing of the one-shot start is left that the next one would need.
    const starts = async (): Promise<number> => (await eventsOf('agent-started', BOX)).length;
    const before = await starts();
    await restartBox();
    await until('the box started again', async () => (await starts()) > before, RESTART_MS);
    const again = await booted();
    expect(again.bootId).not.toBe(now.bootId);
    expect(again).toMatchObject({ version: older, started: entry, slot: now.slot });
    await until('red reaches red', () => pings('branch2-red', '10.10.0.11'));
    expect(await readFromVolume('note')).toBe(NOTE);
  },
  TIMEOUT_MS,
);
