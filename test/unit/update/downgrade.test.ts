/** An allowed downgrade whose power is cut while it is committed: the loader prefers the newer entry until it is gone. */
import { rmSync } from 'node:fs';
import { expect, it } from 'vitest';
import { startNext } from '../../fakes/bootLoader.ts';
import { createFakeFirmwareDisk, type FakeFirmwareDisk, PowerCut } from '../../fakes/firmwareDisk.ts';
import { createFakeSource } from '../../fakes/firmwareSource.ts';
import { makeVersion } from '../../fakes/firmwareVersion.ts';
import { NOW_MS } from '../pki/domain.ts';
import { OLD, useUpdaterBoxes, wantedOf } from './updaterBox.ts';

const { box, directory } = useUpdaterBoxes();
const OLDER = makeVersion('0.9.0', { builtAtMs: NOW_MS });
const wanted = wantedOf(OLDER, { allowDowngrade: true });

/** Told when its power is cut. */
function withCut(fake: FakeFirmwareDisk): { readonly disk: FakeFirmwareDisk; readonly cut: Promise<void> } {
  let tell = (): void => undefined;
  const cut = new Promise<void>((resolve) => {
    tell = resolve;
  });
  const guarded =
    <W extends unknown[], R>(use: (...words: W) => Promise<R>) =>
    async (...words: W): Promise<R> => {
      try {
        return await use(...words);
      } catch (thrown) {
        if (thrown instanceof PowerCut) tell();
        throw thrown;
      }
    };
  const { observe, renameEntry, removeEntries } = fake.disk;
  const disk = {
    ...fake.disk,
    observe: guarded(observe),
    renameEntry: guarded(renameEntry),
    removeEntries: guarded(removeEntries),
  };
  return { disk: { ...fake, disk }, cut };
}

/** A box that has brought the older version as far as its first start. */
async function onTrial(): Promise<FakeFirmwareDisk> {
  // Records of the case before.
  rmSync(directory(), { recursive: true });
  const disk = createFakeFirmwareDisk(OLD, [OLD, OLDER]);
  await box({ disk, wanted, source: createFakeSource(OLDER, 100) }).ended;
  expect(await startNext(disk)).toBe('0.9.0');
  return disk;
}

/** Starts it again and again until nothing is left to be judged; what it told meanwhile. */
async function seenThrough(disk: FakeFirmwareDisk): Promise<readonly string[]> {
  const told: string[] = [];
  for (let boot = 0; boot < 6; boot += 1) {
    const running = (await startNext(disk)) === '0.9.0' ? OLDER : OLD;
    const one = box({ disk, running, wanted, bootId: `boot ${boot}`, source: createFakeSource(OLDER, 100) });
    const how = await Promise.race([
      one.until('committed').then(() => 'settled'),
      one.until('rolled-back').then(() => 'settled'),
      one.ended.then(() => 'down'),
    ]);
    one.stop.abort();
    await one.ended;
    told.push(...one.events.map((event) => event.split(':')[0] ?? ''));
    if (how === 'settled') return told;
  }
  throw new Error(`it never ends: ${told.join(', ')}`);
}

it('an older version stands alone after a cut at any step of being committed', async () => {
  let committed = 0;
  for (let power = 1, whole = false; !whole; power += 1) {
    for (const way of [0, 1]) {
      const fake = await onTrial();
      const { disk, cut } = withCut(fake);
      fake.power(power);
      const one = box({ disk, running: OLDER, wanted, bootId: 'trial' });
      whole = await Promise.race([one.until('committed').then(() => true), cut.then(() => false)]);
      one.stop.abort();
      await one.ended;
      if (whole) break;
      fake.crash(() => way);
      expect(fake.faults()).toEqual([]);
      // Before that it is no more than a trial that ended, and it had one start.
      if (!fake.entries().includes('branchbox_0.9.0.efi')) continue;
      committed += 1;
      const told = await seenThrough(fake);
      expect(told, `cut after ${power}`).not.toContain('firmware-rolled-back 0.9.0');
      // Half a rename may leave the counted name too.
      expect(fake.entries()).toContain('branchbox_0.9.0.efi');
      expect(fake.entries()).not.toContain('branchbox_1.0.0.efi');
      expect(await startNext(fake)).toBe('0.9.0');
    }
  }
  // Its sync, a look, the removal and its sync.
  expect(committed).toBeGreaterThanOrEqual(5);
});

it('a committed version that the loader does not start is given up, as any', async () => {
  const fake = await onTrial();
  await fake.disk.renameEntry('branchbox_0.9.0+1-1.efi', 'branchbox_0.9.0.efi', new AbortController().signal);
  const told: string[] = [];
  let restarts = 0;
  for (let boot = 0; boot < 4; boot += 1) {
    // Firmware that forgets the one-shot variable.
    fake.bootedOnce.length = 0;
    expect(await startNext(fake)).toBe('1.0.0');
    const one = box({ disk: fake, wanted, bootId: `boot ${boot}` });
    await Promise.race([one.until('rolled-back'), one.ended]);
    one.stop.abort();
    await one.ended;
    told.push(...one.events);
    restarts += one.state.restarts;
  }
  expect(restarts).toBe(2);
  expect(told).toEqual([expect.stringMatching(/^firmware-rolled-back 0\.9\.0: never-started/)]);
});

it('one whose own boot entry is lost is not committed, and takes away no other', async () => {
  const fake = await onTrial();
  await fake.disk.removeEntries(['branchbox_0.9.0+1-1.efi'], new AbortController().signal);
  const one = box({ disk: fake, running: OLDER, wanted, bootId: 'trial' });
  await expect
    .poll(() => one.updater.status().sentence)
    .toMatch(
      /the boot entry of 0\.9\.0, which runs, is gone from the ESP: nothing is committed\. A restart /,
    );
  one.stop.abort();
  await one.ended;
  expect(one.events).toEqual([]);
  expect(fake.entries()).toContain('branchbox_1.0.0.efi');
  expect(fake.faults()).toEqual([]);
});
