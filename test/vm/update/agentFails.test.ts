/**
 * A version that boots and whose agent ends at once: nobody judges it, so the deadline without an agent takes the box
 * back. Takes as long as a good update, so it is no part of `npm test`.
 */
import { afterAll, expect, it } from 'vitest';
import { pings, until } from '../../lab/mainjob/lab.ts';
import { booted, eventsOf, readFromVolume, want, writeIntoVolume } from './box.ts';
import { offerBroken } from './takenBack.ts';

const TIMEOUT_MS = 30 * 60_000;
const NOTE = 'written before a version without an agent\n';

afterAll(() => want(undefined));

it(
  'comes back from a version whose agent ends at once',
  async () => {
    const from = await booted();
    const fails = `${from.version}.3`;
    await writeIntoVolume('note', NOTE);
    const end = await offerBroken(from, { version: fails, variant: 'agent-fails' });
    expect(end.lastResult).toMatchObject({ version: fails, cause: 'no-verdict' });
    expect(end.lastResult?.sentence).toMatch(/its agent ended [0-9]+ times, and came to no verdict/);
    const now = await booted();
    expect(now).toMatchObject({ version: from.version, slot: from.slot });
    // Marked in its first start: the second try is not spent on it.
    expect(now.entries).toEqual([from.started, `branchbox_${fails}+0-1.efi`].toSorted());
    expect(await eventsOf('firmware-rolled-back', fails)).toHaveLength(1);
    await until('red reaches red', () => pings('branch2-red', '10.10.0.11'));
    expect(await readFromVolume('note')).toBe(NOTE);
  },
  TIMEOUT_MS,
);
