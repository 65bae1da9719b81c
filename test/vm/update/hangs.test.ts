/**
 * A version that comes up and whose init is held then: no panic, no agent that could judge, no timer that could end the
 * trial. The watchdog of the machine restarts it, and the loader counts. No part of `npm test`, as the others here.
 */
import { readFileSync } from 'node:fs';
import { afterAll, expect, it } from 'vitest';
import { labPaths } from '../../../src/lab/paths.ts';
import { machinePaths } from '../../../src/lab/vm/machinePaths.ts';
import { LAB, pings, until } from '../../lab/mainjob/lab.ts';
import { BOX, booted, eventsOf, reported, want } from './box.ts';
import { offerBroken } from './takenBack.ts';

const TIMEOUT_MS = 40 * 60_000;
const serialLog = (): string => readFileSync(machinePaths(labPaths(LAB), BOX).serialLog, 'latin1');

afterAll(() => want(undefined));

it(
  'comes back from a version that hangs',
  async () => {
    const from = await booted();
    const hangs = `${from.version}.8`;
    const logged = serialLog().length;
    const end = await offerBroken(from, { version: hangs, variant: 'hangs' });
    expect(end.lastResult).toMatchObject({ version: hangs, cause: 'panicked-or-hung' });
    // As often as the loader counts; and nothing but the watchdog ended either start.
    const said = serialLog().slice(logged);
    expect(said.match(/branchbox-variant: holding init/g)).toHaveLength(2);
    expect(said).not.toMatch(/Kernel panic/);
    const now = await booted();
    expect(now).toMatchObject({ version: from.version, slot: from.slot, started: from.started });
    expect(now.entries).toEqual([from.started, `branchbox_${hangs}+0-2.efi`].toSorted());
    expect(await eventsOf('firmware-rolled-back', hangs)).toHaveLength(1);
    expect((await reported()).health.conditions.map(({ code }) => code)).toContain('firmware-rolled-back');
    await until('red reaches red', () => pings('branch2-red', '10.10.0.11'));
  },
  TIMEOUT_MS,
);
