/**
 * Owns the way to the far end by one uplink: TCP and TLS from the uplink's address, timed; who answers in its place
 * where it is not the one; and whether that is a captive portal. What others say is shown to a person in a few
 * printable characters, and believed by nothing.
 * Does not own what is then spoken over the connection (farEnd.ts).
 */
import { request as httpRequest } from 'node:http';
import { connect as connectTcp, isIP, type Socket } from 'node:net';
import { connect as startTls, type TLSSocket } from 'node:tls';
import { type DeviceCredentials, deviceTls } from '../../system/deviceClient.ts';
import { openTunnel } from '../../system/httpProxy.ts';
import { bracketed } from '../../model/addresses.ts';
import { asciiOf } from '../../model/foreignText.ts';
import type { HttpProxy } from '../../model/medium.ts';
import type { Reach } from './findings.ts';
import type { Target } from './subject.ts';

export interface FarEndReach {
  readonly reach: Reach;
  /** Open where the far end proved to be the controller; the caller ends it. */
  readonly socket?: TLSSocket;
}

export interface ReachOptions {
  readonly target: Target;
  readonly proxy: HttpProxy | undefined;
  /** Of the proxy where there is one, else of the target: what the uplink's DNS says, or the address itself. */
  readonly addresses: readonly string[];
  /** Ours, without prefix length. */
  readonly address: string;
  /** What the box shows and believes; undefined before it has an owner. */
  readonly credentials: DeviceCredentials | undefined;
  readonly nowMs: () => number;
  /** By `nowMs`: no further address is tried from then on. */
  readonly untilMs: number;
  readonly signal: AbortSignal;
}

const STEP_TIMEOUT_MS = 5_000;
const OUT_OF_TIME = 'no answer in time';
/** A portal's page is not read: its head says enough. */
const MAX_HEADER_BYTES = 8 * 1024;

export async function reachFarEnd(options: ReachOptions): Promise<FarEndReach> {
  const { target, proxy, credentials, signal } = options;
  const { host } = target;
  if (options.addresses.length === 0) return { reach: { kind: 'no-name', host: proxy?.host ?? host } };
  let why = 'no answer';
  let stalled = false;
  /** At one address; at the next the controller may be all the same, and the box tries each. */
  let inTheWay: Reach | undefined;
  for (const [index, address] of options.addresses.entries()) {
    if (index > 0 && options.nowMs() >= options.untilMs) break;
    const tried = await connectOnce(options, address, credentials);
    signal.throwIfAborted();
    if ('socket' in tried) {
      const { socket, connectMs, handshakeMs } = tried;
      const known = proxy === undefined ? address : undefined;
      const reached = { host, port: target.port, address: known, connectMs, handshakeMs };
      if (credentials !== undefined) return { reach: { kind: 'proven', ...reached }, socket };
      socket.destroy();
      // Unauthenticated: a portal that intercepts TLS looks the same, and asks for a sign-in over HTTP.
      const portal = await lookForPortal(options, address);
      if (portal === undefined) return { reach: { kind: 'answers', ...reached } };
      inTheWay ??= portal;
      continue;
    }
    why = tried.why;
    stalled = tried.stage === 'tls' && tried.why.endsWith(OUT_OF_TIME);
    inTheWay ??= await lookForPortal(options, address);
    if (tried.stage === 'tls' && inTheWay === undefined) {
      const certificate = await whoAnswers(options, address);
      if (certificate !== undefined) inTheWay = { kind: 'impostor', host, certificate, why };
    }
  }
  if (inTheWay !== undefined) return { reach: inTheWay };
  return { reach: stalled ? { kind: 'stalled', host } : { kind: 'silent', host, why } };
}

type Tried =
  | { readonly socket: TLSSocket; readonly connectMs: number; readonly handshakeMs: number }
  | { readonly stage: 'tcp' | 'tls'; readonly why: string };

/** Without credentials whoever completes a handshake will do. */
async function connectOnce(
  { target, proxy, address, nowMs, signal }: ReachOptions,
  to: string,
  credentials: DeviceCredentials | undefined,
): Promise<Tried> {
  // Before the clock runs: a TPM takes its time to load a key.
  const tls = credentials === undefined ? undefined : deviceTls(credentials);
  const startedAtMs = nowMs();
  let tcp: Socket | undefined;
  try {
    tcp = connectTcp({ host: to, port: proxy?.port ?? target.port, localAddress: address });
    tcp.setNoDelay(true);
    await settled(tcp, 'connect', signal);
    if (proxy !== undefined) await passProxy(tcp, target, proxy, signal);
  } catch (thrown) {
    tcp?.destroy();
    const by = proxy === undefined ? '' : `by the proxy ${proxy.host}:${proxy.port}: `;
    return { stage: 'tcp', why: `${by}${reasonOf(thrown)}` };
  }
  const connectedAtMs = nowMs();
  const secure = startTls({
    socket: tcp,
    host: target.host,
    ...(isIP(target.host) === 0 ? { servername: target.host } : {}),
    ...(tls === undefined ? {} : { ...tls, minVersion: 'TLSv1.3' }),
    ...((tls === undefined || credentials?.judge !== undefined) && { rejectUnauthorized: false }),
  });
  try {
    await settled(secure, 'secureConnect', signal);
    // If it ends meanwhile, whoever uses it sees that.
    secure.on('error', () => {});
    await credentials?.judge?.(secure, target.host);
  } catch (thrown) {
    secure.destroy();
    tcp.destroy();
    return { stage: 'tls', why: `TLS: ${reasonOf(thrown)}` };
  }
  return { socket: secure, connectMs: connectedAtMs - startedAtMs, handshakeMs: nowMs() - connectedAtMs };
}

