/**
 * Owns what the kernel and `ping` tell of an uplink: whether its gateway answers for its link address, which path MTU the kernel has
 * learned, how large the segments of a connection are. Parsing is pure; a program that fails or speaks otherwise tells
 * nothing. Does not own what follows.
 */
import { z } from 'zod';
import { tryDecode, tryJson } from '../../model/decode.ts';
import type { Family } from '../../model/underlay.ts';
import type { Files, Runner } from '../../system/ports.ts';

const PROGRAM_TIMEOUT_MS = 5_000;
const MAX_OUTPUT_BYTES = 64 * 1024;
const PING_COUNT = 10;
/** Of all pings and their answers, as IP packets. */
export const PING_BYTES = PING_COUNT * 2 * 84;
/**
 * The kernel goes on with an address it had for 5 s before it asks for it again, three times a second apart: however many
 * looks, a second each, that takes.
 */
const NEIGHBOUR_LOOKS = 10;
const NEIGHBOUR_LOOK_MS = 1_000;

export interface KernelRead {
  /** Asks the gateway for its link address. */
  neighbour(gateway: string, ifname: string, signal: AbortSignal): Promise<'answers' | 'silent'>;
  /** MTU of the interface; undefined where it cannot be read. */
  linkMtu(ifname: string): Promise<number | undefined>;
  /** What ICMP told the kernel of this path, if anything. */
  learnedMtu(to: string, from: string, signal: AbortSignal): Promise<number | undefined>;
  /** Of a TCP connection of ours: the IP packet that its largest received segment came in. */
  receivedPacket(localPort: number, family: Family, signal: AbortSignal): Promise<number | undefined>;
  /** Round trips in the order sent; undefined where no answer came. */
  ping(to: string, from: string, signal: AbortSignal): Promise<readonly (number | undefined)[]>;
}

export function createKernelRead(
  runner: Pick<Runner, 'run'>,
  files: Pick<Files, 'readText'>,
  sleep: (durationMs: number, signal: AbortSignal) => Promise<void>,
): KernelRead {
  const run = async (signal: AbortSignal, command: string, ...args: readonly string[]): Promise<string> => {
    const options = { signal, timeoutMs: PROGRAM_TIMEOUT_MS, maxOutputBytes: MAX_OUTPUT_BYTES };
    const result = await runner.run(command, args, options).catch(() => undefined);
    signal.throwIfAborted();
    return result?.stdout ?? '';
  };
  return {
    async neighbour(gateway, ifname, signal) {
      // Whether it answers pings is its own matter: what counts is that the kernel had to ask for its link address.
      for (let look = 1; ; look += 1) {
        const pinged = await run(signal, 'ping', '-n', '-c', '1', '-W', '1', '-I', ifname, gateway);
        if (parsePing(pinged, 1)[0] !== undefined) return 'answers';
        const text = await run(signal, 'ip', '-j', 'neigh', 'show', 'to', gateway, 'dev', ifname);
        const neighbour = parseNeighbour(text);
        if (neighbour !== 'doubted') return neighbour;
        if (look === NEIGHBOUR_LOOKS) return 'silent';
        await sleep(NEIGHBOUR_LOOK_MS, signal);
      }
    },
    async linkMtu(ifname) {
      const text = await files.readText(`/sys/class/net/${ifname}/mtu`, 16).catch(() => undefined);
      const mtu = Number(text?.trim());
      return Number.isInteger(mtu) && mtu > 0 ? mtu : undefined;
    },
    async learnedMtu(to, from, signal) {
      return parseRouteMtu(await run(signal, 'ip', '-j', 'route', 'get', to, 'from', from));
    },
    async receivedPacket(localPort, family, signal) {
      return parseReceivedPacket(await run(signal, 'ss', '-tinH', 'sport', '=', `:${localPort}`), family);
    },
    async ping(to, from, signal) {
      const count = String(PING_COUNT);
      return parsePing(
        await run(signal, 'ping', '-n', '-c', count, '-i', '0.2', '-W', '1', '-I', from, to),
        PING_COUNT,
      );
    },
  };
}

/**
 * `ip -j neigh` (RFC 4861 7.3.2): answers where it did in the last half minute; doubted where the kernel has an address
 * from earlier, and asks whether it still holds.
 */
export function parseNeighbour(text: string): 'answers' | 'doubted' | 'silent' {
  const Neighbours = z.array(
    z.object({ lladdr: z.string().optional(), state: z.array(z.string()).default([]) }),
  );
  const decoded = tryDecode(Neighbours, tryJson(text));
  if (!decoded.ok) return 'silent';
  const known = decoded.value.filter(
    ({ lladdr, state }) => lladdr !== undefined && !state.includes('FAILED'),
  );
  if (known.length === 0) return 'silent';
  const isDoubted = known.every(({ state }) => state.some((one) => /^(STALE|DELAY|PROBE)$/.test(one)));
  return isDoubted ? 'doubted' : 'answers';
}

/** `ip -j route get`: the MTU that the kernel keeps for this destination. */
export function parseRouteMtu(text: string): number | undefined {
  const Metrics = z.array(z.object({ mtu: z.int().positive().optional() }));
  const Routes = z.array(z.object({ metrics: Metrics.optional() }));
  const decoded = tryDecode(Routes, tryJson(text));
  if (!decoded.ok) return undefined;
  return decoded.value.flatMap(({ metrics = [] }) => metrics.flatMap(({ mtu }) => mtu ?? []))[0];
}

/** IP and TCP header; 12 more for timestamps (RFC 7323), which `ss` names `ts`. */
const TCP_OVERHEAD_BYTES: Readonly<Record<Family, number>> = { 4: 40, 6: 60 };
const TIMESTAMP_BYTES = 12;

/** `ss -tin` of one connection. */
export function parseReceivedPacket(text: string, family: Family): number | undefined {
  const segment = Number(/\brcvmss:(\d{1,5})\b/.exec(text)?.[1]);
  if (!Number.isInteger(segment)) return undefined;
  return segment + TCP_OVERHEAD_BYTES[family] + (/(^|\s)ts(\s|$)/.test(text) ? TIMESTAMP_BYTES : 0);
}

/** Lines such as `64 bytes from 192.0.2.1: icmp_seq=1 ttl=64 time=0.061 ms`; a second answer to one number counts once. */
export function parsePing(text: string, count: number): readonly (number | undefined)[] {
  const samples: (number | undefined)[] = Array.from({ length: count }, () => undefined);
  for (const match of text.matchAll(/icmp_seq=(\d{1,6})\b[^\n]*\btime=(\d{1,6}(?:\.\d{1,6})?) ms/g)) {
    const index = Number(match[1]) - 1;
    if (index >= 0 && index < count) samples[index] ??= Number(match[2]);
  }
  return samples;
}
