/**
 * Owns what is asked of the controller over its device API in an uplink test, by the one connection that proved it:
 * a session for probes, and bytes in either direction within caps of size and time.
 * Does not own the connection's making (reach.ts) nor the probes (prober.ts).
 */
import { Agent, type ClientRequest, type IncomingMessage, request as httpRequest } from 'node:http';
import type { TLSSocket } from 'node:tls';
import { decodeJson } from '../../model/decode.ts';
import { downloadPath, ProbeSession, SESSION_PATH, UPLOAD_PATH } from '../../model/uplinkProbe.ts';
import type { Unmoved } from './findings.ts';

const ASK_TIMEOUT_MS = 5_000;
/** Of one transfer: a line that does not get 8 KiB through in it carries no tunnel. */
export const TRANSFER_TIMEOUT_MS = 8_000;
const MAX_ANSWER_BYTES = 4 * 1024;
const CHUNK_BYTES = 16 * 1024;

/**
 * `durationMs`: from the request to the end of its answer, and so a round trip more than the bytes took. Not from the
 * answer's head on: that shares its TLS record with the first 16 KiB, and is read when they are there.
 */
export type Moved = { readonly kind: 'moved'; readonly bytes: number; readonly durationMs: number } | Unmoved;

export interface FarEnd {
  /** Throws where the controller is older than this box, or busy; the message is for a person. */
  session(signal: AbortSignal): Promise<ProbeSession>;
  /** Where it did not end well, or not in time, the connection is over. */
  download(bytes: number, signal: AbortSignal): Promise<Moved>;
  upload(bytes: number, signal: AbortSignal): Promise<Moved>;
  readonly localPort: number | undefined;
  close(): void;
}

export function createFarEnd(
  socket: TLSSocket,
  host: string,
  nowMs: () => number,
  transferTimeoutMs: number = TRANSFER_TIMEOUT_MS,
): FarEnd {
  // One connection for all: a handshake each would cost more than the rest on a metered line.
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  let given = false;
  agent.createConnection = (_options, onConnected) => {
    if (!given) {
      given = true;
      return socket;
    }
    // Told, not thrown: where a request waits while the connection ends, the agent asks from within an event.
    onConnected?.(new Error('the connection to the controller is over'), socket);
    return undefined;
  };

  const ask = (method: 'GET' | 'POST', path: string, contentBytes: number, signal: AbortSignal) => {
    const request = httpRequest({
      agent,
      method,
      path,
      headers: { host, ...(method === 'POST' ? { 'content-length': contentBytes } : {}) },
      signal,
    });
    const response = new Promise<IncomingMessage>((resolve, reject) => {
      request.once('response', resolve);
      request.on('error', reject);
    });
    // Whoever awaits it gets the error; until then it must not count as unhandled.
    response.catch(() => undefined);
    return { request, response };
  };
  const within = (signal: AbortSignal, timeoutMs: number): AbortSignal =>
    AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]);
  /** A transfer that fails is a finding, not an error. */
  const timed = async (
    bytes: number,
    signal: AbortSignal,
    move: (limit: AbortSignal) => Promise<IncomingMessage>,
  ): Promise<Moved> => {
    const limit = within(signal, transferTimeoutMs);
    const startedAtMs = nowMs();
    try {
      const { statusCode = 0, headers } = await move(limit);
      if (statusCode !== 200) {
        const retryAfterMs = waitAsked(statusCode, headers['retry-after']);
        return { kind: 'refused', status: statusCode, ...(retryAfterMs !== undefined && { retryAfterMs }) };
      }
      return { kind: 'moved', bytes, durationMs: nowMs() - startedAtMs };
    } catch {
      signal.throwIfAborted();
      return limit.aborted ? { kind: 'stalled', bytes, withinMs: transferTimeoutMs } : { kind: 'cut' };
    }
  };

  return {
    localPort: socket.localPort,
    async session(signal) {
      const { request, response } = ask('POST', SESSION_PATH, 0, within(signal, ASK_TIMEOUT_MS));
      request.end();
      const answer = await response;
      const text = await readText(answer);
      if (answer.statusCode !== 200) throw new Error(`the controller answered ${answer.statusCode ?? 0}`);
      return decodeJson(ProbeSession, text, "the controller's answer", MAX_ANSWER_BYTES);
    },
    download: (bytes, signal) =>
      timed(bytes, signal, async (limit) => {
        const { request, response } = ask('GET', downloadPath(bytes), 0, limit);
        request.end();
        const answer = await response;
        const came = await countBytes(answer, bytes);
        if (answer.statusCode === 200 && came !== bytes) throw new Error('less came than was asked for');
        return answer;
      }),
    upload: (bytes, signal) =>
      timed(bytes, signal, async (limit) => {
        const { request, response } = ask('POST', UPLOAD_PATH, bytes, limit);
        pour(request, bytes);
        const answer = await response;
        await countBytes(answer, MAX_ANSWER_BYTES);
        return answer;
      }),
    close() {
      agent.destroy();
      socket.destroy();
    },
  };
}

/** Where the controller is busy (RFC 9110 10.2.3): it says seconds, and no date. */
function waitAsked(status: number, retryAfter: string | undefined): number | undefined {
  if ((status !== 503 && status !== 429) || retryAfter === undefined || !/^\d{1,5}$/.test(retryAfter))
    return undefined;
  // At once would be again and again.
  return Math.max(1, Number(retryAfter)) * 1000;
}

/** A far end that sends more than was asked for is cut off. */
async function countBytes(response: IncomingMessage, most: number): Promise<number> {
  let came = 0;
  for await (const chunk of response) {
    came += Buffer.from(chunk).length;
    if (came > most) throw new Error('more came than was asked for');
  }
  return came;
}

/**
 * Part by part, each when the kernel took the one before. Not by `drain`: Node 24 forgets it where the answer came
 * meanwhile, the request never ends then, and never gives its connection back.
 */
function pour(request: ClientRequest, bytes: number): void {
  const chunk = Buffer.alloc(CHUNK_BYTES, 0x55);
  const pump = (left: number): void => {
    if (left <= CHUNK_BYTES) request.end(chunk.subarray(0, left));
    else request.write(chunk, (error) => error ?? pump(left - CHUNK_BYTES));
  };
  pump(bytes);
}

async function readText(response: IncomingMessage): Promise<string> {
  let text = '';
  response.setEncoding('utf8');
  for await (const chunk of response) {
    text += String(chunk);
    if (text.length > MAX_ANSWER_BYTES) throw new Error('the answer is too large');
  }
  return text;
}
