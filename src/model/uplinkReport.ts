/**
 * Owns the words of an uplink test: what is expected of an uplink, what was found on it, and the report that box,
 * installer and controller read. Does not own measuring (wan/uplinkTest) nor what travels to the far end (uplinkProbe).
 */
import { z } from 'zod';
import { Ipv4Interface, Ipv6Interface, IpAddress } from './addresses.ts';
import { GatewayId, InterfaceName, PortLabel, UplinkName } from './ids.ts';

/** Of a site's uplink; what is absent is not judged. Kilobit is 1,000 bit. */
export const UplinkExpectation = z.strictObject({
  minDownKbps: z.int().min(1).max(100_000_000).optional(),
  minUpKbps: z.int().min(1).max(100_000_000).optional(),
  /** Median of the round trips to the controller. */
  maxRoundTripMs: z.number().min(1).max(60_000).optional(),
  maxJitterMs: z.number().min(0).max(60_000).optional(),
  maxLossPercent: z.number().min(0).max(100).optional(),
  /** Of an IP packet, in the worse direction. */
  minMtu: z.int().min(576).max(9216).optional(),
});
export type UplinkExpectation = z.output<typeof UplinkExpectation>;

/** Bytes that a test of one uplink may send and receive together. */
export const BUDGET_BYTES = {
  min: 64 * 1024,
  metered: 256 * 1024,
  usual: 8 * 1024 * 1024,
  max: 64 * 1024 * 1024,
};

/** In the order of a test; each needs those before it. */
export const UPLINK_CHECKS = [
  'address',
  'gateway',
  'dns',
  'controller',
  'nat',
  'mtu',
  'loss',
  'delay',
  'jitter',
  'download',
  'upload',
] as const;
export type UplinkCheck = (typeof UPLINK_CHECKS)[number];

/** warn: works, and a person should know. unknown: it could not be measured, and the sentence says why. */
const Verdict = z.enum(['pass', 'warn', 'fail', 'unknown']);
export type CheckVerdict = z.output<typeof Verdict>;

/** A box's words go to terminals: nothing in them steers one. */
const Words = z
  .string()
  .max(400)
  .regex(/^\P{C}*$/u, 'printable characters');
/** Milliseconds since 1970, that a date can be made of (ECMA-262 21.4.1.1). */
const Moment = z.number().min(0).max(8.64e15);

export const CheckResult = z.strictObject({
  check: z.enum(UPLINK_CHECKS),
  verdict: Verdict,
  /** For an installer: what was found. */
  sentence: Words,
  /** What to do; absent where there is nothing. */
  mend: Words.optional(),
});
export type CheckResult = z.output<typeof CheckResult>;

/** `none`: the far end sees the box's own address. Others as RFC 5780 4.3 has them, as far as one far address tells. */
export const NAT_KINDS = ['none', 'same-mapping', 'mapping-per-port'] as const;

export const Transfer = z.strictObject({
  bytes: z.int().min(0),
  durationMs: z.number().min(0),
  kbps: z.int().min(0),
});
export type Transfer = z.output<typeof Transfer>;

/** What was measured; what is absent could not be. */
export const UplinkFigures = z.strictObject({
  address: z.union([Ipv4Interface, Ipv6Interface]).optional(),
  gateway: IpAddress.optional(),
  dns: z.array(IpAddress).max(8),
  controller: z
    .strictObject({
      host: z.string().max(253),
      port: z.int(),
      address: IpAddress.optional(),
      connectMs: z.number().optional(),
      handshakeMs: z.number().optional(),
    })
    .optional(),
  nat: z
    .strictObject({ kind: z.enum(NAT_KINDS), mappedAddress: IpAddress, mappedPorts: z.array(z.int()).max(4) })
    .optional(),
  mtu: z
    .strictObject({
      /** Of the interface: no more was tried. */
      link: z.int(),
      toController: z.int().optional(),
      fromController: z.int().optional(),
      /** Its budget or time ended before the search did: larger ones may pass. */
      isLeast: z.literal(true).optional(),
    })
    .optional(),
  roundTrip: z
    .strictObject({
      sent: z.int(),
      received: z.int(),
      lossPercent: z.number(),
      p50Ms: z.number().optional(),
      p99Ms: z.number().optional(),
      /** Mean difference of a round trip from the one before it. */
      jitterMs: z.number().optional(),
      /** `probe`: UDP to the controller. `ping`: ICMP, where no far end answers probes. */
      by: z.enum(['probe', 'ping']),
    })
    .optional(),
  download: Transfer.optional(),
  upload: Transfer.optional(),
});
export type UplinkFigures = z.output<typeof UplinkFigures>;

