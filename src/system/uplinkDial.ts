/**
 * Owns management connections that leave by one named uplink: names are asked of that uplink's own DNS servers, and of
 * several uplinks and addresses the first that gets through is taken.
 * Does not own one connection to one address (uplinkTls.ts), which uplinks there are (leases), nor what is spoken.
 */
import { isIP } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { asBranchboxError, BranchboxError, type Problem } from '../model/errors.ts';
import type { HttpProxy } from '../model/medium.ts';
import { mostTelling } from '../model/obstacle.ts';
import type { Logger } from './ports.ts';
import { obstacleOf, unreachable } from './uplinkFailure.ts';
import { type AskForAddresses, askServers, type ResolvingUplink } from './uplinkResolver.ts';
import { connectTlsTo, type TlsTarget } from './uplinkTls.ts';

export type UplinkAddress = ResolvingUplink;

export interface UplinkTlsOptions extends TlsTarget {
  /** In order of preference; default: all that have an address. */
  readonly uplinks?: readonly UplinkAddress[];
  /** For look-up, TCP, TLS handshake and judging of one uplink together. Default 3000. */
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
}

export interface UplinkConnection {
  readonly socket: TLSSocket;
  readonly uplink: UplinkAddress;
}

export interface UplinkDialer {
  /** Addresses of a name as one uplink's DNS servers tell it; an address is its own answer. */
  resolve(host: string, uplink: UplinkAddress): Promise<readonly string[]>;
  /** The first uplink that gets through wins; each next one is tried when its forerunner fails or dawdles. */
  connectTls(options: UplinkTlsOptions): Promise<UplinkConnection>;
}

const DEFAULT_TIMEOUT_MS = 3000;
/** As RFC 8305 section 5 has it for two address families, wider since an LTE round trip alone can take 250 ms. */
const STAGGER_MS = 500;
/** Addresses tried of one name. A living one may be busy with the handshakes of a thousand boxes, so no more than needed. */
const ADDRESS_STAGGER_MS = 700;
/** The fourth begins at 2.1 s, which leaves it a third of an uplink's time by default. */
const MAX_ADDRESSES = 4;

export function createUplinkDialer(options: {
  readonly leases: () => readonly UplinkAddress[];
  /** Where one is named, every connection goes through it, and it asks for names itself. */
  readonly proxy?: () => HttpProxy | undefined;
  /** Default: the uplink's own DNS servers. */
  readonly askServers?: AskForAddresses;
  readonly log: Logger;
}): UplinkDialer {
  const askOf = options.askServers ?? askServers;
  const resolve: UplinkDialer['resolve'] = async (host, uplink) => {
    const family = isIP(uplink.address);
    const literal = isIP(host);
    if (literal !== 0) {
      if (literal === family) return [host];
      throw unreachable(`${host} is of another family than ${uplink.address} of ${uplink.ifname}`, undefined);
    }
    try {
      const found = await askOf(uplink, (resolver) =>
        family === 6 ? resolver.resolve6(host) : resolver.resolve4(host),
      );
      if (found === undefined) throw new Error(`${uplink.ifname} has no DNS server to ask`);
      return found.slice(0, MAX_ADDRESSES);
    } catch (cause) {
      throw unreachable(`${host} cannot be resolved over ${uplink.ifname}`, cause, 'name');
    }
  };

  const connectBy = async (
    uplink: UplinkAddress,
    dial: UplinkTlsOptions,
    signal: AbortSignal,
  ): Promise<UplinkConnection> => {
    const proxy = options.proxy?.();
    const addresses = await raceAbort(resolve(proxy?.host ?? dial.host, uplink), signal);
    const toAddress = async (address: string, until: AbortSignal): Promise<UplinkConnection> => ({
      socket: await connectTlsTo(address, uplink, dial, proxy, until),
      uplink,
    });
    try {
      // The one before goes on beside the next: on a slow link it is not dead because it took half a second.
      return await firstThrough(addresses, toAddress, {
        signal,
        staggerMs: ADDRESS_STAGGER_MS,
        limitMs: undefined,
      });
    } catch (thrown) {
      throw thrown instanceof AggregateError ? asBranchboxError(thrown.errors.at(-1)) : thrown;
    }
  };

  return {
    resolve,
    async connectTls(dial) {
      const uplinks = dial.uplinks ?? options.leases();
      if (uplinks.length === 0) {
        throw unreachable(`${dial.host} cannot be reached: no uplink has an address`, undefined, 'no-uplink');
      }
      try {
        return await firstThrough(uplinks, (uplink, signal) => connectBy(uplink, dial, signal), {
          signal: dial.signal,
          staggerMs: STAGGER_MS,
          limitMs: dial.timeoutMs ?? DEFAULT_TIMEOUT_MS,
        });
      } catch (thrown) {
        const errors = thrown instanceof AggregateError ? thrown.errors : [thrown];
        const problems: Problem[] = errors.map((error: unknown, index) => ({
          path: uplinks[index]?.ifname ?? '$',
          message: asBranchboxError(error).message,
        }));
        options.log.debug('no uplink gets through', { host: dial.host, port: dial.port, problems });
        throw new BranchboxError('controller/unreachable', {
          message: `${dial.host}:${dial.port} cannot be reached over any uplink`,
          problems,
          fields: { obstacle: mostTelling(errors.map(obstacleOf)) ?? 'connection' },
          cause: thrown,
        });
      }
    },
  };
}

