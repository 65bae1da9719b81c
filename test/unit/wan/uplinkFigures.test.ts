/** The arithmetic of an uplink test, and what it makes of the words of kernel and programs. */
import { describe, expect, it } from 'vitest';
import fc from 'fast-check';
import {
  LEAST_MTU,
  nextMtu,
  noteMtu,
  quickestMs,
  rateOf,
  startMtuSearch,
  summariseRoundTrips,
} from '../../../src/wan/uplinkTest/figures.ts';
import {
  parseNeighbour,
  parsePing,
  parseReceivedPacket,
  parseRouteMtu,
} from '../../../src/wan/uplinkTest/kernelRead.ts';
import { portalOf, printable } from '../../../src/wan/uplinkTest/reach.ts';
import { mtuTimeoutMs, probeTimeoutMs, search } from '../../../src/wan/uplinkTest/probing.ts';
import {
  FIRST_TRANSFER_BYTES,
  HANDSHAKE_BYTES,
  parseTarget,
  spendBudget,
  transferBytes,
} from '../../../src/wan/uplinkTest/subject.ts';
import { BUDGET_BYTES } from '../../../src/model/uplinkReport.ts';

describe('round trips', () => {
  it('give loss, percentiles by rank, and the mean difference as jitter', () => {
    expect(summariseRoundTrips([10, 12, undefined, 11, 30], 'probe')).toEqual({
      sent: 5,
      received: 4,
      lossPercent: 20,
      p50Ms: 11,
      p99Ms: 30,
      jitterMs: 7.33,
      by: 'probe',
    });
    expect(summariseRoundTrips([undefined, undefined], 'ping')).toEqual({
      sent: 2,
      received: 0,
      lossPercent: 100,
      by: 'ping',
    });
  });
});

it('a probe counts as lost when its line, however slow, would have brought it', () => {
  expect([5, 600, 1300, 9000].map(probeTimeoutMs)).toEqual([1000, 1800, 3900, 5000]);
  expect([5, 200, 600, 1200].map(mtuTimeoutMs)).toEqual([250, 600, 1000, 1500]);
});

describe('the search for the path MTU', () => {
  it('ends at the largest size that passes, whatever it is, in few steps', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: LEAST_MTU, max: 9216 }),
        fc.integer({ min: 0, max: 9216 }),
        (max, truth) => {
          let state = startMtuSearch(max);
          let steps = 0;
          for (let size = nextMtu(state); size !== undefined; size = nextMtu(state)) {
            steps += 1;
            state = noteMtu(state, size, size <= truth);
          }
          expect(state.good).toBe(truth < LEAST_MTU ? (truth >= max ? max : 0) : Math.min(truth, max));
          expect(steps).toBeLessThanOrEqual(16);
        },
      ),
    );
  });
});

describe('a search whose budget ends', () => {
  it('says that larger ones may pass', async () => {
    const passes = (size: number) => Promise.resolve(size <= 1492);
    expect(await search(1500, () => true, passes)).toEqual({ good: 1492, isWhole: true });
    let steps = 0;
    const afford = () => (steps += 1) <= 3;
    expect(await search(1500, afford, passes)).toEqual({ good: 1038, isWhole: false });
  });
});

describe('a budget', () => {
  it('is never spent beyond itself', () => {
    fc.assert(
      fc.property(fc.integer({ min: BUDGET_BYTES.min, max: BUDGET_BYTES.max }), (budget) => {
        const { probes, probeBytes, mtuBytes, downloadBytes, uploadBytes } = spendBudget(budget);
        const moved = transferBytes(downloadBytes) + transferBytes(uploadBytes);
        const spent = 2 * HANDSHAKE_BYTES + probes * 2 * probeBytes + mtuBytes + moved;
        expect(spent).toBeLessThanOrEqual(budget);
        expect(downloadBytes).toBeGreaterThan(uploadBytes);
        expect(uploadBytes).toBeGreaterThanOrEqual(FIRST_TRANSFER_BYTES);
      }),
    );
  });
  it('gives a rate only where something came', () => {
    expect(rateOf(125_000, 1000)).toEqual({ bytes: 125_000, durationMs: 1000, kbps: 1000 });
    expect(rateOf(0, 1000)).toBeUndefined();
    expect(rateOf(10, 0)).toBeUndefined();
  });
});