async function passProxy(tcp: Socket, to: Target, proxy: HttpProxy, signal: AbortSignal): Promise<void> {
  const limit = AbortSignal.any([signal, AbortSignal.timeout(STEP_TIMEOUT_MS)]);
  const onAbort = (): void => void tcp.destroy();
  limit.addEventListener('abort', onAbort, { once: true });
  // Its end is what openTunnel hears of.
  tcp.on('error', () => {});
  try {
    await openTunnel(tcp, to, proxy);
  } catch (thrown) {
    throw limit.aborted ? new Error(OUT_OF_TIME) : thrown;
  } finally {
    limit.removeEventListener('abort', onAbort);
  }
}

/** The name in the certificate of whoever answers; nothing of ours is shown to them. */
async function whoAnswers(options: ReachOptions, to: string): Promise<string | undefined> {
  const tried = await connectOnce(options, to, undefined);
  if (!('socket' in tried)) return undefined;
  const { subject, issuer } = tried.socket.getPeerCertificate();
  tried.socket.destroy();
  const name = subject?.CN ?? issuer?.CN ?? 'no name';
  return printable(Array.isArray(name) ? name.join(' ') : name);
}

/**
 * Plain HTTP to the same host: a controller listens to none, so whoever answers with a page or elsewhere is a portal. A
 * proxy may have pages of its own.
 */
function lookForPortal(
  { target, proxy, address, signal }: ReachOptions,
  to: string,
): Promise<Reach | undefined> {
  if (proxy !== undefined) return Promise.resolve(undefined);
  return new Promise((resolve) => {
    const asked = httpRequest({
      host: to,
      port: 80,
      path: '/',
      localAddress: address,
      headers: { host: target.host, connection: 'close' },
      maxHeaderSize: MAX_HEADER_BYTES,
      agent: false,
      signal: AbortSignal.any([signal, AbortSignal.timeout(STEP_TIMEOUT_MS)]),
    });
    asked.on('error', () => resolve(undefined));
    asked.on('response', (response) => {
      const where = portalOf(response.statusCode ?? 0, response.headers, target.host);
      response.destroy();
      asked.destroy();
      resolve(where === undefined ? undefined : { kind: 'portal', host: target.host, where });
    });
    asked.end();
  });
}

/** What of an answer to plain HTTP is a captive portal's, in words; undefined where it is not. Pure. */
export function portalOf(
  status: number,
  headers: { readonly location?: string | undefined; readonly 'content-type'?: string | undefined },
  host: string,
): string | undefined {
  // RFC 6585 6.
  if (status === 511) return 'it asks for a sign-in (511)';
  if (status >= 300 && status < 400) {
    const { location } = headers;
    if (location === undefined || !URL.canParse(location, `http://${bracketed(host)}`)) return undefined;
    const url = new URL(location, `http://${bracketed(host)}`);
    if (url.hostname === bracketed(host)) return undefined;
    return `it sends the box to ${printable(url.host)}`;
  }
  if (status === 200 && /^text\/html\b/i.test(headers['content-type'] ?? '')) {
    return 'it shows a page of its own';
  }
  return undefined;
}

/** For a person. Pure. */
export const printable = (text: string): string => asciiOf(text, 64);

function settled(
  socket: Socket | TLSSocket,
  event: 'connect' | 'secureConnect',
  signal: AbortSignal,
): Promise<void> {
  return new Promise((resolve, reject) => {
    const limit = AbortSignal.any([signal, AbortSignal.timeout(STEP_TIMEOUT_MS)]);
    const end = (error?: unknown): void => {
      limit.removeEventListener('abort', onAbort);
      socket.removeListener('error', end);
      socket.removeListener(event, onDone);
      socket.removeListener('close', onClose);
      if (error === undefined) resolve();
      else {
        socket.on('error', () => {});
        reject(error instanceof Error ? error : new Error(String(error)));
      }
    };
    const onAbort = (): void => end(new Error(OUT_OF_TIME));
    const onDone = (): void => end();
    const onClose = (): void => end(new Error('the connection was closed'));
    socket.once('error', end);
    socket.once('close', onClose);
    socket.once(event, onDone);
    if (limit.aborted) onAbort();
    else limit.addEventListener('abort', onAbort, { once: true });
  });
}

const reasonOf = (thrown: unknown): string =>
  printable(thrown instanceof Error ? thrown.message : String(thrown));
