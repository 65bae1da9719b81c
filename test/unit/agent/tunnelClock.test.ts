/** Tunnels that wait for the clock: over restarts, steps of it either way, and time servers that lie. */
import { beforeEach, expect, it } from 'vitest';
import { renderBox } from '../../../src/agent/items.ts';
import type { TimeSync } from '../../../src/agent/timeSync.ts';
import { createTunnelClock, type TunnelClock } from '../../../src/agent/tunnelClock.ts';
import { makeWireguardKey } from '../../../src/agent/wireguardKey.ts';
import { createFakeBox, type FakeBox } from '../../fakes/box.ts';
import { factsOf, specOf } from '../../lab/wan/fleet.ts';

const PATH = '/var/lib/branchbox/agent/used-time.json';
const YEAR = 365 * 86_400_000;
const NOW = 1_800_000_000_000;

let box: FakeBox;
let wallMs: number;
let publicKey: string;
let sync: TimeSync;
let calls: boolean;
let changes: number;
let renewals: number;
let askedSync: number;
let clock: TunnelClock;
let onSleep: () => void;

/** As after a start of the agent: what it knows is on disk. */
const restart = async (): Promise<void> => {
  clock = await createTunnelClock({
    system: {
      ...box.system,
      clock: {
        nowMs: () => wallMs,
        monotonicMs: box.clock.monotonicMs,
        sleep: (durationMs) => {
          wallMs += durationMs;
          box.clock.advance(durationMs);
          onSleep();
          return Promise.resolve();
        },
      },
    },
    path: PATH,
    publicKey: () => publicKey,
    calls: () => calls,
    timeSync: () => {
      askedSync += 1;
      return Promise.resolve(sync);
    },
    renewKey: async () => {
      renewals += 1;
      publicKey = await makeWireguardKey(box.files, '/wireguard.key');
      return publicKey;
    },
    onChange: () => void (changes += 1),
  });
};
/** So much time passes, by both clocks, and then the agent ends. */
const pass = async (durationMs: number): Promise<void> => {
  const end = new AbortController();
  const untilMs = box.clock.monotonicMs() + durationMs;
  onSleep = () => {
    if (box.clock.monotonicMs() >= untilMs) end.abort();
  };
  await clock.run(end.signal);
};
const shakeHands = (atMs = wallMs): void => clock.heard(new Map([['wg-1 hub', Math.floor(atMs / 1000)]]));
const reboot = async (): Promise<void> => {
  await pass(5000);
  await restart();
  clock.heard(new Map());
};

beforeEach(async () => {
  box = createFakeBox();
  [wallMs, publicKey, sync, calls] = [NOW, 'first', 'unknown', true];
  [changes, renewals, askedSync] = [0, 0, 0];
  await restart();
});

it('a restart by a right clock holds nothing back, asks nobody and tells nobody', async () => {
  shakeHands();
  await reboot();
  await pass(60_000);
  expect([clock.isBehind(), clock.sentence(), changes, askedSync]).toEqual([false, undefined, 0, 0]);
});

it('a restart in 1970 holds tunnels back and says why, until the clock is set', async () => {
  shakeHands();
  await reboot();
  wallMs = 60_000;
  expect(clock.isBehind()).toBe(true);
  await pass(60_000);
  expect(clock.sentence()).toBe(
    'The clock of this box is behind 2027-01-15T08:00:00.000Z, a time that its tunnels have used before; peers refuse a key that calls with an older one. Tunnels that call wait until the clock has passed it. Time servers set the clock: let NTP out (UDP 123), or have DHCP name one; `chronyc sources` lists who answers.',
  );
  expect([changes, renewals]).toEqual([1, 0]);
  expect(box.logged.map(({ message }) => message)).toEqual(['tunnels wait for the clock']);
  wallMs = NOW + 120_000;
  await pass(5000);
  expect([clock.isBehind(), clock.sentence(), changes]).toEqual([false, undefined, 2]);
});

