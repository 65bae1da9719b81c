/**
 * Owns what is measured by probes: the kind of NAT, round trips, the path MTU either way; by `ping` where the
 * controller grants none. Does not own sending a probe (prober.ts) nor the order of a whole test (measure.ts).
 */
import { canonicalAddress } from '../../model/prefixes.ts';
import { familyOf } from '../../model/underlay.ts';
import type { UplinkFigures } from '../../model/uplinkReport.ts';
import type { DeviceCredentials } from '../../system/deviceClient.ts';
import type { FarEnd } from './farEnd.ts';
import { type MtuSearch, nextMtu, noteMtu, startMtuSearch, summariseRoundTrips } from './figures.ts';
import type { Findings, Probing } from './findings.ts';
import { type KernelRead, PING_BYTES } from './kernelRead.ts';
import { leastProbePacket, openProber, type Prober } from './prober.ts';
import type { Spending } from './subject.ts';

export interface MeasureParts {
  readonly kernel: KernelRead;
  /** Monotonic, in fractions of a millisecond. */
  readonly nowMs: () => number;
  readonly sleep: (durationMs: number, signal: AbortSignal) => Promise<void>;
  readonly credentials: () => Promise<DeviceCredentials | undefined>;
}

/** What every step of one uplink's test goes by. */
export interface Course {
  readonly signal: AbortSignal;
  /** What is measured now, for who watches. */
  readonly onStep: (step: string) => void;
  /** What was found, at once: a test that ends early is judged by it. */
  readonly note: (more: Partial<Findings>) => void;
  /** Counts what it cost. */
  readonly use: (bytes: number) => void;
}

const PROBE_SPACING_MS = 20;
/** Twice what a round trip by a satellite takes, and three times that of this line where it is slower. */
const PROBE_TIMEOUT_MS = { least: 1_000, most: 5_000 };
/** Of one size, before it counts as too large. */
const MTU_TRIES = 3;
const MTU_TIMEOUT_MS = { least: 250, usual: 1_000 };
/** Of the search for the path MTU: where what is too large is dropped in silence, each size costs three time-outs. */
const MTU_SEARCH_MS = 25_000;
const USUAL_MTU = 1500;
/** Ethernet's jumbo frames and what the kernel lets a link have: no more is tried. */
const MAX_MTU = 9216;

/** Until a probe counts as lost: what is only slow is not. */
export const probeTimeoutMs = (connectMs: number): number =>
  Math.min(PROBE_TIMEOUT_MS.most, Math.max(PROBE_TIMEOUT_MS.least, 3 * connectMs));

/** Until a size counts as lost: long enough for this line, and as short as that allows, since many are. */
export const mtuTimeoutMs = (p99Ms: number): number =>
  Math.max(MTU_TIMEOUT_MS.least, 1.25 * p99Ms, Math.min(MTU_TIMEOUT_MS.usual, 3 * p99Ms));

export interface Probes {
  readonly farEnd: FarEnd;
  readonly address: string;
  readonly to: string;
  readonly ifname: string;
  /** How long TCP took to connect there: a round trip. */
  readonly connectMs: number;
  readonly spending: Spending;
}

