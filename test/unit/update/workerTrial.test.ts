/** The updater as the agent runs it, on a disk of the fakes, after a restart: a version on trial, committed, taken back. */
import { describe, expect, it } from 'vitest';
import { verifyManifest } from '../../../src/update/manifest.ts';
import { STABLE_MS, VERDICT_MS, type Vitals } from '../../../src/update/trial.ts';
import { createNoUpdater } from '../../../src/update/updater.ts';
import { createFakeFirmwareDisk, type FakeFirmwareDisk, PowerCut } from '../../fakes/firmwareDisk.ts';
import { createFakeSource } from '../../fakes/firmwareSource.ts';
import { makeVersion } from '../../fakes/firmwareVersion.ts';
import { NOW_MS } from '../pki/domain.ts';

import { ca, sign, OLD, NEW, wantedOf, up, useUpdaterBoxes } from './updaterBox.ts';

const { box } = useUpdaterBoxes();

describe('a trial', () => {
  /** A box restarted into the version on trial, as the loader does it. */
  async function restarted(tries = 'branchbox_1.1.0+1-1.efi', upAfterMs?: number) {
    const before = box({ wanted: wantedOf(NEW), ...(upAfterMs === undefined ? {} : { upAfterMs }) });
    await before.ended;
    await before.fake.disk.renameEntry('branchbox_1.1.0+2.efi', tries, AbortSignal.timeout(1000));
    return before.fake;
  }

  /** The power goes within the rename of a boot entry: both names are left. */
  async function cutRename(disk: FakeFirmwareDisk, from: string, to: string): Promise<void> {
    disk.power(1);
    const cut = disk.disk.renameEntry(from, to, AbortSignal.timeout(1000));
    await expect(cut).rejects.toBeInstanceOf(PowerCut);
    disk.crash(() => 1);
  }

  it('that stays healthy is committed', async () => {
    const disk = await restarted();
    const one = box({ running: NEW, disk, wanted: wantedOf(NEW), bootId: 'two' });
    await one.until('committed');
    expect(one.clockMs()).toBeGreaterThanOrEqual(STABLE_MS);
    one.stop.abort();
    await one.ended;
    expect(disk.entries()).toEqual(['branchbox_1.0.0.efi', 'branchbox_1.1.0.efi']);
    expect(one.events).toEqual([expect.stringMatching(/^firmware-committed 1\.1\.0/)]);
    expect(await one.records.readTrial()).toBeUndefined();
    expect(one.updater.status()).toMatchObject({ slot: 'b', lastResult: { result: 'committed' } });
  });

  it('that misses what was up is marked, and told by the version before, which does not try it again', async () => {
    const disk = await restarted();
    const dark: Vitals = { ...up, paths: new Map([['a~hub', false]]) };
    const one = box({ running: NEW, disk, vitals: () => dark, bootId: 'two' });
    await one.ended;
    expect(one.clockMs()).toBeGreaterThanOrEqual(VERDICT_MS);
    expect([one.state.restarts, disk.entries()]).toEqual([
      1,
      ['branchbox_1.0.0.efi', 'branchbox_1.1.0+0-1.efi'],
    ]);
    const back = box({ disk, wanted: wantedOf(NEW), bootId: 'three' });
    await back.until('rolled-back');
    expect(back.events).toEqual([
      expect.stringMatching(/^firmware-rolled-back 1\.1\.0: unhealthy: .*path a~hub was up before/),
    ]);
    expect(back.updater.status().sentence).toMatch(
      /path a~hub was up before the update and is not now\. It is not tried again by itself\.$/,
    );
    expect(back.state.restarts).toBe(0);
    // Somebody asks for it: what is on the disk already is not fetched again.
    await back.updater.request({ kind: 'update', allowDowngrade: false });
    await back.ended;
    expect(back.state.restarts).toBe(1);
    expect(disk.entries()).toEqual(['branchbox_1.0.0.efi', 'branchbox_1.1.0+2.efi']);
  });

  it.each([
    ['as most', 60_000, VERDICT_MS],
    ['long, so it has twice that', 400_000, 800_000],
    ['for ever, so it has half an hour', 40_000_000, 1_800_000],
  ])('of a box whose version before took %s', async (_what, upAfterMs, verdictAtMs) => {
    const disk = await restarted('branchbox_1.1.0+1-1.efi', upAfterMs);
    const dark: Vitals = { ...up, paths: new Map([['a~hub', false]]) };
    const one = box({ running: NEW, disk, vitals: () => dark, bootId: 'two' });
    await one.ended;
    expect(one.clockMs()).toBe(verdictAtMs);
    // The deadline without an agent stays behind it.
    expect(one.state.deadlineS).toBe(verdictAtMs / 1000 + 120);
  });

  describe('whose commit was cut within its rename, with both names left', () => {
    async function halfCommitted() {
      const disk = await restarted();
      await cutRename(disk, 'branchbox_1.1.0+1-1.efi', 'branchbox_1.1.0.efi');
      expect(disk.entries()).toEqual([
        'branchbox_1.0.0.efi',
        'branchbox_1.1.0+1-1.efi',
        'branchbox_1.1.0.efi',
      ]);
      return disk;
    }
    const SETTLED = ['branchbox_1.0.0.efi', 'branchbox_1.1.0.efi'];

    it('is committed, and one name stays', async () => {
      const disk = await halfCommitted();
      const one = box({
        running: NEW,
        disk,
        wanted: wantedOf(NEW),
        vitals: () => undefined,
        bootId: 'three',
      });
      await one.until('committed');
      one.stop.abort();
      await one.ended;
      expect([disk.entries(), disk.faults()]).toEqual([SETTLED, []]);
      expect((await one.records.history()).map(({ result }) => result)).toEqual(['committed']);
    });

    it('is not taken back by the version before, where the loader started that', async () => {
      const disk = await halfCommitted();
      const one = box({ disk, wanted: wantedOf(NEW), bootId: 'three' });
      await one.ended;
      expect([one.state.restarts, disk.entries(), disk.faults()]).toEqual([1, SETTLED, []]);
      expect(one.events).toEqual([]);
    });
  });

  it('that is counted under two names, of which the loader left one, is given up under both', async () => {
    const disk = await restarted('branchbox_1.1.0+2.efi');
    await cutRename(disk, 'branchbox_1.1.0+2.efi', 'branchbox_1.1.0+1-1.efi');
    expect(disk.entries()).toEqual([
      'branchbox_1.0.0.efi',
      'branchbox_1.1.0+1-1.efi',
      'branchbox_1.1.0+2.efi',
    ]);
    const dark: Vitals = { ...up, paths: new Map([['a~hub', false]]) };
    const one = box({ running: NEW, disk, vitals: () => dark, bootId: 'two' });
    await one.ended;
    expect([one.state.restarts, disk.entries(), disk.faults()]).toEqual([
      1,
      ['branchbox_1.0.0.efi', 'branchbox_1.1.0+0-1.efi'],
      [],
    ]);
  });

  it('is decided by whoever stands at the box', async () => {
    const one = box({ running: NEW, disk: await restarted(), vitals: () => undefined, bootId: 'two' });
    await one.until('trial');
    await one.updater.request({ kind: 'rollback' });
    await one.ended;
    expect(one.fake.entries()).toContain('branchbox_1.1.0+0-1.efi');
    await expect(box({}).updater.request({ kind: 'commit' })).rejects.toThrow(/no firmware is on trial/);
  });

  it('of an older version takes the newer boot entry away when it is committed', async () => {
    const older = makeVersion('0.9.0', { builtAtMs: NOW_MS });
    const disk = createFakeFirmwareDisk(OLD, [OLD, older]);
    const wanted = wantedOf(older, { allowDowngrade: true });
    await box({ disk, wanted, source: createFakeSource(older, 100) }).ended;
    await disk.disk.renameEntry(
      'branchbox_0.9.0+2.efi',
      'branchbox_0.9.0+1-1.efi',
      AbortSignal.timeout(1000),
    );
    const one = box({ running: older, disk, wanted, bootId: 'two' });
    await one.until('committed');
    one.stop.abort();
    expect(disk.entries()).toEqual(['branchbox_0.9.0.efi']);
  });
});

it('a box without slots says so, and why', async () => {
  const updater = createNoUpdater('0.1.0', 'This box does not run from a firmware slot.');
  expect(updater.status()).toEqual({
    version: '0.1.0',
    state: 'unavailable',
    sentence: 'This box does not run from a firmware slot.',
  });
  await expect(updater.request({ kind: 'commit' })).rejects.toThrow(/firmware slot/);
});

it('a manifest signed anew is the same to a box that gave it up', async () => {
  const options = { anchors: [ca.certificate], arch: 'x86-64' };
  const [one, two] = [sign(NEW), sign(NEW)];
  expect(one).not.toBe(two);
  expect((await verifyManifest(one, options)).digest).toBe((await verifyManifest(two, options)).digest);
});
