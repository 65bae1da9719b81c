/** The hardware's clock: read as the kernel shows it, and believed where it can be right and the system's cannot. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openTrustedClock } from '../../../src/bootstrap/clockFloor.ts';
import { readHardwareClock } from '../../../src/bootstrap/hardwareClock.ts';
import { createFiles } from '../../../src/system/linux/files.ts';
import { DAY_MS, HOUR_MS, NOW_MS } from './authorities.ts';
import { createTestClock } from './box.ts';

const files = createFiles();
let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'bbt-rtc-'));
});
afterEach(() => rmSync(directory, { recursive: true }));
const put = (path: string, text: string): void => {
  mkdirSync(dirname(join(directory, path)), { recursive: true });
  writeFileSync(join(directory, path), text);
};

describe('the hardware’s clock', () => {
  it('is the one by which the kernel sets its own', async () => {
    put('rtc0/since_epoch', '17\n');
    put('rtc1/since_epoch', '1780000000\n');
    put('rtc1/hctosys', '1\n');
    expect(await readHardwareClock(files, directory)).toBe(1_780_000_000_000);
  });

  it('is the first that tells anything where the kernel read none', async () => {
    put('rtc0/name', 'broken');
    put('rtc1/since_epoch', '1780000000\n');
    put('rtc1/hctosys', '0\n');
    expect(await readHardwareClock(files, directory)).toBe(1_780_000_000_000);
  });

  it.each(['', '-5\n', '1e9\n', 'soon\n', '9'.repeat(63)])('that says %j says nothing', async (text) => {
    put('rtc0/since_epoch', text);
    expect(await readHardwareClock(files, directory)).toBeUndefined();
  });

  it('is none on a machine without one', async () => {
    expect(await readHardwareClock(files, join(directory, 'none'))).toBeUndefined();
  });
});

describe('the time to judge by', () => {
  const BUILT_MS = NOW_MS - 100 * DAY_MS;
  const YEAR_MS = 365 * DAY_MS;
  async function judged(systemMs: number, hardwareMs: number | undefined) {
    const clock = createTestClock(systemMs);
    const path = join(directory, 'floor');
    const trusted = await openTrustedClock({ files, clock, path, builtAtMs: BUILT_MS, hardwareMs });
    return { trusted, clock };
  }

  it.each([
    ['1970, the hardware’s is right', 0, NOW_MS, NOW_MS],
    ['1970, the hardware’s too', 0, 0, BUILT_MS],
    ['1970, the hardware’s in 2045', 0, Date.UTC(2045, 0, 1), BUILT_MS],
    ['1970, and there is none', 0, undefined, BUILT_MS],
    ['right, the hardware’s three years ahead', NOW_MS, NOW_MS + 3 * YEAR_MS, NOW_MS],
    ['right, the hardware’s in 1970', NOW_MS, 0, NOW_MS],
  ])('where the system’s clock is %s', async (_what, systemMs, hardwareMs, expectedMs) => {
    const { trusted } = await judged(systemMs, hardwareMs);
    expect(trusted.nowMs()).toBe(expectedMs);
    expect(trusted.floorMs()).toBe(BUILT_MS);
  });

  it('goes on by the hardware’s clock, and leaves it once the system’s is set', async () => {
    const { trusted, clock } = await judged(0, NOW_MS + YEAR_MS);
    await clock.sleep(HOUR_MS);
    expect(trusted.nowMs()).toBe(NOW_MS + YEAR_MS + HOUR_MS);
    clock.setMs(NOW_MS + HOUR_MS);
    expect(trusted.nowMs()).toBe(NOW_MS + HOUR_MS);
  });

  it('is a witness’s where one was heard, and nothing is known by the hardware’s clock alone', async () => {
    const { trusted } = await judged(0, NOW_MS + YEAR_MS);
    expect(trusted.basis()).toBe('floor');
    await trusted.learn(NOW_MS);
    expect(trusted.nowMs()).toBe(NOW_MS);
  });
});
