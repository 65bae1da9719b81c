/** The updater as the agent runs it, on a disk of the fakes: wanted, windowed, fetched, refused. What comes after a
 * restart: workerTrial.test.ts. */
import { describe, expect, it } from 'vitest';
import type { FirmwarePart, WantedFirmware } from '../../../src/model/firmware.ts';
import { type Vitals } from '../../../src/update/trial.ts';
import { createFakeFirmwareDisk } from '../../fakes/firmwareDisk.ts';
import { createFakeSource } from '../../fakes/firmwareSource.ts';
import { makeVersion } from '../../fakes/firmwareVersion.ts';
import { issue, makeCa, NOW_MS } from '../pki/domain.ts';

import { sign, OLD, NEW, wantedOf, up, useUpdaterBoxes } from './updaterBox.ts';

const { box } = useUpdaterBoxes();

it.each([
  [undefined, undefined],
  [4000, 500_000],
])('a rate of %s kbit/s has %s bytes asked for at once', async (rateLimitKbps, pieceBytes) => {
  const source = createFakeSource(NEW, 1000);
  const asked: (number | undefined)[] = [];
  const wanted = wantedOf(NEW, rateLimitKbps === undefined ? {} : { rateLimitKbps });
  const one = box({
    wanted,
    source: {
      ...source,
      async open(...words) {
        asked.push(words[3]);
        return source.open(...words);
      },
    },
  });
  await one.ended;
  expect(asked).toEqual([pieceBytes, pieceBytes, pieceBytes]);
});

it.each([
  ['at its rate, all parts together', 8, 1],
  ['as fast as it comes where there is none', undefined, 0],
])('a version is fetched %s', async (_, rateLimitKbps, msPerByte) => {
  const bytes = NEW.target.manifest.parts.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  const one = box({ wanted: wantedOf(NEW, rateLimitKbps === undefined ? {} : { rateLimitKbps }) });
  await one.ended;
  expect(one.state.restarts).toBe(1);
  // By its own clock.
  expect(one.clockMs()).toBe(bytes * msPerByte);
});

