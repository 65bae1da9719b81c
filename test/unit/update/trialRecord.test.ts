/** What a version on trial is held to, whatever became of the record: a version that is broken is never kept. */
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { VERDICT_MS, type Vitals } from '../../../src/update/trial.ts';
import { createFakeFirmwareDisk } from '../../fakes/firmwareDisk.ts';
import { NEW, OLD, up, useUpdaterBoxes, wantedOf } from './updaterBox.ts';

const { box, directory } = useUpdaterBoxes();
const recordPath = (): string => join(directory(), 'trial.json');
const dark: Vitals = {
  desired: true,
  controller: false,
  paths: new Map([['a~hub', false]]),
  segments: new Map([['red', false]]),
  apps: new Map(),
};
const rename = (disk: ReturnType<typeof createFakeFirmwareDisk>, from: string, to: string): Promise<void> =>
  disk.disk.renameEntry(from, to, AbortSignal.timeout(1000));

/** Restarted into the version, as the loader does it. */
async function tried() {
  const before = box({ wanted: wantedOf(NEW) });
  await before.ended;
  await rename(before.fake, 'branchbox_1.1.0+2.efi', 'branchbox_1.1.0+1-1.efi');
  return before.fake;
}

describe('a boot entry on trial', () => {
  it('is placed after the record of what it is held to', async () => {
    const disk = createFakeFirmwareDisk(OLD, [OLD, NEW]);
    const found: string[] = [];
    const place = disk.disk.placeEntry.bind(disk.disk);
    Object.assign(disk.disk, {
      placeEntry: async (...words: Parameters<typeof place>) => {
        found.push(readFileSync(recordPath(), 'utf8'));
        return place(...words);
      },
    });
    await box({ disk, wanted: wantedOf(NEW) }).ended;
    expect(found.map((text) => JSON.parse(text))).toEqual([
      expect.objectContaining({
        version: '1.1.0',
        baseline: { desired: true, controller: true, paths: ['a~hub'], segments: ['red'], apps: [] },
      }),
    ]);
  });

  it('is not there while something else is on trial, nor after nobody wants it any more', async () => {
    let looks = 0;
    const one = box({
      wanted: wantedOf(NEW),
      restartHeld: () => {
        looks += 1;
        if (looks === 3) {
          expect(one.fake.entries()).toEqual(['branchbox_1.0.0.efi']);
          one.state.wanted = undefined;
          one.updater.wake();
        }
        return true;
      },
    });
    await one.until('ready');
    await one.until('idle');
    expect(looks).toBeGreaterThanOrEqual(3);
    one.stop.abort();
    await one.ended;
    expect(one.fake.entries()).toEqual(['branchbox_1.0.0.efi']);
    expect(await one.records.readTrial()).toBeUndefined();
  });

  it('goes with its record where it is taken back after it was placed', async () => {
    const disk = createFakeFirmwareDisk(OLD, [OLD, NEW]);
    const isPlaced = (): boolean => disk.entries().includes('branchbox_1.1.0+2.efi');
    const one = box({
      disk,
      wanted: wantedOf(NEW),
      restartHeld: () => {
        if (!isPlaced()) return false;
        one.state.wanted = undefined;
        one.updater.wake();
        return true;
      },
    });
    await one.until('ready');
    await one.until('idle');
    one.stop.abort();
    await one.ended;
    expect(disk.entries()).toEqual(['branchbox_1.0.0.efi']);
    expect(await one.records.readTrial()).toBeUndefined();
  });

  it('that was cut before the restart into it was decided is planned again, or goes', async () => {
    const before = box({ wanted: wantedOf(NEW) });
    await before.ended;
    const trial = await before.records.readTrial();
    if (trial === undefined) expect.unreachable();
    await before.records.writeTrial({ ...trial, due: false });
    const one = box({ disk: before.fake, bootId: 'two' });
    await expect.poll(() => before.fake.entries()).toEqual(['branchbox_1.0.0.efi']);
    one.stop.abort();
    await one.ended;
    expect([one.state.restarts, await one.records.readTrial()]).toEqual([0, undefined]);
    expect(one.events).toEqual([]);
  });

  it('without a record is removed at the start', async () => {
    const before = box({ wanted: wantedOf(NEW) });
    await before.ended;
    rmSync(recordPath());
    const one = box({ disk: before.fake });
    await expect.poll(() => before.fake.entries()).toEqual(['branchbox_1.0.0.efi']);
    one.stop.abort();
    await one.ended;
  });
});

