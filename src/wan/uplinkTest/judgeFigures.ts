/**
 * Owns the verdicts on what was measured towards the far end: NAT, path MTU, round trips, rates. Pure.
 */
import type { CheckResult } from '../../model/uplinkReport.ts';
import { ms, result } from './checkWords.ts';
import { quickestMs } from './figures.ts';
import type { Findings, Unmoved } from './findings.ts';
import type { Subject } from './subject.ts';

/** Least that a tunnel with the fleet's default tenant MTU needs of the underlay: that of IPv6 (RFC 8200). */
const MTU_NEEDED = 1280;
/** What box and controller take for a transfer beside the line, where both are busy. */
const HANDLING_MS = 20;
/** From here on people notice it in a call, whatever a site expects. */
const LOSS_WORTH_A_WARNING_PERCENT = 1;

export function judgeNat({ nat, probing }: Findings): CheckResult {
  if (nat === undefined) return result('nat', 'unknown', whyUnknown('The kind of NAT', probing));
  switch (nat.kind) {
    case 'none':
      return result(
        'nat',
        'pass',
        `No NAT: the controller sees ${nat.mappedAddress}, the box's own address.`,
      );
    case 'same-mapping':
      return result(
        'nat',
        'pass',
        `A NAT, seen as ${nat.mappedAddress}; it maps the box alike towards two ports, which tunnels like.`,
      );
    case 'mapping-per-port':
      return result(
        'nat',
        'warn',
        `A NAT, seen as ${nat.mappedAddress}, that maps the box anew for each destination port (symmetric).`,
        'nothing for tunnels to a hub; tunnels straight between two such sites will not work',
      );
  }
}

export function judgeMtu({ expect }: Subject, { mtu, probing }: Findings): CheckResult {
  const there = mtu?.toController;
  const back = mtu?.fromController;
  if (mtu === undefined || there === undefined) {
    return result('mtu', 'unknown', whyUnknown('The path MTU', probing));
  }
  const worse = Math.min(there, back ?? there);
  const wanted = expect.minMtu ?? MTU_NEEDED;
  const upTo = mtu.isLeast === true ? 'at least' : 'up to';
  const figures = `${upTo} ${there} bytes to the controller${back === undefined ? '' : `, ${back} back`}`;
  const rest = back === undefined ? '; the way back could not be told' : '';
  if (worse < wanted && mtu.isLeast === true && mtu.link >= wanted) {
    return result(
      'mtu',
      'unknown',
      `Packets of ${figures} pass; whether ${wanted} do was beyond budget or time${rest}.`,
      'test again with a larger --budget, and when the line is not busy',
    );
  }
  if (worse < wanted) {
    return result(
      'mtu',
      'fail',
      `Packets of ${figures} pass; ${wanted} are ${expect.minMtu === undefined ? 'needed' : 'expected'}${rest}.`,
      "ask the provider for the line's MTU; a modem between may have a smaller one set",
    );
  }
  return result('mtu', back === undefined ? 'warn' : 'pass', `Packets of ${figures} pass${rest}.`);
}

export function judgeRoundTrips(
  { expect }: Subject,
  { roundTrip, probing }: Findings,
): readonly CheckResult[] {
  if (roundTrip === undefined || (roundTrip.by === 'ping' && roundTrip.received === 0)) {
    return (['loss', 'delay', 'jitter'] as const).map((check) =>
      result(
        check,
        'unknown',
        whyUnknown(check === 'loss' ? 'Loss' : check === 'delay' ? 'Delay' : 'Jitter', probing),
      ),
    );
  }
  const { sent, received, lossPercent, p50Ms, p99Ms, jitterMs } = roundTrip;
  const by = roundTrip.by === 'ping' ? ' pings' : '';
  const lost = `${sent - received} of ${sent}${by} lost (${lossPercent} %)`;
  const { maxLossPercent, maxRoundTripMs, maxJitterMs } = expect;
  const ask = 'tell the provider; first check cables, and on LTE the antenna';
  const loss =
    maxLossPercent !== undefined && lossPercent > maxLossPercent
      ? result('loss', 'fail', `${lost}; at most ${maxLossPercent} % are expected.`, ask)
      : received === 0
        ? result(
            'loss',
            'fail',
            `${lost}: UDP to the controller does not get through.`,
            "let UDP out: tunnels are UDP; where every box says so, the controller's firewall shuts its ports for probes",
          )
        : maxLossPercent === undefined && lossPercent > LOSS_WORTH_A_WARNING_PERCENT
          ? result('loss', 'warn', `${lost}.`, ask)
          : result('loss', 'pass', `${lost}.`);
  if (p50Ms === undefined || p99Ms === undefined) {
    return [
      loss,
      result('delay', 'unknown', 'Nothing came back to measure delay by.'),
      result('jitter', 'unknown', 'Nothing came back to measure jitter by.'),
    ];
  }
  const trip = `Round trip ${ms(p50Ms)} in the median, ${ms(p99Ms)} for all but one in a hundred`;
  return [
    loss,
    maxRoundTripMs !== undefined && p50Ms > maxRoundTripMs
      ? result(
          'delay',
          'fail',
          `${trip}; at most ${maxRoundTripMs} ms are expected.`,
          'see whether the line is busy, and test again; then tell the provider',
        )
      : result('delay', 'pass', `${trip}.`),
    jitterMs === undefined
      ? result('jitter', 'unknown', 'Too little came back to measure jitter by.')
      : maxJitterMs !== undefined && jitterMs > maxJitterMs
        ? result(
            'jitter',
            'fail',
            `Jitter ${ms(jitterMs)}; at most ${maxJitterMs} ms are expected.`,
            'see whether the line is busy, and test again; then tell the provider',
          )
        : result('jitter', 'pass', `Jitter ${ms(jitterMs)}.`),
  ];
}

