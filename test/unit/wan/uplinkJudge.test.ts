/** What an uplink test says of what was found: a row a finding. */
import { describe, expect, it } from 'vitest';
import {
  describeReport,
  type UplinkExpectation,
  type UplinkCheck,
  UplinkReport,
  reportLine,
} from '../../../src/model/uplinkReport.ts';
import type { Findings } from '../../../src/wan/uplinkTest/findings.ts';
import { NOTHING_FOUND } from '../../../src/wan/uplinkTest/findings.ts';
import { judgeUplink } from '../../../src/wan/uplinkTest/judge.ts';
import type { Subject } from '../../../src/wan/uplinkTest/subject.ts';

const SUBJECT: Subject = {
  name: 'internet',
  port: 'wan1',
  ifname: 'wan1',
  carrier: true,
  metered: false,
  address: '192.0.2.7/24',
  gateway: '192.0.2.1',
  dns: ['192.0.2.53'],
  dhcp: true,
  budgetBytes: 1_000_000,
  expect: {},
  targets: [{ host: 'controller.example', port: 8446 }],
};
const GOOD: Findings = {
  ...NOTHING_FOUND,
  neighbour: 'answers',
  dns: {
    servers: [{ server: '192.0.2.53', state: 'answers', invents: false }],
    name: { host: 'controller.example', addresses: ['198.51.100.10'] },
  },
  reach: {
    kind: 'proven',
    host: 'controller.example',
    port: 8446,
    address: '198.51.100.10',
    connectMs: 9,
    handshakeMs: 21,
  },
  probing: { kind: 'measured' },
  nat: { kind: 'same-mapping', mappedAddress: '203.0.113.9', mappedPorts: [4000, 4000] },
  mtu: { link: 1500, toController: 1492, fromController: 1492 },
  roundTrip: { sent: 100, received: 100, lossPercent: 0, p50Ms: 20, p99Ms: 31, jitterMs: 2, by: 'probe' },
  download: { bytes: 500_000, durationMs: 100, kbps: 40_000 },
  upload: { bytes: 250_000, durationMs: 200, kbps: 10_000 },
  usedBytes: 900_000,
};
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

