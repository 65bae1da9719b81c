/** Owns an uplink that is as it should be, and rows of what an uplink test says where one thing of it is not. */
import { expect, it } from 'vitest';
import type { UplinkCheck } from '../../../src/model/uplinkReport.ts';
import { type Findings, NOTHING_FOUND } from '../../../src/wan/uplinkTest/findings.ts';
import { judgeUplink } from '../../../src/wan/uplinkTest/judge.ts';
import type { Subject } from '../../../src/wan/uplinkTest/subject.ts';

export const SUBJECT: Subject = {
  name: 'internet',
  port: 'wan1',
  ifname: 'wan1',
  carrier: true,
  metered: false,
  address: '192.0.2.7/24',
  gateway: '192.0.2.1',
  dns: ['192.0.2.53'],
  dhcp: true,
  pppoe: false,
  modem: false,
  budgetBytes: 1_000_000,
  expect: {},
  targets: [{ host: 'controller.example', port: 8446 }],
  twin: undefined,
  proxy: undefined,
};
export const GOOD: Findings = {
  ...NOTHING_FOUND,
  neighbour: 'answers',
  dns: {
    servers: [{ server: '192.0.2.53', state: 'answers', invents: false }],
    names: [{ host: 'controller.example', addresses: ['198.51.100.10'] }],
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

export interface Row {
  readonly what: string;
  readonly subject?: Partial<Subject>;
  readonly found?: Partial<Findings>;
  readonly check: UplinkCheck;
  readonly verdict: 'warn' | 'fail' | 'unknown';
  readonly says: RegExp;
}

export function holdRows(rows: readonly Row[]): void {
  it.each(rows)('$what: $check $verdict', ({ subject, found, check, verdict, says }) => {
    const result = judgeUplink({ ...SUBJECT, ...subject }, { ...GOOD, ...found });
    const seen = result.checks.find((one) => one.check === check);
    expect(seen).toMatchObject({ verdict, sentence: expect.stringMatching(says) });
    if (verdict !== 'unknown' && check !== 'mtu' && check !== 'dns') expect(seen?.mend).toBeDefined();
    expect(result.verdict).toBe(result.checks.some((one) => one.verdict === 'fail') ? 'fail' : 'pass');
  });
}
