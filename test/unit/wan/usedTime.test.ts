/** The time that tunnels have used: never kept below what peers have, and no clock a moment behind holds a box back. */
import { describe, expect, it } from 'vitest';
import {
  behind,
  callsPeers,
  keptAfter,
  keptOfNewKey,
  mayRenew,
  tunnelsLive,
  UsedTime,
} from '../../../src/wan/usedTime.ts';
import { specOf } from '../../lab/wan/fleet.ts';

const MINUTE = 60_000;
const DAY = 1440 * MINUTE;
const NOW = 1_800_000_000_000;
const shaken = (...atMs: readonly number[]) =>
  new Map(atMs.map((at, index) => [`wg-${index} peer`, at / 1000]));
const KEY = `${'A'.repeat(42)}A=`;

describe('what is kept', () => {
  it('is above every handshake until the next look, and written once in ten minutes', () => {
    let kept: UsedTime | undefined;
    let writes = 0;
    for (let minute = 0; minute < 1440; minute += 1) {
      // A handshake each two minutes, a look each minute: what peers have by the next look may be a minute later.
      const at = NOW + Math.floor(minute / 2) * 2 * MINUTE;
      const next = keptAfter(kept, KEY, shaken(at));
      if (next !== undefined) writes += 1;
      kept = next ?? kept;
      expect(kept?.untilMs).toBeGreaterThan(at + 3 * MINUTE);
    }
    expect(writes).toBeLessThanOrEqual(144);
  });
  it('never goes back, and is of one key alone', () => {
    const kept = keptAfter(undefined, KEY, shaken(NOW));
    expect(keptAfter(kept, KEY, shaken(NOW - DAY))).toBeUndefined();
    expect(keptAfter(kept, KEY, new Map())).toBeUndefined();
    expect(keptAfter(kept, 'other', shaken(NOW - DAY))?.untilMs).toBeLessThan(NOW);
  });
  it('of a new key leaves out what interfaces remember of the one before', () => {
    const before = shaken(NOW + 20 * 365 * DAY, NOW + 19 * 365 * DAY);
    const kept = keptOfNewKey(KEY, NOW, before);
    expect(keptAfter(kept, KEY, before)).toBeUndefined();
    const next = keptAfter(kept, KEY, new Map([...before, ['wg-0 peer', NOW / 1000]]));
    expect(behind(next, KEY, NOW)).toBeUndefined();
    expect(behind(next, KEY, NOW - 1000)).toBe(NOW);
    expect(next?.renewedAtMs).toBe(NOW);
  });
  it('is as its schema says', () => {
    for (const one of [keptAfter(undefined, KEY, shaken(NOW)), keptOfNewKey(KEY, NOW, shaken(NOW))])
      expect(UsedTime.parse(JSON.parse(JSON.stringify(one)))).toEqual(one);
  });
});

describe('a clock', () => {
  const kept = keptAfter(undefined, KEY, shaken(NOW));
  it.each([
    ['in 1970', 1000, NOW],
    ['a second behind', NOW - 1000, NOW],
    ['at that time', NOW, undefined],
    // A box that restarts at once, and by a clock that is right.
    ['some seconds on', NOW + 20_000, undefined],
    ['in 2045', NOW + 18 * 365 * DAY, undefined],
  ])('%s', (_what, nowMs, expected) => expect(behind(kept, KEY, nowMs)).toBe(expected));
  it('is behind nothing where another key was used, or none', () => {
    expect(behind(kept, 'other', 0)).toBeUndefined();
    expect(behind(undefined, KEY, 0)).toBeUndefined();
    expect(behind(keptOfNewKey(KEY, NOW, new Map()), KEY, 0)).toBeUndefined();
  });
});

it('branches call, a hub answers', () => {
  const keys = { hub: KEY, branch1: KEY, branch2: KEY };
  expect(callsPeers(specOf('branch1', keys))).toBe(true);
  expect(callsPeers(specOf('hub', keys))).toBe(false);
});

it.each([
  ['just now', NOW, true],
  ['three minutes ago', NOW - 3 * MINUTE, true],
  ['five minutes ago', NOW - 5 * MINUTE, false],
  // By the clock of before: it says nothing about now.
  ['in 2045', NOW + 18 * 365 * DAY, false],
])('tunnels whose last handshake was %s live: %#', (_what, atMs, lives) => {
  expect(tunnelsLive(shaken(atMs), NOW)).toBe(lives);
  expect(tunnelsLive(shaken(NOW - DAY, atMs), NOW)).toBe(lives);
});

describe('another key', () => {
  const state = {
    kept: keptAfter(undefined, KEY, shaken(NOW + 18 * 365 * DAY)),
    nowMs: NOW,
    handshakes: new Map<string, number>(),
    behindForMs: 0,
    sinceRenewalMs: undefined,
  };
  const later = shaken(NOW + 18 * 365 * DAY);
  it.each([
    ['at once after a start, when nothing stands', {}, 'now'],
    ['not before anybody looked', { handshakes: undefined }, 'not-yet'],
    ['not while peers may still call', { handshakes: later, behindForMs: 4 * MINUTE }, 'not-yet'],
    ['when none of them did', { handshakes: later, behindForMs: 5 * MINUTE }, 'now'],
    ['not while tunnels pass traffic', { handshakes: shaken(NOW), behindForMs: DAY }, 'tunnels-live'],
    ['not twice within a day of this process', { sinceRenewalMs: DAY - 1 }, 'too-soon'],
    ['again after a day', { sinceRenewalMs: DAY }, 'now'],
  ] as const)('%s', (_what, change, expected) => expect(mayRenew({ ...state, ...change })).toBe(expected));
  it('not twice within a day of the clock, whichever way it was turned', () => {
    for (const [by, expected] of [
      [0, 'too-soon'],
      [DAY - 1, 'too-soon'],
      [1 - DAY, 'too-soon'],
      [DAY, 'now'],
    ] as const)
      expect(mayRenew({ ...state, kept: keptOfNewKey(KEY, NOW - by, new Map()) })).toBe(expected);
  });
});
