/** What an uplink test says of its figures, and of an uplink that is as its site expects it: a row a finding. */
import { describe, expect, it } from 'vitest';
import type { UplinkExpectation } from '../../../src/model/uplinkReport.ts';
import { judgeUplink } from '../../../src/wan/uplinkTest/judge.ts';
import { GOOD, holdRows, type Row, SUBJECT } from './uplinkFindings.ts';

const EXPECT: UplinkExpectation = {
  minDownKbps: 20_000,
  minUpKbps: 5_000,
  maxRoundTripMs: 50,
  maxJitterMs: 10,
  maxLossPercent: 1,
  minMtu: 1492,
};

describe('an uplink as its site expects it', () => {
  it('passes every check, and its figures are in the report', () => {
    const result = judgeUplink({ ...SUBJECT, expect: EXPECT }, GOOD);
    expect(result.checks.map(({ check, verdict }) => `${check} ${verdict}`)).toEqual(
      'address gateway dns controller nat mtu loss delay jitter download upload'
        .split(' ')
        .map((check) => `${check} pass`),
    );
    expect(result.verdict).toBe('pass');
    expect(result.figures).toMatchObject({ controller: { connectMs: 9 }, download: { kbps: 40_000 } });
  });
});

const ROWS: readonly Row[] = [
  {
    what: 'a symmetric NAT',
    found: { nat: { kind: 'mapping-per-port', mappedAddress: '203.0.113.9', mappedPorts: [1, 2] } },
    check: 'nat',
    verdict: 'warn',
    says: /symmetric/,
  },
  {
    what: 'a small MTU, nothing expected',
    found: { mtu: { link: 1500, toController: 1270, fromController: 1270 } },
    check: 'mtu',
    verdict: 'fail',
    says: /1280 are needed/,
  },
  {
    what: 'a smaller MTU back than expected',
    subject: { expect: EXPECT },
    found: { mtu: { link: 1500, toController: 1500, fromController: 1400 } },
    check: 'mtu',
    verdict: 'fail',
    says: /1492 are expected/,
  },
  {
    what: 'an MTU with an unknown way back',
    found: { mtu: { link: 1500, toController: 1500 } },
    check: 'mtu',
    verdict: 'warn',
    says: /1500 bytes to the controller pass; the way back could not be told\.$/,
  },
  {
    what: 'an MTU that the budget was too small to search for',
    found: { mtu: { link: 1500, toController: 1038, fromController: 1038, isLeast: true } },
    check: 'mtu',
    verdict: 'unknown',
    says: /at least 1038 bytes .*whether 1280 do was beyond budget or time/,
  },
  {
    what: 'a budget too small to search for an MTU that the port itself has not',
    subject: { expect: { minMtu: 1600 } },
    found: { mtu: { link: 1500, toController: 1038, fromController: 1038, isLeast: true } },
    check: 'mtu',
    verdict: 'fail',
    says: /1600 are expected/,
  },
  {
    what: 'no far end',
    found: { probing: { kind: 'no-far-end', why: 'the controller grants no probes' }, mtu: undefined },
    check: 'mtu',
    verdict: 'unknown',
    says: /grants no probes/,
  },
  {
    what: 'loss',
    found: {
      roundTrip: { sent: 100, received: 95, lossPercent: 5, p50Ms: 20, p99Ms: 30, jitterMs: 1, by: 'probe' },
    },
    check: 'loss',
    verdict: 'warn',
    says: /5 of 100 lost/,
  },
  {
    what: 'more loss than expected',
    subject: { expect: EXPECT },
    found: { roundTrip: { sent: 100, received: 95, lossPercent: 5, p50Ms: 20, p99Ms: 30, by: 'probe' } },
    check: 'loss',
    verdict: 'fail',
    says: /at most 1 % are expected/,
  },
  {
    what: 'UDP that is closed',
    found: { roundTrip: { sent: 100, received: 0, lossPercent: 100, by: 'probe' } },
    check: 'loss',
    verdict: 'fail',
    says: /UDP to the controller does not get through/,
  },
  {
    what: 'pings that nobody answers',
    found: { roundTrip: { sent: 10, received: 0, lossPercent: 100, by: 'ping' } },
    check: 'loss',
    verdict: 'unknown',
    says: /not measured/,
  },
  {
    what: 'a long way',
    subject: { expect: { maxRoundTripMs: 10 } },
    check: 'delay',
    verdict: 'fail',
    says: /at most 10 ms/,
  },
  {
    what: 'a restless way',
    subject: { expect: { maxJitterMs: 1 } },
    check: 'jitter',
    verdict: 'fail',
    says: /at most 1 ms/,
  },
  {
    what: 'a slow line',
    subject: { expect: { minDownKbps: 50_000 } },
    found: { download: { bytes: 5_000_000, durationMs: 1000, kbps: 40_000 } },
    check: 'download',
    verdict: 'fail',
    says: /40 Mbit\/s.*50 Mbit\/s are expected/,
  },
  {
    what: 'a slow way back',
    subject: { expect: { minUpKbps: 15_000 } },
    check: 'upload',
    verdict: 'fail',
    says: /at least 15 Mbit\/s/,
  },
  {
    what: 'so few bytes that TCP has not left its slow start',
    subject: { expect: { minDownKbps: 50_000 } },
    found: { download: { bytes: 46_000, durationMs: 60, kbps: 6133 } },
    check: 'download',
    verdict: 'unknown',
    says: /6\.1 Mbit\/s, measured over 45 KiB: too little to tell/,
  },
  {
    what: 'so few bytes that what box and controller take counts',
    subject: { expect: { minUpKbps: 10_000 } },
    found: {
      roundTrip: { sent: 9, received: 9, lossPercent: 0, p50Ms: 1, p99Ms: 1, jitterMs: 0, by: 'probe' },
      upload: { bytes: 8192, durationMs: 10, kbps: 6554 },
    },
    check: 'upload',
    verdict: 'unknown',
    says: /6\.6 Mbit\/s, measured over 8 KiB: too little to tell/,
  },
  {
    what: 'few bytes, that a line as expected would have carried sooner',
    subject: { expect: { minDownKbps: 50_000 } },
    found: { download: { bytes: 46_000, durationMs: 360, kbps: 1022 } },
    check: 'download',
    verdict: 'fail',
    says: /1 Mbit\/s.*50 Mbit\/s are expected/,
  },
  {
    what: 'a controller that is busy',
    subject: { expect: { minUpKbps: 11_000 } },
    found: { upload: undefined, unmoved: { upload: { kind: 'refused', status: 503 } } },
    check: 'upload',
    verdict: 'unknown',
    says: /not measured: the controller is busy/,
  },
  {
    what: 'a controller that stays busy for longer than the test has',
    found: {
      upload: undefined,
      unmoved: {
        upload: { kind: 'refused', status: 503, retryAfterMs: 10_000, waitedMs: 20_000, gaveUpFor: 'time' },
      },
    },
    check: 'upload',
    verdict: 'unknown',
    says: /not measured: the controller is busy with other tests, and it was given up after 20 s of waiting: it asks for 10 s more, for which the test has no time\./,
  },
  {
    what: 'a controller that is busy, and a budget that is spent by that',
    found: {
      upload: undefined,
      unmoved: {
        upload: { kind: 'refused', status: 503, retryAfterMs: 10_000, waitedMs: 0, gaveUpFor: 'bytes' },
      },
    },
    check: 'upload',
    verdict: 'unknown',
    says: /busy with other tests, and it was given up: another try would take more bytes than the test may use\./,
  },
  {
    what: 'few bytes, after which the controller was busy',
    subject: { expect: { minDownKbps: 50_000 } },
    found: {
      download: { bytes: 46_000, durationMs: 12, kbps: 30_000 },
      unmoved: {
        download: { kind: 'refused', status: 503, retryAfterMs: 600_000, waitedMs: 0, gaveUpFor: 'time' },
      },
    },
    check: 'download',
    verdict: 'unknown',
    says: /too little to tell .* expected; for more, the controller is busy .* given up: it asks for 600 s more/,
  },
  {
    what: 'a transfer that came to a halt',
    found: { unmoved: { upload: { kind: 'stalled', bytes: 8192, withinMs: 8000 } } },
    check: 'upload',
    verdict: 'warn',
    says: /8 KiB did not get through in 8 s/,
  },
  {
    what: 'a transfer that came to a halt, where a rate is expected',
    subject: { expect: { minUpKbps: 100 } },
    found: { upload: undefined, unmoved: { upload: { kind: 'stalled', bytes: 8192, withinMs: 8000 } } },
    check: 'upload',
    verdict: 'fail',
    says: /did not get through/,
  },
  {
    what: 'no transfer',
    found: { upload: undefined },
    check: 'upload',
    verdict: 'unknown',
    says: /not measured/,
  },
];

describe('an uplink with', () => {
  holdRows(ROWS);

  it('UDP that is closed names both ends where it may be', () => {
    const roundTrip = { sent: 100, received: 0, lossPercent: 100, by: 'probe' } as const;
    const { checks } = judgeUplink(SUBJECT, { ...GOOD, roundTrip });
    const mend = checks.find(({ check }) => check === 'loss')?.mend;
    expect(mend).toMatch(/let UDP out.*the controller's firewall/);
  });
});
