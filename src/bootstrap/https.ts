/**
 * Owns one HTTPS exchange: connect over an uplink, judge the peer where a judge is given, send, read with caps.
 * Does not own whom to trust (peer.ts), nor how names and sockets are tied to an uplink (system/uplinkDial, system/uplinkTls).
 */
import { request as httpRequest } from 'node:http';
import type { TLSSocket } from 'node:tls';
import { BranchboxError } from '../model/errors.ts';
import { asciiOf } from '../model/foreignText.ts';
import type { Secret } from '../model/secret.ts';
import { tlsReason } from '../system/tlsReason.ts';
import { type Server, serverName } from './discover.ts';
import { parseRetryAfter, RETRY_AFTER_MS } from './retry.ts';
import type { Uplink } from './uplink.ts';

/** What we show as client: PEM key, and PEM certificate followed by its chain. */
export interface TlsIdentity {
  readonly key: Secret;
  readonly certificatePem: string;
}

export interface ConnectOptions {
  readonly server: Server;
  readonly uplink: Uplink;
  readonly identity: TlsIdentity;
  /** What the TLS library may chain to, PEM; the judge decides. */
  readonly anchorsPem: string | undefined;
  readonly signal: AbortSignal;
}

/** A handshake that ended, however the peer's certificate looked: that is for the judge. */
export type Connect = (options: ConnectOptions) => Promise<TLSSocket>;

/** Decides whether a peer is who it must be; throws where not. Nothing is sent before. */
export interface PeerJudge {
  readonly anchorsPem: string;
  judge(socket: TLSSocket, server: Server): Promise<void>;
}

export interface Body {
  readonly contentType: string;
  /** No field of HTTP; servers made for RFC 7030 ask for it. */
  readonly transferEncoding?: 'base64';
  readonly text: string;
}

export interface Exchange {
  readonly server: Server;
  readonly uplink: Uplink;
  readonly identity: TlsIdentity;
  /** undefined: the session counts as unauthenticated altogether, and only signed content of it is believed. */
  readonly peer: PeerJudge | undefined;
  readonly method: 'GET' | 'POST';
  readonly path: string;
  readonly accept: string;
  /** A function is called with the session, once the peer was judged. */
  readonly body?: Body | ((socket: TLSSocket) => Promise<Body>);
  /** `user:password` of HTTP Basic (RFC 7617), sent once the peer was judged. */
  readonly basic?: Secret | undefined;
  readonly maxBytes: number;
}

export interface Answer {
  readonly status: number;
  /** Lower case, without parameters. */
  readonly contentType: string;
  readonly body: Uint8Array;
  readonly retryAfterMs: number | undefined;
  /** Where it sends to, as it says. */
  readonly location?: string | undefined;
  /** The server says that credentials of HTTP Basic would help (RFC 9110 11.6.1: whatever the status). */
  readonly asksForBasic: boolean;
}

export type Https = (exchange: Exchange, signal: AbortSignal) => Promise<Answer>;

/** Handshake, question and answer together; an LTE uplink needs some seconds. */
const EXCHANGE_TIMEOUT_MS = 30_000;
const MAX_HEADER_BYTES = 16 * 1024;
const MAX_SAID = 200;

export function createHttps(options: {
  readonly connect: Connect;
  readonly nowMs: () => number;
  readonly timeoutMs?: number;
}): Https {
  return async (exchange, outer) => {
    const signal = AbortSignal.any([outer, AbortSignal.timeout(options.timeoutMs ?? EXCHANGE_TIMEOUT_MS)]);
    let socket: TLSSocket | undefined;
    let ended: Error | undefined;
    try {
      socket = await options.connect({
        server: exchange.server,
        uplink: exchange.uplink,
        identity: exchange.identity,
        anchorsPem: exchange.peer?.anchorsPem,
        signal,
      });
      // In TLS 1.3 the server judges our certificate after the handshake has ended here, while we judge its own.
      socket.on('error', (error: Error) => {
        ended ??= error;
      });
      await exchange.peer?.judge(socket, exchange.server);
      const { body } = exchange;
      const sent = typeof body === 'function' ? await body(socket) : body;
      return await ask(socket, exchange, sent, signal, options.nowMs(), () => ended);
    } catch (thrown) {
      outer.throwIfAborted();
      if (thrown instanceof BranchboxError) throw thrown;
      throw new BranchboxError('bootstrap/unreachable', {
        message: `${serverName(exchange.server)} over ${exchange.uplink.ifname}: ${signal.aborted ? 'no answer in time' : reasonOf(thrown)}`,
        cause: thrown,
      });
    } finally {
      socket?.destroy();
    }
  };
}