/** NAT, round trips and path MTU, by probes; by `ping` where the controller grants none. */
export async function probe(
  parts: MeasureParts,
  { farEnd, address, to, ifname, connectMs, spending }: Probes,
  { signal, onStep, note, use }: Course,
): Promise<Pick<UplinkFigures, 'mtu' | 'roundTrip'>> {
  const { kernel, nowMs } = parts;
  const byPing = async (probing: Probing): Promise<Pick<UplinkFigures, 'roundTrip'>> => {
    note({ probing });
    onStep('delay');
    use(PING_BYTES);
    const roundTrip = summariseRoundTrips(await kernel.ping(to, address, signal), 'ping');
    note({ roundTrip });
    return { roundTrip };
  };
  let prober: Prober;
  try {
    prober = await openProber({ address, to, session: await farEnd.session(signal), nowMs });
  } catch (thrown) {
    signal.throwIfAborted();
    return byPing({ kind: 'no-far-end', why: `the controller grants no probes (${reasonOf(thrown)})` });
  }
  try {
    onStep('nat');
    const least = leastProbePacket(familyOf(address));
    const waitMs = probeTimeoutMs(connectMs);
    const nat = await findNat(prober, address, least, waitMs);
    note({ nat });
    onStep('delay');
    const roundTrip = await findRoundTrips(parts, prober, spending, waitMs, signal);
    note({ probing: { kind: 'measured' }, roundTrip });
    if (roundTrip.received === 0) return { roundTrip };
    onStep('mtu');
    const link = (await kernel.linkMtu(ifname)) ?? USUAL_MTU;
    const timeoutMs = mtuTimeoutMs(roundTrip.p99Ms ?? MTU_TIMEOUT_MS.least);
    const ends = prober.usedBytes() + spending.mtuBytes;
    const untilMs = nowMs() + MTU_SEARCH_MS;
    const passes = async (packetBytes: number, answerBytes: number): Promise<boolean> => {
      for (let i = 0; i < MTU_TRIES; i += 1) {
        // What ICMP taught the kernel to be too large it fragments itself; an answer would then prove nothing.
        const learned = await kernel.learnedMtu(to, address, signal);
        if (learned !== undefined && learned < packetBytes) return false;
        if ((await prober.ask({ packetBytes, answerBytes, timeoutMs })) !== undefined) return true;
        signal.throwIfAborted();
      }
      return false;
    };
    // All tries of a size, and an answer of its size to the last.
    const afford = (size: number): boolean =>
      prober.usedBytes() + (MTU_TRIES + 1) * size <= ends && nowMs() + MTU_TRIES * timeoutMs <= untilMs;
    const there = await search(Math.min(link, MAX_MTU), afford, (size) => passes(size, least));
    // Never more than what comes: a larger answer would make the far end a flood's source.
    const back = await search(there.good, afford, (size) => passes(size, size));
    const mtu = {
      link,
      ...(there.good === 0 ? {} : { toController: there.good }),
      ...(back.good === 0 ? {} : { fromController: back.good }),
      ...(there.isWhole && back.isWhole ? {} : { isLeast: true as const }),
    };
    note({ mtu });
    return { mtu, roundTrip };
  } finally {
    use(prober.usedBytes());
    prober.close();
  }
}

/** `good`: the largest that passes, 0 where not even the least did. Not whole where budget or time ended first. */
export async function search(
  max: number,
  afford: (size: number) => boolean,
  passes: (size: number) => Promise<boolean>,
): Promise<{ readonly good: number; readonly isWhole: boolean }> {
  let state: MtuSearch = startMtuSearch(max);
  let size = nextMtu(state);
  for (; size !== undefined && afford(size); size = nextMtu(state)) {
    state = noteMtu(state, size, await passes(size));
  }
  return { good: state.good, isWhole: size === undefined };
}

/** RFC 5780 4.3, as far as one address of the far end tells: the mapping towards two of its ports. */
async function findNat(
  prober: Prober,
  address: string,
  packetBytes: number,
  timeoutMs: number,
): Promise<Findings['nat']> {
  const towards = async (port: 0 | 1) => {
    for (let i = 0; i < MTU_TRIES; i += 1) {
      const answer = await prober.ask({ packetBytes, port, timeoutMs });
      if (answer !== undefined) return answer;
    }
    return undefined;
  };
  const [first, second] = [await towards(0), await towards(1)];
  if (first === undefined || second === undefined) return undefined;
  const alike = first.mappedAddress === second.mappedAddress && first.mappedPort === second.mappedPort;
  return {
    kind:
      first.mappedAddress === canonicalAddress(address)
        ? 'none'
        : alike
          ? 'same-mapping'
          : 'mapping-per-port',
    mappedAddress: first.mappedAddress,
    mappedPorts: [first.mappedPort, second.mappedPort],
  };
}

async function findRoundTrips(
  parts: MeasureParts,
  prober: Prober,
  { probes, probeBytes }: Spending,
  timeoutMs: number,
  signal: AbortSignal,
) {
  const asked: Promise<number | undefined>[] = [];
  for (let i = 0; i < probes; i += 1) {
    const probe = { packetBytes: probeBytes, answerBytes: probeBytes, timeoutMs };
    asked.push(prober.ask(probe).then((answer) => answer?.roundTripMs));
    await parts.sleep(PROBE_SPACING_MS, signal);
  }
  return summariseRoundTrips(await Promise.all(asked), 'probe');
}

export const reasonOf = (thrown: unknown): string =>
  (thrown instanceof Error ? thrown.message : String(thrown)).slice(0, 200);
