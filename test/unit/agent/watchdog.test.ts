import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { createWatchdog, relayAddress } from '../../../src/agent/watchdog.ts';

const logged: string[] = [];
const log = { debug() {}, info() {}, warn() {}, error: (message: string) => void logged.push(message) };
let nowMs = 0;
const clock = { monotonicMs: () => nowMs };
const common = { waitUs: '90000000', clock, log };

describe('the watchdog', () => {
  let directory: string;
  beforeEach(async () => {
    logged.length = 0;
    nowMs = 0;
    directory = await mkdtemp(join(tmpdir(), 'bbt-watchdog-'));
    // In the place of socat, which test/lab/units.test.ts has: what it is told is kept.
    const relay = `#!/bin/sh\nexec cat >>${directory}/told\n`;
    await writeFile(join(directory, 'socat'), relay, { mode: 0o755 });
    vi.stubEnv('PATH', `${directory}:${process.env['PATH'] ?? ''}`);
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
  });
  afterEach(async () => {
    vi.useRealTimers();
    vi.unstubAllEnvs();
    await rm(directory, { recursive: true });
  });
  /** How often it was fed, once what it writes to has ended. */
  const feeds = async (): Promise<number> =>
    (await readFile(join(directory, 'told'), 'utf8').catch(() => '')).split('WATCHDOG=1\n').length - 1;

  it('does nothing where nobody listens', () => {
    const watchdog = createWatchdog({ ...common, socket: undefined, busyMs: () => undefined });
    watchdog.starting('first');
    watchdog.turned();
    watchdog.close();
  });

  it('names a socket to its relay only as a path or an abstract name', () => {
    expect(relayAddress('/run/systemd/notify')).toBe('UNIX-SENDTO:/run/systemd/notify');
    expect(relayAddress('@org/notify')).toBe('ABSTRACT-SENDTO:org/notify');
    expect(relayAddress('/run/x,fork')).toBeUndefined();
    expect(relayAddress('vsock:2:1')).toBeUndefined();
  });

  it('is fed three times in what the init system waits while the start goes on, and by turns alone after', async () => {
    const watchdog = createWatchdog({
      ...common,
      socket: '/nowhere/notify',
      // Of a lane that is not there yet.
      busyMs: () => (nowMs < 400_000 ? Number.POSITIVE_INFINITY : undefined),
    });
    watchdog.starting('first');
    for (nowMs = 30_000; nowMs <= 150_000; nowMs += 30_000) vi.advanceTimersByTime(30_000);
    watchdog.starting('second');
    for (nowMs = 180_000; nowMs <= 300_000; nowMs += 30_000) vi.advanceTimersByTime(30_000);
    nowMs = 400_000;
    watchdog.turned();
    // A loop that hangs after that is no start that goes on.
    for (nowMs = 430_000; nowMs <= 900_000; nowMs += 30_000) vi.advanceTimersByTime(30_000);
    watchdog.turned();
    watchdog.close();
    await expect.poll(feeds).toBe(1 + 5 + 1 + 5 + 2);
    expect(logged).toEqual([]);
  });

  it('falls silent while a step of the start hangs, and says so once', async () => {
    const watchdog = createWatchdog({ ...common, socket: '/nowhere/notify', busyMs: () => undefined });
    watchdog.starting('first');
    for (nowMs = 30_000; nowMs <= 600_000; nowMs += 30_000) vi.advanceTimersByTime(30_000);
    expect(logged).toEqual(['the start hangs; the watchdog is not fed any more']);
    watchdog.starting('second');
    watchdog.close();
    await expect.poll(feeds).toBe(1 + 6 + 1);
  });

  it('falls silent while a lane hangs, and says so once', () => {
    const watchdog = createWatchdog({ ...common, socket: '/nowhere/notify', busyMs: () => 200_000 });
    watchdog.turned();
    watchdog.turned();
    expect(logged).toEqual(['a lane hangs; the watchdog is not fed any more']);
    watchdog.close();
  });
});