/** `ended`: why the session is over, where it ended by an error. */
function ask(
  socket: TLSSocket,
  exchange: Exchange,
  body: Body | undefined,
  signal: AbortSignal,
  nowMs: number,
  ended: () => Error | undefined,
): Promise<Answer> {
  const { server, maxBytes } = exchange;
  return new Promise((resolve, reject) => {
    // Node's client waits for ever on a socket that ended before it had it, whatever its own signal says.
    const gone = (): void => reject(ended() ?? new Error('hung up after the handshake'));
    if (socket.destroyed) {
      gone();
      return;
    }
    const giveUp = (): void => reject(signal.reason);
    signal.addEventListener('abort', giveUp, { once: true });
    // The signal lives on until its time is up. A listener would keep the session alive as long, and its key's slot in the TPM.
    socket.once('close', () => signal.removeEventListener('abort', giveUp));
    socket.once('close', gone);
    const request = httpRequest({
      createConnection: () => socket,
      method: exchange.method,
      path: exchange.path,
      maxHeaderSize: MAX_HEADER_BYTES,
      headers: {
        host: serverName(server),
        accept: exchange.accept,
        // Where nobody says so, a server may choose any coding (RFC 9110 12.5.3).
        'accept-encoding': 'identity',
        connection: 'close',
        ...(exchange.basic && {
          authorization: `Basic ${Buffer.from(exchange.basic.reveal()).toString('base64')}`,
        }),
        ...(body && { 'content-type': body.contentType, 'content-length': Buffer.byteLength(body.text) }),
        ...(body?.transferEncoding && { 'content-transfer-encoding': body.transferEncoding }),
      },
      signal,
    });
    request.on('error', reject);
    request.on('response', (response) => {
      // From here on the response itself tells where it ends too early.
      socket.off('close', gone);
      const chunks: Buffer[] = [];
      let sizeBytes = 0;
      response.on('error', reject);
      response.on('data', (chunk: Buffer) => {
        sizeBytes += chunk.length;
        chunks.push(chunk);
        if (sizeBytes > maxBytes) {
          reject(refused(exchange, `answered with more than ${maxBytes} bytes`));
          request.destroy();
        }
      });
      response.on('end', () =>
        resolve({
          status: response.statusCode ?? 0,
          contentType: (response.headers['content-type'] ?? '').split(';', 1)[0]?.trim().toLowerCase() ?? '',
          body: Buffer.concat(chunks),
          retryAfterMs: parseRetryAfter(
            response.headers['retry-after'],
            { date: response.headers.date, nowMs },
            exchange.peer === undefined ? RETRY_AFTER_MS.stranger : RETRY_AFTER_MS.max,
          ),
          location: response.headers.location,
          asksForBasic: isBasicAmong(response.headers['www-authenticate'] ?? ''),
        }),
      );
    });
    request.end(body?.text);
  });
}

/** Challenges of several schemes stand in one list (RFC 9110 11.6.1), with whatever words within quotes. */
const isBasicAmong = (challenges: string): boolean =>
  /(?:^|,)\s*basic(?:[\s,]|$)/i.test(challenges.replaceAll(/"(?:[^"\\]|\\.)*"/g, '""'));

/** The server answered, and not with what was asked for. `retryAfterMs` goes along for whoever waits. */
export function refused(
  exchange: Pick<Exchange, 'server' | 'uplink' | 'path'>,
  what: string,
  answer?: Pick<Answer, 'status' | 'retryAfterMs'>,
): BranchboxError {
  return new BranchboxError('bootstrap/refused', {
    message: `${serverName(exchange.server)} over ${exchange.uplink.ifname} ${what}`,
    fields: {
      path: exchange.path,
      ...(answer && { status: answer.status }),
      ...(answer?.retryAfterMs !== undefined && { retryAfterMs: answer.retryAfterMs }),
    },
  });
}

/** For a person: what a status other than success most likely means. `said`: the server's own words. */
export function describeStatus(status: number, said?: string): string {
  const text = `answered ${status}${meaningOf(status)}`;
  const words = asciiOf(said ?? '', MAX_SAID);
  return words === '' ? text : `${text} (${words})`;
}

function meaningOf(status: number): string {
  if (status === 429 || status === 503) return ': busy';
  // Its own certificate is all that a box is asked for: whoever did not see it is not who the box spoke TLS to.
  if (status === 401)
    return ": it did not see this box's certificate. Is TLS intercepted on the way (captive portal, inspecting firewall)?";
  return status === 403 ? ': it does not know or accept this box' : '';
}

function reasonOf(thrown: unknown): string {
  if (!(thrown instanceof Error)) return String(thrown);
  if ('code' in thrown && String(thrown.code).startsWith('HPE_')) {
    return `answered with what is no HTTP/1.1 (${thrown.message})${isFolded(thrown) ? FOLDED_SAYS : ''}`;
  }
  // Of OpenSSL's errors the code is their reason once more.
  return 'code' in thrown && typeof thrown.code === 'string' && !('reason' in thrown)
    ? `${thrown.code} ${thrown.message}`
    : tlsReason(thrown);
}

/**
 * Node's parser reads no folded line, unless it is told to take whatever else is wrong, too: two lengths in one answer, say.
 * RFC 9112 5.2 has nobody send one.
 */
const FOLDED_SAYS =
  ': a header line goes on in the next one (obs-fold), which no server may send (RFC 9112 5.2) and this box does not read';

/** `rawPacket`: what the parser was given last; in a body a line may begin with a space. */
function isFolded(thrown: Error): boolean {
  if (!('code' in thrown && 'rawPacket' in thrown && thrown.rawPacket instanceof Uint8Array)) return false;
  if (thrown.code !== 'HPE_INVALID_HEADER_TOKEN' && thrown.code !== 'HPE_UNEXPECTED_SPACE') return false;
  const [head] = Buffer.from(thrown.rawPacket).toString('latin1').split('\r\n\r\n', 1);
  return /\n[ \t]/.test(head ?? '');
}
