/** What time a box goes by: never before its floor, and its own clock only where nothing that is proven speaks against it. */
import { describe, expect, it } from 'vitest';
import { openTrustedClock } from '../../../src/bootstrap/clockFloor.ts';
import { createAuthorities, HOUR_MS, NOW_MS } from './authorities.ts';
import { createBox, createTestClock } from './box.ts';

describe('the trusted clock', () => {
  const build = NOW_MS - 1000 * HOUR_MS;
  async function open(wallMs: number, floor?: string) {
    const stored = new Map<string, string>(floor === undefined ? [] : [['floor', floor]]);
    const files = {
      readText: async (path: string) => stored.get(path),
      writeDurable: async (path: string, content: string | Uint8Array) => {
        stored.set(path, String(content));
      },
    };
    const clock = createTestClock(wallMs);
    const box = await createBox(authorities, 1);
    const trusted = await openTrustedClock({
      files: { ...box.files, ...files },
      clock,
      path: 'floor',
      builtAtMs: build,
    });
    await box.remove();
    return { trusted, clock, stored };
  }
  const authorities = createAuthorities();

  it('is never before the build', async () => {
    const { trusted } = await open(0);
    expect(trusted.nowMs()).toBe(build);
  });
  it('is never before what it kept', async () => {
    const { trusted } = await open(0, `${NOW_MS}\n`);
    expect(trusted.nowMs()).toBe(NOW_MS);
  });
  it.each(['9999999999999999', '8640000000000001', '253402300800000', '-1', '1e12', '0x10', '', 'x'])(
    'goes by the build where what it kept is damaged: %j',
    async (floor) => {
      const { trusted, stored } = await open(0, `${floor}\n`);
      expect(new Date(trusted.nowMs()).toISOString()).toBe(new Date(build).toISOString());
      // And is mended by the next that raises it.
      await trusted.raise(NOW_MS);
      expect(stored.get('floor')).toBe(`${NOW_MS}\n`);
    },
  );
  it('only moves forward', async () => {
    const { trusted, stored } = await open(NOW_MS);
    await trusted.raise(NOW_MS - HOUR_MS);
    await trusted.raise(NOW_MS - 2 * HOUR_MS);
    await trusted.raise(Number.NaN);
    expect(trusted.floorMs()).toBe(NOW_MS - HOUR_MS);
    expect(stored.get('floor')).toBe(`${NOW_MS - HOUR_MS}\n`);
  });
  it('keeps what is later than what it kept, though its own count is past that', async () => {
    const { trusted, clock, stored } = await open(NOW_MS);
    await trusted.raise(NOW_MS);
    await clock.sleep(9 * HOUR_MS);
    await trusted.raise(NOW_MS + 8 * HOUR_MS);
    expect(stored.get('floor')).toBe(`${NOW_MS + 8 * HOUR_MS}\n`);
    expect(trusted.floorMs()).toBe(NOW_MS + 9 * HOUR_MS);
  });
  it('believes a witness over a clock that is years ahead, and goes on from it', async () => {
    const { trusted, clock } = await open(Date.UTC(2045, 0, 1));
    await trusted.learn(NOW_MS);
    await clock.sleep(5_000);
    expect(trusted.nowMs()).toBe(NOW_MS + 5_000);
  });
  it('believes its own clock where that agrees with the witness', async () => {
    const { trusted } = await open(NOW_MS + 20_000);
    await trusted.learn(NOW_MS);
    expect(trusted.nowMs()).toBe(NOW_MS + 20_000);
  });
  it('knows what it rests on: the floor alone where it is behind that', async () => {
    const { trusted, clock } = await open(NOW_MS);
    expect(trusted.basis()).toBe('system');
    clock.setMs(0);
    expect(trusted.basis()).toBe('floor');
    await trusted.learn(NOW_MS);
    expect(trusted.basis()).toBe('witness');
  });
  it('goes by what it learned until it learns better, and raises nothing by it', async () => {
    const { trusted, stored } = await open(0);
    await trusted.learn(NOW_MS + 5 * 365 * 24 * HOUR_MS);
    await trusted.learn(NOW_MS);
    expect([trusted.nowMs(), trusted.floorMs(), stored.get('floor')]).toEqual([NOW_MS, build, undefined]);
  });
  it('judges by no earlier moment than the one supposed, while that lasts, and raises nothing by it', async () => {
    const { trusted, stored } = await open(0);
    expect(await trusted.notBefore(NOW_MS, async () => trusted.nowMs())).toBe(NOW_MS);
    const refused = trusted.notBefore(NOW_MS, () => Promise.reject(new Error('refused')));
    await expect(refused).rejects.toThrow('refused');
    expect([trusted.nowMs(), trusted.floorMs(), stored.get('floor')]).toEqual([build, build, undefined]);
  });
  it('takes a certificate that begins at the floor, though the witness was made by a clock behind it', async () => {
    const { trusted } = await open(NOW_MS);
    await trusted.raise(NOW_MS);
    await trusted.learn(NOW_MS - 3 * HOUR_MS);
    expect(trusted.latestStartMs(NOW_MS)).toBe(NOW_MS);
    expect(trusted.latestStartMs(NOW_MS + 9 * HOUR_MS)).toBe(NOW_MS + HOUR_MS);
  });
});
