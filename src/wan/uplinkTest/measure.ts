/**
 * Owns the order in which one uplink is measured, and its caps: each step needs those before it, none may spend more
 * than its share of the budget, and whatever fails is a finding. All sockets are on the uplink's own address.
 * Does not own the verdict (judge.ts) nor any single measurement.
 */
import { isIP } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { familyOf } from '../../model/underlay.ts';
import type { UplinkResult } from '../../model/uplinkReport.ts';
import { checkDns, dnsBytes } from './dnsCheck.ts';
import { createFarEnd, TRANSFER_TIMEOUT_MS } from './farEnd.ts';
import { summariseRoundTrips } from './figures.ts';
import { type DnsFindings, type Findings, NOTHING_FOUND, type Reached } from './findings.ts';
import { judgeUplink } from './judge.ts';
import { createKernelRead, PING_BYTES } from './kernelRead.ts';
import { type Course, type MeasureParts, probe, reasonOf } from './probing.ts';
import type { Clock, Files, Runner } from '../../system/ports.ts';
import type { DeviceCredentials } from '../../system/deviceClient.ts';
import { reachFarEnd, type FarEndReach } from './reach.ts';
import { HANDSHAKE_BYTES, ownAddress, spendBudget, type Subject } from './subject.ts';
import { findRate } from './transfers.ts';

/** Measures and judges one uplink; never fails but by the signal. */
export type UplinkTester = (
  subject: Subject,
  signal: AbortSignal,
  onStep: (step: string) => void,
) => Promise<UplinkResult>;

/** Of one uplink, whatever its far end does. */
const UPLINK_TIMEOUT_MS = 60_000;
/** For what is neither waiting for the controller nor a transfer. */
const LAST_MS = 2_000;
/** Of finding a far end, however many addresses it has: the last that is tried in it may take 25 s more. */
const REACH_TIMEOUT_MS = 20_000;
/** RFC 9293 3.1: options that a segment may carry; the size that the kernel reports leaves them out. */
const TCP_OPTIONS_BYTES = 40;

export function createUplinkTester(system: {
  readonly runner: Runner;
  readonly files: Pick<Files, 'readText'>;
  readonly clock: Pick<Clock, 'sleep'>;
  /** undefined before the box has an owner. */
  readonly credentials: () => Promise<DeviceCredentials | undefined>;
}): UplinkTester {
  const sleep: MeasureParts['sleep'] = (durationMs, signal) => system.clock.sleep(durationMs, signal);
  const parts: MeasureParts = {
    kernel: createKernelRead(system.runner, system.files, sleep),
    // The system's clock counts whole milliseconds.
    nowMs: () => performance.now(),
    sleep,
    credentials: system.credentials,
  };
  return (subject, signal, onStep) => testUplink(parts, subject, signal, onStep);
}

async function testUplink(
  parts: MeasureParts,
  subject: Subject,
  outer: AbortSignal,
  onStep: (step: string) => void,
): Promise<UplinkResult> {
  const signal = AbortSignal.any([outer, AbortSignal.timeout(UPLINK_TIMEOUT_MS)]);
  let found: Findings = NOTHING_FOUND;
  const note: Course['note'] = (more) => {
    found = { ...found, ...more };
  };
  const use: Course['use'] = (bytes) => note({ usedBytes: found.usedBytes + bytes });
  try {
    await measure(parts, subject, { signal, onStep, note, use });
  } catch (thrown) {
    outer.throwIfAborted();
    // Out of time, or a measurement that this kernel refuses: what was found until then is judged.
    const why = signal.aborted ? 'the test took too long' : reasonOf(thrown);
    found = { ...found, probing: { kind: 'no-far-end', why } };
    const [first] = subject.targets;
    // None that was tried until then was reached: that would be recorded.
    if (found.dns !== undefined && found.reach === undefined && first !== undefined) {
      found = { ...found, reach: { kind: 'silent', host: first.host, why } };
    }
  }
  return judgeUplink(subject, found);
}

async function measure(parts: MeasureParts, subject: Subject, course: Course): Promise<void> {
  const { kernel, nowMs } = parts;
  const { signal, onStep, note, use } = course;
  const address = ownAddress(subject);
  const { ifname } = subject;
  if (address === undefined || ifname === undefined || !subject.carrier) return;
  // Anything measured would be about the other line.
  if (subject.twin !== undefined) return;
  const endsAtMs = nowMs() + UPLINK_TIMEOUT_MS;
  onStep('gateway');
  if (subject.pppoe || subject.modem) note({ neighbour: 'answers' });
  else if (subject.gateway !== undefined) {
    note({ neighbour: await kernel.neighbour(subject.gateway, ifname, signal) });
  }
  onStep('dns');
  const hosts = (subject.proxy === undefined ? subject.targets : [subject.proxy]).map(({ host }) => host);
  const dns = await checkDns({ ifname, servers: subject.dns, address, hosts, signal });
  use(subject.dns.length * dnsBytes(dns.names.length));
  note({ dns });

  onStep('controller');
  const credentials = await parts.credentials();
  const reached = await reachFirst(parts, { subject, address, credentials, names: dns.names }, course);
  note({ reach: reached.reach });
  const { reach, socket } = reached;
  if (reach.kind !== 'proven' && reach.kind !== 'answers') return;
  if (socket === undefined) await measureByPing(kernel, reach, address, course);
  else {
    const from = { subject, address, ifname, credentials, names: dns.names };
    await measureByFarEnd(parts, from, { reach, socket, endsAtMs }, course);
  }
}

