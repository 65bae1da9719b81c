/** An update by hand, from a USB stick that is plugged into the running box and stays in over the restart. */
import { afterAll, expect, it } from 'vitest';
import { inNode, pings, until } from '../../lab/mainjob/lab.ts';
import { BOX, booted, eventsOf, followTo, want } from './box.ts';
import { plugStickIn, type Stick } from './stick.ts';
import { makeVersion } from './versions.ts';

const TIMEOUT_MS = 30 * 60_000;

let stick: Stick | undefined;
afterAll(() => stick?.pullOut());

it(
  'installs the version of a stick, tries it and keeps it',
  async () => {
    await want(undefined);
    const from = await booted();
    const version = `${from.version}.4`;
    stick = await plugStickIn(await makeVersion(version), version);
    // With --json it tells how it began, and does not stay until the box goes down.
    await inNode(BOX, 'branchbox', 'firmware', 'update', '--from', stick.directory, '--json');
    const end = await followTo(
      `${BOX} keeps ${version}`,
      (firmware) => firmware.version === version && firmware.lastResult?.version === version,
      ({ state, lastResult }) => state === 'refused' && lastResult?.version === version,
    );
    expect(end.lastResult).toMatchObject({ version, result: 'committed' });
    expect(await booted()).toMatchObject({ version, started: `branchbox_${version}.efi` });
    expect(await eventsOf('firmware-committed', version)).toHaveLength(1);
    await until('red reaches red', () => pings('branch2-red', '10.10.0.11'));
  },
  TIMEOUT_MS,
);
