/** The boot entry that waits in /var until its slot is whole: how long it may take that room. */
import { describe, expect, it } from 'vitest';
import { createFakeFirmwareDisk } from '../../fakes/firmwareDisk.ts';
import { createFakeSource } from '../../fakes/firmwareSource.ts';
import { makeVersion } from '../../fakes/firmwareVersion.ts';
import { NOW_MS } from '../pki/domain.ts';
import { NEW, OLD, sign, useUpdaterBoxes, wantedOf } from './updaterBox.ts';

const { box } = useUpdaterBoxes();
/** Whole, and its boot entry starts another root than it names. */
const MIXED = makeVersion('1.1.0', { builtAtMs: NOW_MS, rootHash: 'cd'.repeat(32) });
const plugIn = { kind: 'update', allowDowngrade: false, stick: 'sdb1' } as const;

/** Restarted into the version, as the loader does it. */
async function tried() {
  const before = box({ wanted: wantedOf(NEW) });
  await before.ended;
  expect(before.fake.isStaged()).toBe(true);
  await before.fake.disk.renameEntry(
    'branchbox_1.1.0+2.efi',
    'branchbox_1.1.0+1-1.efi',
    AbortSignal.timeout(1000),
  );
  return before.fake;
}

describe('the boot entry that waits', () => {
  it('goes when its version is committed', async () => {
    const disk = await tried();
    const one = box({ running: NEW, disk, wanted: wantedOf(NEW), bootId: 'two' });
    await one.until('committed');
    one.stop.abort();
    await one.ended;
    expect([disk.isStaged(), await one.records.progress.read()]).toEqual([false, undefined]);
  });

  it('goes at the next start where that was cut, and a disk that cannot remove it keeps nothing from its turn', async () => {
    const disk = await tried();
    const stuck = {
      ...disk,
      disk: { ...disk.disk, dropStaged: () => Promise.reject(new Error('read-only')) },
    };
    for (const bootId of ['two', 'three']) {
      const one = box({ running: NEW, disk: stuck, wanted: wantedOf(NEW), bootId });
      await one.until('committed');
      one.stop.abort();
      await one.ended;
      expect(disk.isStaged()).toBe(true);
    }
    const next = box({ running: NEW, disk, wanted: wantedOf(NEW), bootId: 'four' });
    await next.until('committed');
    next.stop.abort();
    await next.ended;
    expect(disk.isStaged()).toBe(false);
  });

  it('of a stick that is refused goes, and is fetched again where that is mended', async () => {
    const disk = createFakeFirmwareDisk(OLD, [OLD, NEW]);
    const refusing = { ...disk, disk: { ...disk.disk, judgeStaged: async () => 'no key signed it' } };
    const stick = { manifest: sign(NEW), source: createFakeSource(NEW, 100) };
    const one = box({ disk: refusing, stick });
    await one.until('idle');
    await one.updater.request(plugIn);
    await one.until('refused');
    one.stop.abort();
    await one.ended;
    expect(disk.isStaged()).toBe(false);
    expect(await one.records.progress.read()).toMatchObject({
      durableBytes: { root: 4000, verity: 250, uki: 0 },
      verified: false,
    });
    const roles: string[] = [];
    const again = {
      ...stick,
      source: {
        ...stick.source,
        open: (...words: Parameters<typeof stick.source.open>) => {
          roles.push(words[0].role);
          return stick.source.open(...words);
        },
      },
    };
    const two = box({ disk, stick: again, bootId: 'two' });
    await two.until('idle');
    await two.updater.request(plugIn);
    await two.ended;
    expect([two.state.restarts, roles]).toEqual([1, ['uki']]);
    expect(disk.faults()).toEqual([]);
  });

  it('of what the controller wants stays, refused or not: it is judged again each hour', async () => {
    const one = box({ wanted: wantedOf(MIXED), source: createFakeSource(MIXED, 100) });
    await one.until('refused');
    one.stop.abort();
    await one.ended;
    expect(one.fake.isStaged()).toBe(true);
  });

  it('of another version is not what a refused stick takes away', async () => {
    const one = box({
      wanted: wantedOf(NEW, { window: { start: '01:00', end: '04:00' } }),
      nowMs: Date.UTC(2026, 5, 1, 12),
    });
    await one.until('waiting');
    one.stop.abort();
    await one.ended;
    const { digest, manifest } = NEW.target;
    await one.fake.disk.openStaged(AbortSignal.timeout(1000));
    await one.records.progress.write({
      schema: 1,
      digest,
      version: manifest.version,
      slot: 'b',
      durableBytes: { root: 4000, verity: 250, uki: 900 },
      verified: true,
      placed: false,
    });
    const older = makeVersion('0.9.0', { builtAtMs: NOW_MS });
    const two = box({
      disk: one.fake,
      stick: { manifest: sign(older), source: createFakeSource(older, 100) },
      bootId: 'two',
    });
    await two.until('idle');
    await two.updater.request(plugIn);
    await two.until('refused');
    two.stop.abort();
    await two.ended;
    expect(one.fake.isStaged()).toBe(true);
    expect((await one.records.progress.read())?.durableBytes.uki).toBe(900);
  });

  it('is not longer than what waited there before left it', async () => {
    const disk = createFakeFirmwareDisk(OLD, [OLD, NEW]);
    const dropped: string[] = [];
    const noted = {
      ...disk,
      disk: {
        ...disk.disk,
        async dropStaged() {
          dropped.push('dropped');
          return disk.disk.dropStaged();
        },
      },
    };
    const one = box({ disk: noted, wanted: wantedOf(NEW) });
    await one.ended;
    // At the start, where nothing is under way, and as the update begins.
    expect(dropped).toHaveLength(2);
    expect(disk.isStaged()).toBe(true);
  });
});