describe('a version on trial', () => {
  it.each<[string, () => void]>([
    ['was lost', () => rmSync(recordPath())],
    ['cannot be read', () => writeFileSync(recordPath(), '{"schema":1')],
  ])('whose record %s is held to all that is wanted, and told by the version before', async (_, spoil) => {
    const disk = await tried();
    spoil();
    const one = box({ running: NEW, disk, vitals: () => dark, bootId: 'two' });
    await one.ended;
    expect(one.clockMs()).toBeGreaterThanOrEqual(VERDICT_MS);
    expect(disk.entries()).toContain('branchbox_1.1.0+0-1.efi');
    const back = box({ disk, wanted: wantedOf(NEW), bootId: 'three' });
    await back.until('rolled-back');
    expect(back.events).toEqual([
      expect.stringMatching(/^firmware-rolled-back 1\.1\.0: unhealthy: .*controller is wanted/),
    ]);
    back.stop.abort();
    await back.ended;
  });

  it('whose record was lost is kept where all that is wanted is up', async () => {
    const disk = await tried();
    rmSync(recordPath());
    const one = box({ running: NEW, disk, bootId: 'two', wanted: wantedOf(NEW) });
    await one.until('committed');
    one.stop.abort();
    await one.ended;
    expect(disk.entries()).toContain('branchbox_1.1.0.efi');
  });

  it('that came back without a record is remembered, and not tried again by itself', async () => {
    const disk = await tried();
    await rename(disk, 'branchbox_1.1.0+1-1.efi', 'branchbox_1.1.0+0-2.efi');
    rmSync(recordPath());
    const back = box({ disk, wanted: wantedOf(NEW), bootId: 'three' });
    await back.until('rolled-back');
    expect(back.updater.status().lastResult).toMatchObject({ version: '1.1.0', result: 'rolled-back' });
    back.stop.abort();
    await back.ended;
    expect(back.state.restarts).toBe(0);
  });

  it('is judged by a record to which another version added fields', async () => {
    const disk = await tried();
    const trial: { readonly baseline: object } = JSON.parse(readFileSync(recordPath(), 'utf8'));
    const more = { ...trial, extra: 1, baseline: { ...trial.baseline, ports: ['lan1'] } };
    writeFileSync(recordPath(), JSON.stringify(more));
    const one = box({ running: NEW, disk, vitals: () => dark, bootId: 'two' });
    await one.ended;
    expect(JSON.parse(readFileSync(recordPath(), 'utf8'))).toMatchObject({
      extra: 1,
      baseline: { ports: ['lan1'] },
      unhealthy: expect.arrayContaining([
        { path: 'controller', message: 'was reached before the update and is not now' },
      ]),
    });
  });
});

describe('what is up before', () => {
  it('is waited for: a box that has only started asks for what it is about to have', async () => {
    const looks: (Vitals | undefined)[] = [
      undefined,
      dark,
      { ...up, controller: false },
      { ...dark, controller: true, paths: new Map([['a~hub', true]]) },
    ];
    const one = box({ wanted: wantedOf(NEW), vitals: () => (looks.length > 0 ? looks.shift() : up) });
    await one.ended;
    expect((await one.records.readTrial())?.baseline).toEqual({
      desired: true,
      controller: true,
      paths: ['a~hub'],
      segments: ['red'],
      apps: [],
    });
    expect(one.clockMs()).toBeLessThan(60_000);
  });

  it('is waited for no longer than a version has; what was up at any look is asked for', async () => {
    let looks = 0;
    const one = box({
      wanted: wantedOf(NEW),
      vitals: () => ((looks += 1) === 5 ? { ...dark, segments: new Map([['red', true]]) } : dark),
    });
    await one.ended;
    expect(one.clockMs()).toBe(VERDICT_MS);
    expect((await one.records.readTrial())?.baseline).toMatchObject({ controller: false, segments: ['red'] });
  });

  it('of a box that cannot be looked at is not known, so all that is wanted is asked for', async () => {
    const one = box({ wanted: wantedOf(NEW), vitals: () => undefined });
    await one.ended;
    expect((await one.records.readTrial())?.baseline).toBeUndefined();
    expect(one.fake.entries()).toContain('branchbox_1.1.0+2.efi');
  });
});

describe('what happened before', () => {
  it('of a version that was taken back is not forgotten over an update by hand that failed', async () => {
    const disk = await tried();
    await box({ running: NEW, disk, vitals: () => dark, bootId: 'two' }).ended;
    // By hand, and the disk fails meanwhile.
    Object.assign(disk.disk, { placeEntry: () => Promise.reject(new Error('the ESP failed')) });
    const back = box({ disk, wanted: wantedOf(NEW), bootId: 'three' });
    await back.until('rolled-back');
    await back.updater.request({ kind: 'update', allowDowngrade: false });
    await back.until('refused');
    expect((await back.records.history()).map(({ result }) => result)).toEqual(['rolled-back']);
    back.stop.abort();
    await back.ended;
    // Nor over one that was recorded by an older agent.
    const [ending] = await back.records.history();
    if (ending === undefined) expect.unreachable();
    await back.records.end({ ...ending, result: 'refused', sentence: 'a stick was pulled out' });
    const again = box({ disk, wanted: wantedOf(NEW), bootId: 'three' });
    await again.until('rolled-back');
    again.stop.abort();
    await again.ended;
    expect(again.state.restarts).toBe(0);
  });

  it('is read where another version wrote what this one does not know', async () => {
    const disk = await tried();
    const one = box({ running: NEW, disk, bootId: 'two', wanted: wantedOf(NEW) });
    await one.until('committed');
    one.stop.abort();
    await one.ended;
    const path = join(directory(), 'history.json');
    const { endings }: { readonly endings: readonly object[] } = JSON.parse(readFileSync(path, 'utf8'));
    const strange = [
      { ...endings[0], result: 'postponed' },
      ...endings.map((each) => ({ ...each, extra: 1 })),
    ];
    writeFileSync(path, JSON.stringify({ schema: 1, endings: strange, extra: 1 }));
    expect(await one.records.history()).toEqual(endings);
  });
});

describe('a version that was kept', () => {
  it('is fetched again where its slot went bad and the loader fell back', async () => {
    const disk = await tried();
    const one = box({ running: NEW, disk, bootId: 'two', wanted: wantedOf(NEW) });
    await one.until('committed');
    one.stop.abort();
    await one.ended;
    expect(await one.records.progress.read()).toBeUndefined();
    disk.slot('b').root.fill(0, 0, 100);
    // The version before runs again.
    const back = box({ disk, wanted: wantedOf(NEW), bootId: 'three' });
    await back.ended;
    expect(back.state.restarts).toBe(1);
    expect(disk.slot('b').root.subarray(0, NEW.bytes.root.length).equals(NEW.bytes.root)).toBe(true);
    expect(disk.faults()).toEqual([]);
  });
});
