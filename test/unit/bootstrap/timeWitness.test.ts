/** Asking bootstrap servers for the time, where asking itself fails; what comes of answers is in faults/clockUnknown.test.ts. */
import { expect, it } from 'vitest';
import { openTrustedClock, type TrustedClock } from '../../../src/bootstrap/clockFloor.ts';
import { createTimeWitness } from '../../../src/bootstrap/timeWitness.ts';
import { BranchboxError } from '../../../src/model/errors.ts';
import { silentLog } from '../../fakes/silentLog.ts';
import { NOW_MS } from './authorities.ts';
import { createTestClock, memoryFiles } from './box.ts';

const EXPIRED = new BranchboxError('pki/expired', { message: 'not yet' });

/** A box whose clock stands in 1970; `onboard` is how its bootstrap servers answer, by name. */
async function lost(
  onboard: (name: string, clock: TrustedClock, signal: AbortSignal) => Promise<never>,
  names: readonly string[] | Error,
) {
  const testClock = createTestClock(0);
  const clock = await openTrustedClock({
    files: memoryFiles(new Map()),
    clock: testClock,
    path: '/floor',
    builtAtMs: NOW_MS,
  });
  const told: string[] = [];
  const note = (message: string): void => void told.push(message);
  const uplink = { ifname: 'wan1', address: '192.0.2.2', dns: [], bootstrapServers: [] };
  const witness = createTimeWitness({
    clock,
    sztpBy: (by) => ({ onboard: ({ host }, _, signal) => onboard(host, by, signal) }),
    async servers() {
      if (names instanceof Error) throw names;
      const candidates = names.map((host) => ({
        server: { host, port: 443 },
        uplink,
        source: 'dhcp' as const,
        origin: 'dhcp:wan1',
      }));
      return { candidates, problems: [] };
    },
    monotonicMs: () => testClock.monotonicMs(),
    log: { ...silentLog, warn: note, info: note },
    searchTimeoutMs: 50,
  });
  return { clock, testClock, told, seek: () => witness.seekAfter(EXPIRED, new AbortController().signal) };
}

it('does not take the place of what was thrown before, whatever it meets itself', async () => {
  const { seek, told } = await lost(
    () => Promise.reject(new Error('nobody is to be asked')),
    new Error('EIO: the leases cannot be read'),
  );
  expect(await seek()).toBe(false);
  expect(told).toEqual(['no bootstrap server could be asked for the time']);
});

it('says whether the time is known now, also where the rest of the answer is refused', async () => {
  const { seek, clock, testClock } = await lost(
    async (_, by) => {
      await by.learn(NOW_MS + 1000);
      throw new BranchboxError('bootstrap/refused', { message: 'not yours' });
    },
    ['a.example'],
  );
  expect(clock.basis()).toBe('floor');
  expect(await seek()).toBe(true);
  expect(clock.nowMs()).toBe(NOW_MS + 1000);
  // Nobody is asked again within minutes, and so nothing new is known.
  await testClock.sleep(60_000);
  expect(await seek()).toBe(false);
});

it('ends within its time where a server stays silent, and begins behind that the next time', async () => {
  const asked: string[] = [];
  const { seek, testClock } = await lost(
    (name, _, signal) => {
      asked.push(name);
      return new Promise((_resolve, reject) => {
        signal.addEventListener('abort', () => reject(signal.reason), { once: true });
      });
    },
    ['a.example', 'b.example'],
  );
  for (const rounds of [1, 2, 3]) {
    expect(await seek()).toBe(false);
    expect(asked).toHaveLength(rounds);
    await testClock.sleep(10 * 60_000);
  }
  expect(asked).toEqual(['a.example', 'b.example', 'a.example']);
});