describe('a version that is wanted', () => {
  it('is fetched, put in place, recorded with what is up, and restarted into', async () => {
    const { fake, ended, state, records, events, said } = box({ wanted: wantedOf(NEW) });
    await ended;
    expect(state).toMatchObject({ restarts: 1, setAside: 1 });
    expect(fake.entries()).toEqual(['branchbox_1.0.0.efi', 'branchbox_1.1.0+2.efi']);
    expect(await records.readTrial()).toMatchObject({
      version: '1.1.0',
      from: { version: '1.0.0' },
      baseline: { controller: true, paths: ['a~hub'], segments: ['red'] },
    });
    expect(events).toEqual([expect.stringMatching(/^firmware-trial 1\.1\.0/)]);
    expect(said).toEqual(expect.arrayContaining(['downloading', 'verifying', 'ready']));
    expect(fake.bootedOnce).toEqual([]);
  });

  it('waits for its window, and for a desired state on trial', async () => {
    const night = { start: '01:00', end: '04:00' };
    const early = box({ wanted: wantedOf(NEW, { window: night }), nowMs: Date.UTC(2026, 5, 1, 12) });
    await early.until('waiting');
    expect(early.updater.status().sentence).toBe('Firmware 1.1.0 waits for 01:00 to 04:00 UTC.');
    early.stop.abort();
    await early.ended;
    let looks = 0;
    const held = box({ wanted: wantedOf(NEW), restartHeld: () => (looks += 1) < 5 });
    await held.ended;
    // Before its entry is placed, and once more before the restart.
    expect([looks, held.state.restarts]).toEqual([6, 1]);
  });

  it('sees its window open when the clock is set meanwhile', async () => {
    // A box that was long without power, and hears the time of day by its first connection.
    let atMs = Date.UTC(2026, 5, 1, 12);
    let rested: (() => void) | undefined;
    const one = box({
      wanted: wantedOf(NEW, { window: { start: '01:00', end: '04:00' } }),
      get nowMs() {
        return atMs;
      },
      rest: (durationMs) =>
        new Promise((resolve) => {
          if (durationMs <= 600_000) rested ??= resolve;
        }),
    });
    await one.until('waiting');
    await expect.poll(() => rested).toBeDefined();
    atMs = Date.UTC(2026, 5, 2, 1);
    rested?.();
    await one.ended;
    expect(one.state.restarts).toBe(1);
  });

  it('stops with its window, keeps what came, and goes on when it opens again', async () => {
    const whole = createFakeSource(NEW, 100);
    const asked: string[] = [];
    let closing = (): void => undefined;
    const one = box({
      wanted: wantedOf(NEW, { window: { start: '01:00', end: '04:00' } }),
      nowMs: Date.UTC(2026, 5, 1, 3, 59, 30),
      source: {
        name: 'a slow one',
        async open(part, fromBytes, signal) {
          asked.push(`${part.role} ${fromBytes}`);
          const { chunks } = await whole.open(part, fromBytes, signal);
          if (asked.length > 1) return { skipBytes: 0, chunks };
          const slow = async function* () {
            let count = 0;
            for await (const chunk of chunks) {
              yield chunk;
              if ((count += 1) < 20) continue;
              closing();
              await new Promise((resolve) => signal.addEventListener('abort', resolve));
              signal.throwIfAborted();
            }
          };
          return { skipBytes: 0, chunks: slow() };
        },
      },
      // Of its end, and of the looks until its next beginning; what else is rested lasts.
      rest: (durationMs) =>
        new Promise((resolve) => {
          if (durationMs === 30_000) closing = resolve;
          if (durationMs === 300_000) resolve();
        }),
    });
    await one.ended;
    expect(asked).toEqual(['root 0', 'root 2000', 'verity 0', 'uki 0']);
    expect(one.said.join(' ')).toMatch(/downloading .*waiting .*downloading/);
    expect(one.state.restarts).toBe(1);
  });

  it('says what its window closed on, where that was too short to look at what is up', async () => {
    const down: Vitals = { ...up, paths: new Map([...up.paths, ['lte~hub', false]]) };
    let closing = (): void => undefined;
    const one = box({
      wanted: wantedOf(NEW, { window: { start: '03:00', end: '03:01' } }),
      nowMs: Date.UTC(2026, 5, 1, 3),
      vitals() {
        closing();
        return down;
      },
      // The minute of the window; what is rested until the next one lasts.
      rest: (durationMs) =>
        new Promise((resolve) => {
          if (durationMs === 60_000) closing = resolve;
        }),
    });
    await one.until('waiting');
    expect(one.updater.status().sentence).toMatch(
      /^Firmware 1\.1\.0 waits for 03:00 to 03:01 UTC\. The last window closed while it was looked at what is up, which takes two minutes .*make the window longer/,
    );
    expect(one.state.restarts).toBe(0);
    one.stop.abort();
    await one.ended;
  });

  it('that is older is started by the loader’s one-shot variable', async () => {
    const older = makeVersion('0.9.0', { builtAtMs: NOW_MS });
    const fake = createFakeFirmwareDisk(OLD, [OLD, older]);
    const wanted = wantedOf(older, { allowDowngrade: true });
    await box({ disk: fake, wanted, source: createFakeSource(older, 100) }).ended;
    expect(fake.bootedOnce).toEqual(['branchbox_0.9.0.efi']);
  });

  it.each<[string, () => WantedFirmware, RegExp]>([
    [
      'somebody else signed',
      () =>
        wantedOf(NEW, {
          manifest: sign(NEW, issue(makeCa(), { kind: 'firmware-signing', commonName: 'x' })),
        }),
      /release key/,
    ],
    ['is announced as another', () => wantedOf(NEW, { version: '7' }), /its manifest is of 1\.1\.0/],
    ['is older', () => wantedOf(makeVersion('0.9.0', { builtAtMs: NOW_MS })), /no downgrade/],
  ])('that %s is refused once, and nothing changes', async (_, wanted, words) => {
    const wish = wanted();
    const one = box({ wanted: wish });
    await one.until('refused');
    one.stop.abort();
    await one.ended;
    expect(one.events).toEqual([expect.stringMatching(/^firmware-refused/)]);
    expect(one.updater.status().sentence).toMatch(words);
    expect(one.fake.entries()).toEqual(['branchbox_0.0.1+0-2.efi', 'branchbox_1.0.0.efi']);
    // The agent's next start sees the same and tells nobody again.
    const again = box({ wanted: wish, disk: one.fake });
    await again.until('refused');
    again.stop.abort();
    await again.ended;
    expect(again.events).toEqual([]);
  });

  it('that would start another root is refused when it is whole, before a record or an entry is made', async () => {
    const mixed = makeVersion('1.1.0', { builtAtMs: NOW_MS, rootHash: 'cd'.repeat(32) });
    const { fake, until, stop, ended, records, events } = box({
      wanted: wantedOf(mixed),
      source: createFakeSource(mixed, 100),
    });
    await until('refused');
    stop.abort();
    await ended;
    expect(events).toEqual([expect.stringMatching(/^firmware-refused 1\.1\.0: .* would not start here/)]);
    expect(fake.entries()).toEqual(['branchbox_1.0.0.efi']);
    expect(await records.readTrial()).toBeUndefined();
  });

  it('goes on by itself after a source that fails, and gives way to another', async () => {
    const drops = Array.from({ length: 30 }, () => 300);
    const { ended, state, updater, until } = box({
      wanted: wantedOf(NEW),
      source: createFakeSource(NEW, 100, drops),
    });
    await until('waiting');
    expect(updater.status().sentence).toContain('the line went dead');
    state.wanted = undefined;
    updater.wake();
    await until('idle');
    state.wanted = wantedOf(NEW);
    // Each wake is one more try, as its timer would be.
    const poke = setInterval(() => updater.wake(), 5);
    await ended;
    clearInterval(poke);
    expect(state.restarts).toBe(1);
  });
});

