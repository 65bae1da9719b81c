import { describe, expect, it } from 'vitest';
import { createWatchdog, relayAddress } from '../../../src/agent/watchdog.ts';

const logged: string[] = [];
const log = { debug() {}, info() {}, warn() {}, error: (message: string) => void logged.push(message) };

describe('the watchdog', () => {
  it('does nothing where nobody listens', () => {
    const watchdog = createWatchdog({ socket: undefined, busyMs: () => undefined, log });
    watchdog.turned();
    watchdog.close();
  });

  it('names a socket to its relay only as a path or an abstract name', () => {
    expect(relayAddress('/run/systemd/notify')).toBe('UNIX-SENDTO:/run/systemd/notify');
    expect(relayAddress('@org/notify')).toBe('ABSTRACT-SENDTO:org/notify');
    expect(relayAddress('/run/x,fork')).toBeUndefined();
    expect(relayAddress('vsock:2:1')).toBeUndefined();
  });

  it('falls silent while a lane hangs, and says so once', () => {
    logged.length = 0;
    const watchdog = createWatchdog({ socket: '/nowhere/notify', busyMs: () => 200_000, log });
    watchdog.turned();
    watchdog.turned();
    expect(logged).toEqual(['a lane hangs; the watchdog is not fed any more']);
    watchdog.close();
  });
});
