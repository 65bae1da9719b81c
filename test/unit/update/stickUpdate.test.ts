/** A stick that is plugged into a running box: what of it is taken without a login, and what is not. */
import { describe, expect, it } from 'vitest';
import { createFakeFirmwareDisk } from '../../fakes/firmwareDisk.ts';
import { createFakeSource } from '../../fakes/firmwareSource.ts';
import { makeVersion } from '../../fakes/firmwareVersion.ts';
import { issue, makeCa, NOW_MS } from '../pki/domain.ts';
import { NEW, OLD, sign, useUpdaterBoxes, wantedOf } from './updaterBox.ts';

const { box } = useUpdaterBoxes();
const OLDER = makeVersion('0.9.0', { builtAtMs: NOW_MS });
/** What runs, as a release of now. */
const SAME = makeVersion('1.0.0', { builtAtMs: NOW_MS });
const stickOf = (version = NEW) => ({ manifest: sign(version), source: createFakeSource(version, 100) });
const plugIn = { kind: 'update', allowDowngrade: false, stick: 'sdb1' } as const;
const noParts = {
  name: 'the controller',
  open: () => Promise.reject(new Error('the controller has it, and its line is dead')),
};

async function refusalOf(options: Parameters<typeof box>[0]): Promise<string> {
  const one = box(options);
  await one.until('idle');
  await one.updater.request(plugIn);
  await one.until('refused');
  await expect.poll(() => one.state.closedSticks).toBe(1);
  one.stop.abort();
  await one.ended;
  expect([one.state.restarts, one.fake.entries()]).toEqual([
    0,
    ['branchbox_0.0.1+0-2.efi', 'branchbox_1.0.0.efi'],
  ]);
  return one.updater.status().sentence;
}

describe('a stick', () => {
  it('brings a newer version where the controller wants none', async () => {
    const one = box({ stick: stickOf(), source: noParts });
    await one.until('idle');
    await one.updater.request(plugIn);
    await one.ended;
    expect([one.state.restarts, one.fake.entries()]).toEqual([
      1,
      ['branchbox_1.0.0.efi', 'branchbox_1.1.0+2.efi'],
    ]);
    expect((await one.records.readTrial())?.baseline?.paths).toEqual(['a~hub']);
  });

  it('brings exactly what the controller wants, at once and in no window, a downgrade that it allows too', async () => {
    const window = { start: '01:00', end: '04:00' };
    const disk = createFakeFirmwareDisk(OLD, [OLD, OLDER]);
    const one = box({
      disk,
      wanted: wantedOf(OLDER, { allowDowngrade: true, window }),
      stick: stickOf(OLDER),
      source: noParts,
      nowMs: Date.UTC(2026, 5, 1, 12),
    });
    await one.until('waiting');
    await one.updater.request(plugIn);
    await one.ended;
    expect([one.state.restarts, one.fake.bootedOnce]).toEqual([1, ['branchbox_0.9.0.efi']]);
  });

  it('brings nothing that is older, or signed by somebody else', async () => {
    const stranger = issue(makeCa(), { kind: 'firmware-signing', commonName: 'x' });
    expect(await refusalOf({ stick: stickOf(OLDER) })).toMatch(/no downgrade is allowed/);
    expect(
      await refusalOf({ stick: { manifest: sign(NEW, stranger), source: createFakeSource(NEW, 100) } }),
    ).toMatch(/not signed by a release key/);
  });

  it('brings nothing else than what the controller wants, and its digest is what counts', async () => {
    expect(await refusalOf({ wanted: wantedOf(SAME), stick: stickOf() })).toMatch(
      /the controller wants 1\.0\.0, and a stick may bring nothing else/,
    );
    const other = makeVersion('1.1.0', { builtAtMs: NOW_MS + 1 });
    expect(await refusalOf({ wanted: wantedOf(SAME), stick: stickOf(other) })).toMatch(/nothing else/);
  });

  it('that stays in does not have a version tried again that was taken back', async () => {
    const before = box({ stick: stickOf() });
    await before.until('idle');
    await before.updater.request(plugIn);
    await before.ended;
    const { disk } = before.fake;
    await disk.renameEntry('branchbox_1.1.0+2.efi', 'branchbox_1.1.0+0-2.efi', AbortSignal.timeout(1000));
    const one = box({ disk: before.fake, stick: stickOf(), bootId: 'two' });
    await one.until('idle');
    await one.updater.request(plugIn);
    await one.until('rolled-back');
    expect((await one.updater.read(AbortSignal.timeout(1000))).asked).toBe(false);
    one.stop.abort();
    await one.ended;
    expect([one.state.restarts, one.state.closedSticks]).toEqual([0, 1]);
  });

  it('without an update changes nothing, and one that runs already says so', async () => {
    const empty = box({});
    await empty.until('idle');
    await empty.updater.request(plugIn);
    expect((await empty.updater.read(AbortSignal.timeout(1000))).asked).toBe(false);
    empty.stop.abort();
    await empty.ended;
    expect(empty.said).not.toContain('downloading');
    const same = box({ stick: stickOf(SAME) });
    await same.until('idle');
    await same.updater.request(plugIn);
    await expect.poll(() => same.state.closedSticks).toBe(1);
    expect(same.updater.status()).toMatchObject({
      state: 'idle',
      sentence: 'The box runs 1.0.0, as wanted.',
    });
    same.stop.abort();
    await same.ended;
  });
});