export const UplinkResult = z.strictObject({
  name: UplinkName,
  port: PortLabel,
  ifname: InterfaceName.optional(),
  metered: z.boolean(),
  budgetBytes: z.int(),
  /** Of payloads and probes as sent and received; TCP's own share is estimated. */
  usedBytes: z.int(),
  /** fail where any check is. */
  verdict: z.enum(['pass', 'fail']),
  checks: z.array(CheckResult).max(UPLINK_CHECKS.length),
  figures: UplinkFigures,
});
export type UplinkResult = z.output<typeof UplinkResult>;

export const REPORT_OCCASIONS = ['before-bootstrap', 'after-bootstrap', 'asked-here', 'ordered'] as const;

export const UplinkReport = z.strictObject({
  schema: z.literal(1),
  id: z.string().min(1).max(64),
  occasion: z.enum(REPORT_OCCASIONS),
  serial: z.string().max(64),
  gatewayId: GatewayId.optional(),
  startedAtMs: Moment,
  endedAtMs: Moment,
  verdict: z.enum(['pass', 'fail']),
  uplinks: z.array(UplinkResult).max(15),
});
export type UplinkReport = z.output<typeof UplinkReport>;
/** 15 uplinks with eleven long sentences each stay below it. */
export const REPORT_MAX_BYTES = 60 * 1024;

/** What `branchbox test uplinks` asks for; absent: every uplink, and the budget of its kind. */
export const UplinkTestRequest = z.strictObject({
  uplink: UplinkName.optional(),
  budgetBytes: z.int().min(BUDGET_BYTES.min).max(BUDGET_BYTES.max).optional(),
});
export type UplinkTestRequest = z.output<typeof UplinkTestRequest>;

/** Read-out of the agent, for `branchbox test uplinks`: how a test stands, and the last report. */
export const LocalUplinkTest = z.strictObject({
  running: z
    .strictObject({ id: z.string(), startedAtMs: z.number(), uplink: z.string(), step: z.string() })
    .optional(),
  report: UplinkReport.optional(),
  /** Of the last test this box made before it had an owner. */
  beforeBootstrap: UplinkReport.optional(),
});
export type LocalUplinkTest = z.output<typeof LocalUplinkTest>;

/** One line for an installer's page. Pure. */
export function reportLine(report: UplinkReport): string {
  const parts = report.uplinks.map(({ name, port, verdict, checks }) => {
    const worst =
      checks.find((one) => one.verdict === 'fail') ?? checks.find((one) => one.verdict === 'warn');
    const label = name === port ? name : `${name} (${port})`;
    if (verdict === 'fail') return `${label} fails: ${worst?.sentence ?? 'see the report'}`;
    return worst === undefined ? `${label} passes` : `${label} passes, but ${worst.sentence}`;
  });
  return parts.length === 0 ? 'There is no uplink to test.' : parts.join(' ');
}

/** The report as an installer reads it, a line each. Pure. */
export function describeReport(report: UplinkReport): readonly string[] {
  const lines = [
    `uplink test ${OCCASIONS[report.occasion]}, ${new Date(report.startedAtMs).toISOString()}, ${
      Math.round((report.endedAtMs - report.startedAtMs) / 100) / 10
    } s: ${report.verdict === 'pass' ? 'PASS' : 'FAIL'}`,
  ];
  for (const one of report.uplinks) {
    const metered = one.metered ? ', metered' : '';
    lines.push(
      '',
      `uplink ${one.name} on ${one.port}${one.ifname === undefined || one.ifname === one.port ? '' : ` (${one.ifname})`}${metered}: ${one.verdict === 'pass' ? 'PASS' : 'FAIL'}, ${kibibytes(one.usedBytes)} of ${kibibytes(one.budgetBytes)} used`,
    );
    for (const { check, verdict, sentence, mend } of one.checks) {
      lines.push(`  ${MARKS[verdict]} ${check.padEnd(10)} ${sentence}`);
      if (mend !== undefined) lines.push(`       ${''.padEnd(10)} do: ${mend}`);
    }
  }
  return lines;
}

const OCCASIONS: Readonly<Record<UplinkReport['occasion'], string>> = {
  'before-bootstrap': 'before bootstrap',
  'after-bootstrap': 'after bootstrap',
  'asked-here': 'on demand',
  ordered: 'ordered by the controller',
};
const MARKS: Readonly<Record<CheckVerdict, string>> = {
  pass: 'ok  ',
  warn: 'warn',
  fail: 'FAIL',
  unknown: '?   ',
};
const kibibytes = (bytes: number): string => `${Math.ceil(bytes / 1024)} KiB`;