it('writes nothing for a box that calls nobody, and holds none back', async () => {
  calls = false;
  shakeHands();
  await reboot();
  wallMs = 0;
  expect([box.files.contents.has(PATH), clock.isBehind()]).toEqual([false, false]);
});

it.each(['{"schema":1', '', '{"schema":2}', '[]', 'x'.repeat(5_000_000)])(
  'a file that says nothing holds nothing back: %#',
  async (text) => {
    await box.files.writeDurable(PATH, text);
    await restart();
    wallMs = 0;
    expect(clock.isBehind()).toBe(false);
  },
);

it('a box that was in 2045 takes another key once its time servers are believed, and goes on', async () => {
  wallMs = NOW + 18 * YEAR;
  shakeHands();
  await reboot();
  wallMs = NOW;
  await pass(30_000);
  expect([clock.isBehind(), renewals]).toEqual([true, 0]);
  sync = 'right';
  await pass(20_000);
  expect([clock.isBehind(), renewals, publicKey === 'first']).toEqual([false, 1, false]);
  // What is kept is of the new key.
  shakeHands();
  await reboot();
  expect(clock.isBehind()).toBe(false);
  wallMs -= 3_600_000;
  expect(clock.isBehind()).toBe(true);
});

it('tunnels that stand when the clock goes back are left to their peers', async () => {
  shakeHands(NOW + 18 * YEAR);
  sync = 'right';
  await pass(180_000);
  expect([clock.isBehind(), renewals]).toEqual([true, 0]);
  // The hub called.
  shakeHands();
  await pass(120_000);
  shakeHands();
  await pass(120_000);
  expect(renewals).toBe(0);
  expect(clock.sentence()).toContain('Tunnels go on as long as their peers call this box');
  expect(clock.sentence()).toContain('Nothing to do');
});

it('and where no peer called, they get another key, and what they remember of the old one counts no more', async () => {
  shakeHands(NOW + 18 * YEAR);
  sync = 'right';
  await pass(290_000);
  expect(renewals).toBe(0);
  await pass(30_000);
  expect([renewals, clock.isBehind()]).toEqual([1, false]);
  shakeHands(NOW + 18 * YEAR);
  expect(clock.isBehind()).toBe(false);
  await pass(5000);
  await restart();
  shakeHands(NOW + 18 * YEAR);
  expect(clock.isBehind()).toBe(false);
});

it('time servers that say what cannot be make no key', async () => {
  shakeHands();
  await reboot();
  [wallMs, sync] = [NOW - 20 * YEAR, 'before-floor'];
  await pass(600_000);
  expect([renewals, clock.sentence()]).toEqual([0, expect.stringContaining('Time servers answer and say')]);
});

it('time servers that turn the clock twenty years to and fro for days cost a key a day', async () => {
  sync = 'right';
  const said = new Set<string | undefined>();
  for (let hour = 0; hour < 24 * 4; hour += 1) {
    wallMs += 18 * YEAR;
    shakeHands();
    wallMs -= 18 * YEAR;
    await reboot();
    await pass(3_600_000);
    said.add(clock.sentence());
  }
  expect(renewals).toBeGreaterThan(1);
  expect(renewals).toBeLessThanOrEqual(5);
  expect([...said]).toContainEqual(expect.stringContaining('within the last day'));
});

it('holds back what calls, and nothing else', () => {
  const key = `${'A'.repeat(42)}A=`;
  const keys = { hub: key, branch1: key, branch2: key };
  const gated = (gateway: 'hub' | 'branch1', clockIsBehind: boolean) =>
    renderBox(specOf(gateway, keys), factsOf(key), gateway, { clockIsBehind })
      .filter(({ needs }) => needs.some((need) => need === 'external:clock/tunnels'))
      .map(({ kind }) => kind);
  expect(new Set(gated('branch1', true))).toEqual(new Set(['wireguard']));
  expect(gated('branch1', false)).toEqual([]);
  expect(gated('hub', true)).toEqual([]);
});