/**
 * The first of several ways that gets through; each next one begins when its forerunner fails or dawdles. Throws an
 * AggregateError of all where none does, in their order.
 */
async function firstThrough<T>(
  ways: readonly T[],
  connect: (way: T, signal: AbortSignal) => Promise<UplinkConnection>,
  within: {
    readonly signal: AbortSignal | undefined;
    readonly staggerMs: number;
    /** For each, from its turn. undefined: the signal ends them all. */
    readonly limitMs: number | undefined;
  },
): Promise<UplinkConnection> {
  const won = new AbortController();
  const attempts: Promise<UplinkConnection>[] = [];
  const attempt = async (way: T, index: number): Promise<UplinkConnection> => {
    const ends = [won.signal];
    if (within.signal !== undefined) ends.push(within.signal);
    if (within.limitMs !== undefined)
      ends.push(AbortSignal.timeout(within.limitMs + index * within.staggerMs));
    const signal = AbortSignal.any(ends);
    await raceAbort(delayBefore(index * within.staggerMs, attempts[index - 1]), signal);
    const connection = await connect(way, signal);
    // Two may get through in one turn of the loop: the second is not wanted.
    if (won.signal.aborted) {
      connection.socket.destroy();
      throw unreachable('another way was faster', undefined);
    }
    won.abort();
    return connection;
  };
  // One after the other: each looks at its forerunner, which must be in the list by then.
  for (const [index, way] of ways.entries()) attempts.push(attempt(way, index));
  return Promise.any(attempts);
}

/** Until the forerunner failed, or its head start is over. */
async function delayBefore(headStartMs: number, forerunner: Promise<unknown> | undefined): Promise<void> {
  if (forerunner === undefined) return;
  const timer = Promise.withResolvers<void>();
  const handle = setTimeout(timer.resolve, headStartMs);
  await Promise.race([
    timer.promise,
    forerunner.then(
      () => timer.promise,
      () => undefined,
    ),
  ]);
  clearTimeout(handle);
}

function raceAbort<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const onAbort = (): void => reject(unreachable('no answer in time', signal.reason));
    if (signal.aborted) {
      onAbort();
      // Whoever lost the race fails alone.
      work.catch(() => undefined);
      return;
    }
    signal.addEventListener('abort', onAbort, { once: true });
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort));
  });
}
