/**
 * Owns the order in which one uplink is measured, and its caps: each step needs those before it, none may spend more
 * than its share of the budget, and whatever fails is a finding. All sockets are on the uplink's own address.
 * Does not own the verdict (judge.ts) nor any single measurement.
 */
import { isIP } from 'node:net';
import { LEAST_PROBE_PACKET, openProber, type Prober } from './prober.ts';
import type { UplinkFigures, UplinkResult } from '../../model/uplinkReport.ts';
import { TRANSFER_MAX_BYTES } from '../../model/uplinkProbe.ts';
import { checkDns, DNS_BYTES } from './dnsCheck.ts';
import { createFarEnd, type FarEnd, type Moved } from './farEnd.ts';
import { type MtuSearch, nextMtu, noteMtu, rateOf, startMtuSearch, summariseRoundTrips } from './figures.ts';
import { type Findings, NOTHING_FOUND, type Probing } from './findings.ts';
import { judgeUplink } from './judge.ts';
import { createKernelRead, type KernelRead } from './kernelRead.ts';
import type { Clock, Files, Runner } from '../../system/ports.ts';
import { reachFarEnd, type Reached, type TestCredentials } from './reach.ts';
import { HANDSHAKE_BYTES, ownAddress, spendBudget, type Spending, type Subject } from './subject.ts';

interface MeasureParts {
  readonly kernel: KernelRead;
  /** Monotonic, in fractions of a millisecond. */
  readonly nowMs: () => number;
  readonly sleep: (durationMs: number, signal: AbortSignal) => Promise<void>;
  readonly credentials: () => Promise<TestCredentials | undefined>;
}

/** Measures and judges one uplink; never fails but by the signal. */
export type UplinkTester = (
  subject: Subject,
  signal: AbortSignal,
  onStep: (step: string) => void,
) => Promise<UplinkResult>;

/** Of one uplink, whatever its far end does. */
const UPLINK_TIMEOUT_MS = 60_000;
const PROBE_SPACING_MS = 20;
const PROBE_TIMEOUT_MS = 1_000;
/** Of one size, before it counts as too large. */
const MTU_TRIES = 3;
const MTU_TIMEOUT_MS = { least: 250, most: 1_000 };
const USUAL_MTU = 1500;
/** Ethernet's jumbo frames and what the kernel lets a link have: no more is tried. */
const MAX_MTU = 9216;
const FIRST_TRANSFER_BYTES = 16 * 1024;
/** A transfer that takes this long tells the rate well enough. */
const TELLING_MS = 1_000;

