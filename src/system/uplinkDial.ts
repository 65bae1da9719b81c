/**
 * Owns management connections that leave by one named uplink: names are asked of that uplink's own DNS servers,
 * and sockets are bound to its address, so that the rule `from <address>` sends them out there and nowhere else.
 * Does not own which uplinks there are (leases), nor what is spoken over the connection.
 */
import type { Resolver } from 'node:dns/promises';
import { connect as connectTcp, isIP, type Socket } from 'node:net';
import { connect as startTls, type ConnectionOptions, type TLSSocket } from 'node:tls';
import { openTunnel } from './httpProxy.ts';
import { asBranchboxError, BranchboxError, type Problem } from '../model/errors.ts';
import type { HttpProxy } from '../model/medium.ts';
import { isObstacle, mostTelling, type Obstacle } from '../model/obstacle.ts';
import type { Logger } from './ports.ts';
import { obstacleOfTls, tlsReason } from './tlsReason.ts';
import { openResolver, type ResolvingUplink } from './uplinkResolver.ts';

export type UplinkAddress = ResolvingUplink;

export interface UplinkTlsOptions {
  readonly host: string;
  readonly port: number;
  /** In order of preference; default: all that have an address. */
  readonly uplinks?: readonly UplinkAddress[];
  /** Trust and credentials. The server's name is checked against `host` unless these say otherwise. */
  readonly tls: Omit<ConnectionOptions, 'host' | 'port' | 'socket' | 'path' | 'localAddress' | 'lookup'>;
  /**
   * Whether the other end is who it must be; rejects where not. Given, it decides alone, and the library's verdict is for it
   * to read (pki/tlsPeer). Nothing is sent before.
   */
  readonly judge?: PeerJudgement | undefined;
  /** For look-up, TCP, TLS handshake and judging of one uplink together. Default 3000. */
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
}

/** `host`: what its certificate must name. */
export type PeerJudgement = (socket: TLSSocket, host: string) => Promise<void>;

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
/** Of one name. Of its addresses one that is alive may be busy with the handshakes of a thousand boxes: no more than needed. */
const ADDRESS_STAGGER_MS = 700;
/** The fourth begins at 2.1 s, which leaves it a third of an uplink's time by default. */
const MAX_ADDRESSES = 4;

export function createUplinkDialer(options: {
  readonly leases: () => readonly UplinkAddress[];
  /** Where one is named, every connection goes through it, and it asks for names itself. */
  readonly proxy?: () => HttpProxy | undefined;
  /** Default: the uplink's own DNS servers. */
  readonly resolverOf?: (uplink: UplinkAddress) => Pick<Resolver, 'resolve4' | 'resolve6'> | undefined;
  readonly log: Logger;
}): UplinkDialer {
  const resolverOf = options.resolverOf ?? openResolver;
  const resolve: UplinkDialer['resolve'] = async (host, uplink) => {
    const family = isIP(uplink.address);
    const literal = isIP(host);
    if (literal !== 0) {
      if (literal === family) return [host];
      throw unreachable(`${host} is of another family than ${uplink.address} of ${uplink.ifname}`, undefined);
    }
    try {
      const resolver = resolverOf(uplink);
      if (resolver === undefined) throw new Error(`${uplink.ifname} has no DNS server to ask`);
      const found = family === 6 ? await resolver.resolve6(host) : await resolver.resolve4(host);
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
      socket: await connectOnce(address, uplink, dial, proxy, until),
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

/** One TCP connection and one handshake. Every way out but success destroys the socket. */
function connectOnce(
  address: string,
  uplink: UplinkAddress,
  dial: UplinkTlsOptions,
  proxy: HttpProxy | undefined,
  signal: AbortSignal,
): Promise<TLSSocket> {
  return new Promise((resolve, reject) => {
    const socket: Socket = connectTcp({
      host: address,
      port: proxy?.port ?? dial.port,
      localAddress: uplink.address,
    });
    socket.setNoDelay(true);
    let secure: TLSSocket | undefined;
    const where =
      proxy === undefined
        ? `${dial.host} (${address}:${dial.port}) over ${uplink.ifname}`
        : `${dial.host}:${dial.port} through the proxy ${proxy.host}:${proxy.port} over ${uplink.ifname}`;
    const fail = (what: string, cause: unknown, obstacle?: Obstacle): void => {
      signal.removeEventListener('abort', onAbort);
      secure?.destroy();
      socket.destroy();
      reject(unreachable(`${where} ${what}`, cause, obstacle));
    };
    const onAbort = (): void => fail('did not answer in time', signal.reason);
    if (signal.aborted) {
      onAbort();
      return;
    }
    signal.addEventListener('abort', onAbort, { once: true });
    socket.once('error', (cause) => fail('cannot be reached', cause));
    const startSecure = (): void => {
      try {
        secure = startTls({
          minVersion: 'TLSv1.2',
          ...(isIP(dial.host) === 0 ? { servername: dial.host } : {}),
          // What Node compares the certificate with where there is no server name.
          host: dial.host,
          ...dial.tls,
          ...(dial.judge !== undefined && { rejectUnauthorized: false }),
          socket,
        });
      } catch (cause) {
        // A key or certificate that is none.
        fail('was not asked: this box cannot show who it is', cause, 'own-key');
        return;
      }
      // Stays until success is known: an alert in the handshake comes as an error of this socket.
      secure.once('error', (cause) => fail('refused the handshake', cause, obstacleOfTls(cause)));
      const onClose = (): void => fail('hung up', undefined);
      const takeOver = (secured: TLSSocket): void => {
        // Given up while it was judged.
        if (secured.destroyed) return;
        signal.removeEventListener('abort', onAbort);
        secured.removeListener('close', onClose);
        secured.removeAllListeners('error');
        // Until the new owner listens, an error must not end the process; `close` tells it all the same.
        secured.on('error', () => {});
        resolve(secured);
      };
      secure.once('secureConnect', () => {
        if (secure === undefined) return;
        const secured = secure;
        if (dial.judge === undefined) takeOver(secured);
        else {
          secured.once('close', onClose);
          dial.judge(secured, dial.host).then(
            () => takeOver(secured),
            (why: unknown) => fail('is not who it must be', why, obstacleOfTls(why)),
          );
        }
      });
    };
    socket.once('connect', () => {
      if (proxy === undefined) startSecure();
      else
        openTunnel(socket, dial, proxy).then(startSecure, (why: unknown) => fail('was not let through', why));
    });
  });
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

/** What one uplink failed by, as it was thrown below. */
function obstacleOf(thrown: unknown): Obstacle {
  const { obstacle } = asBranchboxError(thrown).fields;
  return isObstacle(obstacle) ? obstacle : 'connection';
}

function unreachable(message: string, cause: unknown, obstacle: Obstacle = 'connection'): BranchboxError {
  const why = cause instanceof Error && cause.message !== '' ? `: ${tlsReason(cause)}` : '';
  return new BranchboxError('controller/unreachable', {
    message: message + why,
    cause,
    fields: { obstacle },
  });
}