interface Row {
  readonly what: string;
  readonly subject?: Partial<Subject>;
  readonly found?: Partial<Findings>;
  readonly check: UplinkCheck;
  readonly verdict: 'warn' | 'fail' | 'unknown';
  readonly says: RegExp;
}
const reach = (more: Findings['reach']) => ({ reach: more });
const ROWS: readonly Row[] = [
  {
    what: 'no cable',
    subject: { carrier: false, address: undefined },
    check: 'address',
    verdict: 'fail',
    says: /No cable/,
  },
  {
    what: 'no interface',
    subject: { ifname: undefined, address: undefined },
    check: 'address',
    verdict: 'fail',
    says: /no interface/,
  },
  {
    what: 'no lease',
    subject: { address: undefined },
    check: 'address',
    verdict: 'fail',
    says: /nobody gave an address/,
  },
  {
    what: 'no gateway named',
    subject: { gateway: undefined },
    check: 'gateway',
    verdict: 'fail',
    says: /named no gateway/,
  },
  {
    what: 'a dead gateway',
    found: { neighbour: 'silent' },
    check: 'gateway',
    verdict: 'fail',
    says: /192\.0\.2\.1 does not answer/,
  },
  {
    what: 'a dead DNS server',
    found: {
      dns: {
        servers: [{ server: '192.0.2.53', state: 'silent', invents: false }],
        name: { host: 'controller.example', addresses: [] },
      },
    },
    check: 'dns',
    verdict: 'fail',
    says: /192\.0\.2\.53 does not answer/,
  },
  {
    what: 'one dead DNS server of two',
    found: {
      dns: {
        servers: [
          { server: '192.0.2.53', state: 'answers', invents: false },
          { server: '192.0.2.54', state: 'silent', invents: false },
        ],
        name: undefined,
      },
    },
    check: 'dns',
    verdict: 'warn',
    says: /192\.0\.2\.54 does not help/,
  },
  {
    what: 'a DNS server that invents, the controller proven',
    found: { dns: { servers: [{ server: '192.0.2.53', state: 'answers', invents: true }], name: undefined } },
    check: 'dns',
    verdict: 'warn',
    says: /names that do not exist/,
  },
  {
    what: 'a DNS server that invents, the controller not reached',
    found: {
      dns: { servers: [{ server: '192.0.2.53', state: 'answers', invents: true }], name: undefined },
      reach: { kind: 'silent', host: 'x', why: 'no answer' },
    },
    check: 'dns',
    verdict: 'fail',
    says: /names that do not exist/,
  },
  {
    what: 'a captive portal',
    found: reach({
      kind: 'portal',
      host: 'controller.example',
      where: 'it sends the box to login.hotel.example',
    }),
    check: 'controller',
    verdict: 'fail',
    says: /captive portal .* login\.hotel\.example/,
  },
  {
    what: 'somebody in between',
    found: reach({ kind: 'impostor', host: 'controller.example', certificate: 'Proxy CA' }),
    check: 'controller',
    verdict: 'fail',
    says: /certificate of Proxy CA/,
  },
  {
    what: 'a line that loses large packets',
    found: reach({ kind: 'stalled', host: 'controller.example' }),
    check: 'controller',
    verdict: 'fail',
    says: /packets of full size are lost/,
  },
  {
    what: 'a closed firewall',
    found: reach({ kind: 'silent', host: 'controller.example', why: 'no answer in time' }),
    check: 'controller',
    verdict: 'fail',
    says: /no answer in time/,
  },
  {
    what: 'an unknown name',
    found: reach({ kind: 'no-name', host: 'controller.example' }),
    check: 'controller',
    verdict: 'fail',
    says: /no address on this uplink/,
  },
  {
    what: 'nobody to reach',
    found: reach({ kind: 'no-target' }),
    check: 'controller',
    verdict: 'unknown',
    says: /nobody to reach/,
  },
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
    says: /way back could not be told/,
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
    check: 'download',
    verdict: 'fail',
    says: /40 Mbit\/s.*50 Mbit\/s are expected/,
  },
  {
    what: 'a slow way back',
    subject: { expect: { minUpKbps: 11_000 } },
    check: 'upload',
    verdict: 'fail',
    says: /at least 11 Mbit\/s/,
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
  it.each(ROWS)('$what: $check $verdict', ({ subject, found, check, verdict, says }) => {
    const result = judgeUplink({ ...SUBJECT, ...subject }, { ...GOOD, ...found });
    const seen = result.checks.find((one) => one.check === check);
    expect(seen).toMatchObject({ verdict, sentence: expect.stringMatching(says) });
    if (verdict !== 'unknown' && check !== 'mtu' && check !== 'dns') expect(seen?.mend).toBeDefined();
    expect(result.verdict).toBe(result.checks.some((one) => one.verdict === 'fail') ? 'fail' : 'pass');
  });

  it('nothing before its address says no more than that', () => {
    const { checks } = judgeUplink({ ...SUBJECT, address: undefined }, NOTHING_FOUND);
    expect(checks.map(({ check }) => check)).toEqual(['address']);
  });
});

describe('a report', () => {
  const report = (findings: Findings, subject = SUBJECT): UplinkReport => {
    const result = judgeUplink(subject, findings);
    return UplinkReport.parse({
      schema: 1,
      id: 'r1',
      occasion: 'asked-here',
      serial: 'SN-1',
      startedAtMs: 0,
      endedAtMs: 4_200,
      verdict: result.verdict,
      uplinks: [result],
    });
  };
  it('reads as sentences, a check a line, with what to do', () => {
    const lines = describeReport(report({ ...GOOD, neighbour: 'silent' }));
    expect(lines[0]).toBe('uplink test on demand, 1970-01-01T00:00:00.000Z, 4.2 s: FAIL');
    expect(lines).toContain('uplink internet on wan1: FAIL, 879 KiB of 977 KiB used');
    expect(lines).toContain('  FAIL gateway    The gateway 192.0.2.1 does not answer on wan1.');
    expect(lines.join('\n')).toMatch(/do: restart the provider's device/);
  });
  it('is one line for an installer, with the worst of it', () => {
    expect(reportLine(report(GOOD))).toBe('internet (wan1) passes');
    expect(reportLine(report({ ...GOOD, neighbour: 'silent' }))).toBe(
      'internet (wan1) fails: The gateway 192.0.2.1 does not answer on wan1.',
    );
  });
});