export function createUplinkTester(system: {
  readonly runner: Runner;
  readonly files: Pick<Files, 'readText'>;
  readonly clock: Pick<Clock, 'sleep'>;
  /** undefined before the box has an owner. */
  readonly credentials: () => Promise<TestCredentials | undefined>;
}): UplinkTester {
  const parts: MeasureParts = {
    kernel: createKernelRead(system.runner, system.files),
    // The system's clock counts whole milliseconds.
    nowMs: () => performance.now(),
    sleep: (durationMs, signal) => system.clock.sleep(durationMs, signal),
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
  try {
    await measure(parts, subject, signal, onStep, (more) => {
      found = { ...found, ...more };
    });
  } catch (thrown) {
    outer.throwIfAborted();
    // Out of time, or a measurement that this kernel refuses: what was found until then is judged.
    const why = signal.aborted ? 'the test took too long' : reasonOf(thrown);
    found = { ...found, probing: { kind: 'no-far-end', why } };
  }
  return judgeUplink(subject, found);
}

async function measure(
  parts: MeasureParts,
  subject: Subject,
  signal: AbortSignal,
  onStep: (step: string) => void,
  note: (more: Partial<Findings>) => void,
): Promise<void> {
  const { kernel, nowMs } = parts;
  const address = ownAddress(subject);
  const { ifname } = subject;
  if (address === undefined || ifname === undefined || !subject.carrier) return;
  let usedBytes = 0;
  const use = (bytes: number): void => {
    usedBytes += bytes;
    note({ usedBytes });
  };
  onStep('gateway');
  if (subject.gateway !== undefined) {
    note({ neighbour: await kernel.neighbour(subject.gateway, ifname, signal) });
  }
  onStep('dns');
  const named = subject.targets.find(({ host }) => isIP(host) === 0);
  const dns = await checkDns({ servers: subject.dns, address, host: named?.host, signal });
  use(subject.dns.length * DNS_BYTES);
  note({ dns });

  onStep('controller');
  const credentials = await parts.credentials();
  const reached = await reachFirst(parts, subject, address, credentials, dns.name, signal);
  use(HANDSHAKE_BYTES);
  note({ reach: reached.reach });
  const { reach, socket } = reached;
  if (reach.kind !== 'proven' && reach.kind !== 'answers') return;
  const spending = spendBudget(subject.budgetBytes);
  if (socket === undefined) {
    const why = 'no far end answers probes before the box has an owner';
    note({ probing: { kind: 'no-far-end', why } });
    onStep('delay');
    note({ roundTrip: summariseRoundTrips(await kernel.ping(reach.address, address, signal), 'ping') });
    return;
  }
  const farEnd = createFarEnd(socket, reach.host, nowMs);
  try {
    const probing = { farEnd, address, to: reach.address, ifname, spending };
    const mtu = await probe(parts, probing, signal, onStep, note, use);
    onStep('download');
    const down = await transfer(farEnd.download, spending.downloadBytes, signal, use);
    if (down !== undefined) note({ download: rateOf(down.bytes, down.durationMs) });
    // The far end's kernel cuts probes' answers itself once ICMP taught it the path; a segment shows what it learned.
    const packet =
      down === undefined || farEnd.localPort === undefined
        ? undefined
        : await kernel.receivedPacket(farEnd.localPort, signal);
    if (packet !== undefined && mtu?.fromController !== undefined && packet < mtu.fromController) {
      note({ mtu: { ...mtu, fromController: packet } });
    }
    onStep('upload');
    const up = await transfer(farEnd.upload, spending.uploadBytes, signal, use);
    // The answer's round trip is no part of it.
    if (up !== undefined) {
      note({ upload: rateOf(up.bytes, Math.max(up.durationMs - reach.connectMs, up.durationMs / 2)) });
    }
  } finally {
    farEnd.close();
  }
}

/** The first far end that answers; else what was found of the last. */
async function reachFirst(
  parts: MeasureParts,
  subject: Subject,
  address: string,
  credentials: TestCredentials | undefined,
  resolved: { readonly host: string; readonly addresses: readonly string[] } | undefined,
  signal: AbortSignal,
): Promise<Reached> {
  let last: Reached = { reach: { kind: 'no-target' } };
  for (const target of subject.targets) {
    const addresses =
      isIP(target.host) !== 0 ? [target.host] : target.host === resolved?.host ? resolved.addresses : [];
    last = await reachFarEnd({ target, addresses, address, credentials, nowMs: parts.nowMs, signal });
    if (last.reach.kind === 'proven' || last.reach.kind === 'answers') return last;
  }
  return last;
}

interface Probes {
  readonly farEnd: FarEnd;
  readonly address: string;
  readonly to: string;
  readonly ifname: string;
  readonly spending: Spending;
}

/** NAT, round trips and path MTU, by probes; by `ping` where the controller grants none. */
async function probe(
  parts: MeasureParts,
  { farEnd, address, to, ifname, spending }: Probes,
  signal: AbortSignal,
  onStep: (step: string) => void,
  note: (more: Partial<Findings>) => void,
  use: (bytes: number) => void,
): Promise<UplinkFigures['mtu']> {
  const { kernel, nowMs } = parts;
  const byPing = async (probing: Probing): Promise<undefined> => {
    note({ probing });
    onStep('delay');
    note({ roundTrip: summariseRoundTrips(await kernel.ping(to, address, signal), 'ping') });
  };
  if (isIP(to) !== 4) return byPing({ kind: 'no-far-end', why: 'probes go over IPv4 alone' });
  let prober: Prober;
  try {
    prober = await openProber({ address, to, session: await farEnd.session(signal), nowMs });
  } catch (thrown) {
    signal.throwIfAborted();
    return byPing({ kind: 'no-far-end', why: `the controller grants no probes (${reasonOf(thrown)})` });
  }
  try {
    onStep('nat');
    const nat = await findNat(prober, address);
    note({ nat });
    onStep('delay');
    const roundTrip = await findRoundTrips(parts, prober, spending, signal);
    note({ probing: { kind: 'measured' }, roundTrip });
    if (roundTrip.received === 0) return undefined;
    onStep('mtu');
    const link = (await kernel.linkMtu(ifname)) ?? USUAL_MTU;
    const timeoutMs = Math.min(
      MTU_TIMEOUT_MS.most,
      Math.max(MTU_TIMEOUT_MS.least, 3 * (roundTrip.p99Ms ?? MTU_TIMEOUT_MS.least)),
    );
    const ends = prober.usedBytes() + spending.mtuBytes;
    const passes = async (packetBytes: number, answerBytes: number): Promise<boolean> => {
      for (let i = 0; i < MTU_TRIES; i += 1) {
        // What ICMP taught the kernel, it cuts by itself; then an answer would prove nothing.
        const learned = await kernel.learnedMtu(to, address, signal);
        if (learned !== undefined && learned < packetBytes) return false;
        if ((await prober.ask({ packetBytes, answerBytes, timeoutMs })) !== undefined) return true;
        signal.throwIfAborted();
      }
      return false;
    };
    const afford = (): boolean => prober.usedBytes() + 2 * link < ends;
    const there = await search(Math.min(link, MAX_MTU), afford, (size) => passes(size, LEAST_PROBE_PACKET));
    // Never more than what comes: a larger answer would make the far end a flood's source.
    const back = there === undefined ? undefined : await search(there, afford, (size) => passes(size, size));
    const mtu = {
      link,
      ...(there === undefined ? {} : { toController: there }),
      ...(back === undefined ? {} : { fromController: back }),
    };
    note({ mtu });
    return mtu;
  } finally {
    use(prober.usedBytes());
    prober.close();
  }
}

/** The largest that passes, as far as the budget goes; undefined where not even the least did. */
async function search(
  max: number,
  afford: () => boolean,
  passes: (size: number) => Promise<boolean>,
): Promise<number | undefined> {
  let state: MtuSearch = startMtuSearch(max);
  for (let size = nextMtu(state); size !== undefined && afford(); size = nextMtu(state)) {
    state = noteMtu(state, size, await passes(size));
  }
  return state.good === 0 ? undefined : state.good;
}

/** RFC 5780 4.3, as far as one address of the far end tells: the mapping towards two of its ports. */
async function findNat(prober: Prober, address: string): Promise<Findings['nat']> {
  const towards = async (port: 0 | 1) => {
    for (let i = 0; i < MTU_TRIES; i += 1) {
      const answer = await prober.ask({ packetBytes: LEAST_PROBE_PACKET, port, timeoutMs: PROBE_TIMEOUT_MS });
      if (answer !== undefined) return answer;
    }
    return undefined;
  };
  const [first, second] = [await towards(0), await towards(1)];
  if (first === undefined || second === undefined) return undefined;
  const alike = first.mappedAddress === second.mappedAddress && first.mappedPort === second.mappedPort;
  return {
    kind: first.mappedAddress === address ? 'none' : alike ? 'same-mapping' : 'mapping-per-port',
    mappedAddress: first.mappedAddress,
    mappedPorts: [first.mappedPort, second.mappedPort],
  };
}

async function findRoundTrips(
  parts: MeasureParts,
  prober: Prober,
  { probes, probeBytes }: Spending,
  signal: AbortSignal,
) {
  const asked: Promise<number | undefined>[] = [];
  for (let i = 0; i < probes; i += 1) {
    const probe = { packetBytes: probeBytes, answerBytes: probeBytes, timeoutMs: PROBE_TIMEOUT_MS };
    asked.push(prober.ask(probe).then((answer) => answer?.roundTripMs));
    await parts.sleep(PROBE_SPACING_MS, signal);
  }
  return summariseRoundTrips(await Promise.all(asked), 'probe');
}

/**
 * Twice as much each time until one takes long enough or the budget is spent; the last that ended tells. A slow line
 * is told by the first, a quick one has left TCP's slow start behind.
 */
async function transfer(
  move: (bytes: number, signal: AbortSignal) => Promise<Moved | undefined>,
  budgetBytes: number,
  signal: AbortSignal,
  use: (bytes: number) => void,
): Promise<Moved | undefined> {
  let last: Moved | undefined;
  let left = budgetBytes;
  for (let bytes = FIRST_TRANSFER_BYTES; left >= bytes; ) {
    const moved = await move(bytes, signal);
    use(bytes);
    left -= bytes;
    if (moved === undefined) return last;
    last = moved;
    if (moved.durationMs >= TELLING_MS) return last;
    bytes = Math.min(bytes * 2, TRANSFER_MAX_BYTES);
    // What is left but half a step is given to the last.
    if (left < bytes) bytes = left >= FIRST_TRANSFER_BYTES && left > last.bytes ? left : bytes;
  }
  return last;
}

const reasonOf = (thrown: unknown): string =>
  (thrown instanceof Error ? thrown.message : String(thrown)).slice(0, 200);