it.each([
  ['that brings something before it drops is asked again soon', [1000, 500, 500, 500], [5, 5, 5, 5]],
  ['that brings nothing is asked later and later, until it does', [1000, 0, 0, 500], [5, 10, 20, 5]],
])('a line %s', async (_, drops, restsS) => {
  const rests: number[] = [];
  const one = box({
    wanted: wantedOf(NEW),
    source: createFakeSource(NEW, 100, drops),
    rest: async (durationMs) => void rests.push(durationMs),
  });
  await one.ended;
  expect(rests).toEqual(restsS.map((seconds) => seconds * 1000));
});

it('a part that ends short each time is refused after some tries, and not fetched for ever', async () => {
  const whole = createFakeSource(NEW, 100);
  const opened: number[] = [];
  const short = {
    name: 'one that cannot say',
    async open(part: FirmwarePart, fromBytes: number, signal: AbortSignal) {
      opened.push(fromBytes);
      const { chunks } = await whole.open(part, 0, signal);
      const cut = async function* () {
        let left = 3950;
        for await (const chunk of chunks) {
          if (left > 0) yield chunk.subarray(0, left);
          left -= chunk.length;
        }
      };
      return { skipBytes: fromBytes, chunks: cut() };
    },
  };
  const rests: number[] = [];
  const one = box({
    wanted: wantedOf(NEW),
    source: short,
    rest: async (durationMs) => {
      rests.push(durationMs);
      if (durationMs >= 3_600_000) await new Promise(() => undefined);
    },
  });
  await one.until('refused');
  expect(one.updater.status().sentence).toMatch(
    /after 3950 none came in 8 tries\. .*Upload the version again/,
  );
  expect(opened).toEqual([0, ...Array.from({ length: 8 }, () => 3950)]);
  await expect.poll(() => rests.at(-1)).toBe(3_600_000);
  one.stop.abort();
  await one.ended;
}, 60_000);