export function judgeTransfer(
  check: 'download' | 'upload',
  expectedKbps: number | undefined,
  found: Findings,
): CheckResult {
  const transfer = found[check];
  const why = found.unmoved[check];
  const word = check === 'download' ? 'Download' : 'Upload';
  if (why?.kind === 'stalled') {
    return result(
      check,
      expectedKbps === undefined ? 'warn' : 'fail',
      `${word}: ${kibibytes(why.bytes)} did not get through in ${Math.round(why.withinMs / 1000)} s.`,
      'see whether the line is busy, and test again; then tell the provider',
    );
  }
  if (transfer === undefined) {
    return why === undefined
      ? result(check, 'unknown', whyUnknown(word, found.probing))
      : result(check, 'unknown', `${word} was not measured: ${unmoved(why)}.`, 'test again in a minute');
  }
  const { kbps, bytes, durationMs } = transfer;
  const sentence = `${word} ${rate(kbps)}, measured over ${kibibytes(bytes)}`;
  if (expectedKbps !== undefined && kbps < expectedKbps) {
    const trip = found.roundTrip?.p50Ms ?? (found.reach?.kind === 'proven' ? found.reach.connectMs : 0);
    if (durationMs <= quickestMs(bytes, expectedKbps, trip) + HANDLING_MS) {
      return result(
        check,
        'unknown',
        `${sentence}: too little to tell whether the line has the ${rate(expectedKbps)} expected${why === undefined ? '' : `; for more, ${unmoved(why)}`}.`,
        why === undefined ? 'test again with a larger --budget' : 'test again in a minute',
      );
    }
    return result(
      check,
      'fail',
      `${sentence}; at least ${rate(expectedKbps)} are expected.`,
      'see whether the line is busy, and test again; then tell the provider',
    );
  }
  return result(check, 'pass', `${sentence}.`);
}

const whyUnknown = (what: string, probing: Findings['probing']): string =>
  `${what} was not measured: ${probing.kind === 'no-far-end' ? probing.why : 'no answer came'}.`;
function unmoved(why: Exclude<Unmoved, { kind: 'stalled' }>): string {
  switch (why.kind) {
    case 'refused':
      return `${why.status === 503 ? 'the controller is busy with other tests' : `the controller answered ${why.status}`}${givenUp(why)}`;
    case 'cut':
      return 'the connection to the controller ended';
  }
}
/** It was not for want of trying. */
function givenUp({
  gaveUpFor,
  waitedMs = 0,
  retryAfterMs = 0,
}: Extract<Unmoved, { kind: 'refused' }>): string {
  const waited = waitedMs > 0 ? ` after ${seconds(waitedMs)} of waiting` : '';
  if (gaveUpFor === undefined) return waited;
  const why =
    gaveUpFor === 'time'
      ? `it asks for ${seconds(retryAfterMs)} more, for which the test has no time`
      : 'another try would take more bytes than the test may use';
  return `, and it was given up${waited}: ${why}`;
}
const seconds = (durationMs: number): string => `${Math.round(durationMs / 1000)} s`;
const kibibytes = (bytes: number): string => `${Math.round(bytes / 1024)} KiB`;
const rate = (kbps: number): string =>
  kbps < 1000 ? `${kbps} kbit/s` : `${Math.round(kbps / 100) / 10} Mbit/s`;
