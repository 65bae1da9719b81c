/** An update by hand, from a USB stick that is plugged into the running box and stays in over the restart. */
import { afterAll, expect, it } from 'vitest';
import { inNode, pings, until } from '../../lab/mainjob/lab.ts';
import type { Stick } from '../usbStick.ts';
import { BOX, booted, eventsOf, followTo, want } from './box.ts';
import { mountStick, plugVersionIn } from './stick.ts';
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
    stick = await plugVersionIn(await makeVersion(version), version, 'elsewhere');
    const directory = `${await mountStick(stick)}/elsewhere`;
    // With --json it tells how it began, and does not stay until the box goes down.
    await inNode(BOX, 'branchbox', 'firmware', 'update', '--from', directory, '--json');
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

it(
  'takes the version of a stick by itself, where the controller wants none',
  async () => {
    await want(undefined);
    await stick?.pullOut();
    const from = await booted();
    const version = `${from.version}.5`;
    // Nothing else is done: it is plugged in, and stays in over the restart.
    stick = await plugVersionIn(await makeVersion(version), version, 'branchbox/update');
    const end = await followTo(
      `${BOX} keeps ${version}`,
      (firmware) => firmware.version === version && firmware.lastResult?.version === version,
      ({ state }) => state === 'refused' || state === 'rolled-back',
    );
    expect(end.lastResult).toMatchObject({ version, result: 'committed' });
    expect(await booted()).toMatchObject({ version, started: `branchbox_${version}.efi` });
    // Read, and let go: nobody on the box sees it, and its service did not fail.
    expect(await inNode(BOX, 'cat', '/proc/mounts')).not.toContain(`/dev/${stick.name} `);
    const failed = await inNode(BOX, 'systemctl', 'list-units', '--state=failed', '--plain', '--no-legend');
    expect(failed).not.toContain('branchbox-update-stick');
    await until('red reaches red', () => pings('branch2-red', '10.10.0.11'));
  },
  TIMEOUT_MS,
);
