/**
 * A version that boots, whose agent lives, and that has no network at all, since its kernel has no driver of the box's
 * cards: nobody can tell it anything, so its own agent takes it back, and the version before tells why.
 * Eight minutes of trial, so it is no part of `npm test`.
 */
import { afterAll, expect, it } from 'vitest';
import { pings, until } from '../../lab/mainjob/lab.ts';
import { booted, eventsOf, reported, want } from './box.ts';
import { offerBroken } from './takenBack.ts';

const TIMEOUT_MS = 40 * 60_000;

afterAll(() => want(undefined));

it(
  'comes back from a version that has no network',
  async () => {
    const from = await booted();
    const dark = `${from.version}.7`;
    const end = await offerBroken(from, { version: dark, variant: 'no-network' });
    expect(end.lastResult).toMatchObject({ version: dark, cause: 'unhealthy' });
    // By name: it had come up, and looked.
    expect(end.lastResult?.sentence).toMatch(/controller|path /);
    const now = await booted();
    expect(now).toMatchObject({ version: from.version, slot: from.slot, started: from.started });
    // Marked in its first start: the second try is not spent on it.
    expect(now.entries).toEqual([from.started, `branchbox_${dark}+0-1.efi`].toSorted());
    expect(await eventsOf('firmware-rolled-back', dark)).toHaveLength(1);
    expect((await reported()).health.conditions.map(({ code }) => code)).toContain('firmware-rolled-back');
    await until('red reaches red', () => pings('branch2-red', '10.10.0.11'));
  },
  TIMEOUT_MS,
);