describe('the time that a line of a rate takes at least', () => {
  it('is that of TCP’s slow start, and then of the rate', () => {
    // 10, 20 and 15 segments, a round trip each.
    expect(quickestMs(45 * 1448, 1_000_000, 40)).toBe(120);
    // 1 Mbit/s: 8 ms a kilobyte, whatever the round trip.
    expect(quickestMs(14_480, 1000, 10)).toBeCloseTo(115.84);
    expect(quickestMs(1_000_000, 8000, 20)).toBeCloseTo(20 + 985.52);
  });
});

describe('what programs say', () => {
  it('of a neighbour counts only with a link address that was not given up', () => {
    const known = (state: string) =>
      parseNeighbour(`[{"dst":"192.0.2.1","lladdr":"02:00:00:00:00:01","state":["${state}"]}]`);
    expect(['REACHABLE', 'FAILED', 'STALE', 'DELAY', 'PROBE'].map(known)).toEqual([
      'answers',
      'silent',
      'doubted',
      'doubted',
      'doubted',
    ]);
    for (const text of ['[{"dst":"192.0.2.1","state":["INCOMPLETE"]}]', '[]', '', 'x', '{}', '[1]'])
      expect(parseNeighbour(text)).toBe('silent');
  });
  it('of a path gives the MTU that ICMP taught', () => {
    const learned = '[{"dst":"192.0.2.9","from":"192.0.2.1","metrics":[{"mtu":1400}],"cache":[]}]';
    expect(parseRouteMtu(learned)).toBe(1400);
    for (const text of ['[{"dst":"192.0.2.9"}]', '', '[{"metrics":[{"mtu":"1400"}]}]', 'null'])
      expect(parseRouteMtu(text)).toBeUndefined();
  });
  it('of a connection gives the packet of its largest segment', () => {
    expect(parseReceivedPacket('ESTAB 0 0 …\n\t cubic ts sack wscale:7,7 rcvmss:1348 advmss:1448', 4)).toBe(
      1400,
    );
    expect(parseReceivedPacket('cubic sack rcvmss:1360', 4)).toBe(1400);
    expect(parseReceivedPacket('cubic sack rcvmss:1360', 6)).toBe(1420);
    for (const text of ['', 'rcvmss:', 'rcvmss:999999']) expect(parseReceivedPacket(text, 4)).toBeUndefined();
  });
  it('of pings gives each answer at its number, once, and no other', () => {
    const lines = [
      '64 bytes from 192.0.2.1: icmp_seq=1 ttl=64 time=0.061 ms',
      '64 bytes from 192.0.2.1: icmp_seq=3 ttl=64 time=12 ms',
      '64 bytes from 192.0.2.1: icmp_seq=3 ttl=64 time=99 ms (DUP!)',
      '64 bytes from 192.0.2.1: icmp_seq=44 ttl=64 time=1 ms',
      'From 192.0.2.2 icmp_seq=2 Destination Host Unreachable',
    ];
    expect(parsePing(lines.join('\n'), 3)).toEqual([0.061, undefined, 12]);
  });
});

describe('who answers in the place of the far end', () => {
  const host = 'controller.example';
  it('is a captive portal where it sends elsewhere, shows a page or says so', () => {
    expect(portalOf(302, { location: 'http://login.hotel.example/?from=x' }, host)).toContain(
      'login.hotel.example',
    );
    expect(portalOf(200, { 'content-type': 'text/html; charset=x' }, host)).toContain('a page');
    expect(portalOf(511, {}, host)).toContain('sign-in');
  });
  it('is none where it stays at the same host or says nothing', () => {
    expect(portalOf(301, { location: `https://${host}/` }, host)).toBeUndefined();
    expect(portalOf(301, {}, host)).toBeUndefined();
    expect(portalOf(404, { 'content-type': 'text/html' }, host)).toBeUndefined();
    expect(portalOf(200, { 'content-type': 'application/json' }, host)).toBeUndefined();
  });
  it('is told in few printable characters', () => {
    expect(printable(`\u001b[31m${'x'.repeat(1000)}`)).toBe(`?[31m${'x'.repeat(59)}`);
  });
  it('is asked only where a bootstrap server is named as one', () => {
    expect(parseTarget('https://boot.example:8443/x')).toEqual([{ host: 'boot.example', port: 8443 }]);
    for (const uri of [
      'http://boot.example',
      'https://user@boot.example',
      'boot',
      `https://${'x'.repeat(2000)}`,
    ])
      expect(parseTarget(uri)).toEqual([]);
  });
});