/** Before the box has an owner: whoever answers is not known to be the controller, and grants no probes. */
async function measureByPing(
  kernel: MeasureParts['kernel'],
  reach: Reached,
  address: string,
  { signal, onStep, note, use }: Course,
): Promise<void> {
  const why = 'no far end answers probes before the box has an owner';
  note({ probing: { kind: 'no-far-end', why } });
  if (reach.address === undefined) return;
  onStep('delay');
  use(PING_BYTES);
  note({ roundTrip: summariseRoundTrips(await kernel.ping(reach.address, address, signal), 'ping') });
}

/** Probes, then bytes in either direction, over the connection that proved the controller. */
async function measureByFarEnd(
  parts: MeasureParts,
  from: ReachFrom & { readonly ifname: string },
  proven: { readonly reach: Reached; readonly socket: TLSSocket; readonly endsAtMs: number },
  course: Course,
): Promise<void> {
  const { kernel, nowMs } = parts;
  const { signal, onStep, note } = course;
  const { subject, address, ifname } = from;
  const { reach, socket, endsAtMs } = proven;
  const spending = spendBudget(subject.budgetBytes);
  let farEnd = createFarEnd(socket, reach.host, nowMs);
  const renew = async (): Promise<void> => {
    farEnd.close();
    const same = { ...subject, targets: [{ host: reach.host, port: reach.port }] };
    const { socket: next } = await reachFirst(parts, { ...from, subject: same }, course);
    if (next !== undefined) farEnd = createFarEnd(next, reach.host, nowMs);
  };
  try {
    const { address: to, connectMs } = reach;
    const why = 'the controller is reached through a proxy, and probes do not go through one';
    if (to === undefined) note({ probing: { kind: 'no-far-end', why } });
    const { mtu, roundTrip } =
      to === undefined
        ? {}
        : await probe(parts, { farEnd, address, to, ifname, connectMs, spending }, course);
    onStep('download');
    // TCP's first is of one packet, and counts what the box did at its first connection.
    const roundTripMs = Math.min(connectMs, roundTrip?.p50Ms ?? connectMs);
    const { downloadBytes, uploadBytes } = spending;
    const rateBy = (name: 'download' | 'upload', budgetBytes: number, reservedMs: number) =>
      findRate(
        parts,
        {
          move: (bytes, until) => farEnd[name](bytes, until),
          name,
          renew,
          budgetBytes,
          roundTripMs,
          untilMs: endsAtMs - reservedMs - LAST_MS,
        },
        course,
      );
    // The other direction has its turn, too.
    const down = await rateBy('download', downloadBytes, 2 * TRANSFER_TIMEOUT_MS);
    note({ download: down.rate, unmoved: { download: down.unmoved } });
    if (down.rate !== undefined && farEnd.localPort !== undefined) {
      const packet = await kernel.receivedPacket(farEnd.localPort, familyOf(address), signal);
      const cut = mtuAsReceived(mtu, packet);
      if (cut !== undefined) note({ mtu: cut });
    }
    onStep('upload');
    const up = await rateBy('upload', uploadBytes, TRANSFER_TIMEOUT_MS);
    note({ upload: up.rate, unmoved: { download: down.unmoved, upload: up.unmoved } });
  } finally {
    farEnd.close();
  }
}

/**
 * Once ICMP taught the far end's kernel the path's MTU, it fragments its answers to probes, which then seem to fit; the
 * size of a TCP segment shows what it learned. undefined where probes found no more than that. Pure.
 */
function mtuAsReceived(mtu: Findings['mtu'], packet: number | undefined): Findings['mtu'] {
  const back = mtu?.fromController;
  if (mtu === undefined || back === undefined || packet === undefined) return undefined;
  return packet + TCP_OPTIONS_BYTES < back ? { ...mtu, fromController: packet } : undefined;
}

/** What it takes to find a far end. */
interface ReachFrom {
  readonly subject: Subject;
  readonly address: string;
  readonly credentials: DeviceCredentials | undefined;
  readonly names: DnsFindings['names'];
}

/** The first far end that answers; else what was found of the last. */
async function reachFirst(
  { nowMs }: MeasureParts,
  from: ReachFrom,
  { signal, use }: Course,
): Promise<FarEndReach> {
  const { subject, address, credentials, names } = from;
  const { proxy } = subject;
  const untilMs = nowMs() + REACH_TIMEOUT_MS;
  let last: FarEndReach = { reach: { kind: 'no-target' } };
  for (const [index, target] of subject.targets.entries()) {
    if (index > 0 && nowMs() >= untilMs) break;
    const { host } = proxy ?? target;
    const addresses = isIP(host) === 0 ? (names.find((one) => one.host === host)?.addresses ?? []) : [host];
    last = await reachFarEnd({ target, proxy, addresses, address, credentials, nowMs, untilMs, signal });
    use(HANDSHAKE_BYTES);
    if (last.reach.kind === 'proven' || last.reach.kind === 'answers') return last;
  }
  return last;
}
