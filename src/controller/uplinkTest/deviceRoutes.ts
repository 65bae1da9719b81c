/**
 * Owns what a box may ask of the device API in an uplink test: a session for probes, and bytes in either direction,
 * one transfer a gateway at a time, few in all, and no more in an hour than a test or two need.
 * Does not own who asks (deviceApi.ts, which proved the certificate) nor the probes (sessions.ts).
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { pipeline } from 'node:stream/promises';
import { SESSION_PATH, TRANSFER_MAX_BYTES, UPLOAD_PATH } from '../../model/uplinkProbe.ts';
import type { Answer } from '../exchange.ts';
import type { ProbeSessions } from './sessions.ts';

const CHUNK_BYTES = 64 * 1024;
/** Of all gateways: a fleet that tests at once must not starve those that fetch firmware. */
const TRANSFERS_AT_ONCE = 8;
const BYTES_AN_HOUR = 256 * 1024 * 1024;
const HOUR_MS = 3_600_000;
const RETRY_AFTER_S = 10;
/** Bytes from a box have the server's own limit. */
const TRANSFER_TIMEOUT_MS = 30_000;

export interface UplinkTestRoutes {
  /** undefined: the path is none of these. */
  handle(
    gatewayId: string,
    request: IncomingMessage,
    response: ServerResponse,
    line: { readonly method: string; readonly path: string },
  ): Promise<Answer | 'sent' | undefined>;
}

export function createUplinkTestRoutes(options: {
  /** undefined where there is no port for probes. */
  readonly sessions: Pick<ProbeSessions, 'grant'> | undefined;
  readonly monotonicMs: () => number;
  /** Of bytes to a box, which itself gives up after 8 s. */
  readonly transferTimeoutMs?: number;
}): UplinkTestRoutes {
  const { sessions, monotonicMs, transferTimeoutMs = TRANSFER_TIMEOUT_MS } = options;
  const moving = new Set<string>();
  let hour = { startedAtMs: monotonicMs(), bytes: new Map<string, number>() };
  const chunk = Buffer.alloc(CHUNK_BYTES, 0xaa);

  /** Runs where the gateway may move so much now. */
  const admit = async (
    gatewayId: string,
    bytes: number,
    move: () => Promise<Answer | 'sent'>,
  ): Promise<Answer | 'sent'> => {
    if (monotonicMs() - hour.startedAtMs >= HOUR_MS) hour = { startedAtMs: monotonicMs(), bytes: new Map() };
    const used = (hour.bytes.get(gatewayId) ?? 0) + bytes;
    if (bytes < 1 || bytes > TRANSFER_MAX_BYTES) return refusal(413, `1 to ${TRANSFER_MAX_BYTES} bytes`);
    if (moving.has(gatewayId) || moving.size >= TRANSFERS_AT_ONCE) return busy('other tests run');
    if (used > BYTES_AN_HOUR) return busy('this gateway tested enough for an hour');
    moving.add(gatewayId);
    hour.bytes.set(gatewayId, used);
    try {
      return await move();
    } finally {
      moving.delete(gatewayId);
    }
  };

  return {
    async handle(gatewayId, request, response, { method, path }) {
      if (path === SESSION_PATH && method === 'POST') {
        if (sessions === undefined) return refusal(404, 'this controller has no ports for probes');
        const session = sessions.grant(gatewayId);
        return session === undefined ? busy('other tests run') : json(200, session);
      }
      const wanted =
        method === 'GET' ? /^\/v1\/uplink-test\/download\/(\d{1,9})$/.exec(path)?.[1] : undefined;
      if (wanted !== undefined) {
        const bytes = Number(wanted);
        return admit(gatewayId, bytes, async () => {
          response.writeHead(200, {
            'Content-Type': 'application/octet-stream',
            'Content-Length': bytes,
            'Cache-Control': 'no-store',
          });
          await sendBytes(response, bytes, chunk, transferTimeoutMs);
          return 'sent';
        });
      }
      if (path === UPLOAD_PATH && method === 'POST') {
        const bytes = Number(request.headers['content-length'] ?? Number.NaN);
        if (!Number.isInteger(bytes)) return refusal(411, 'an upload says its Content-Length');
        return admit(gatewayId, bytes, async () => json(200, { receivedBytes: await dropBytes(request) }));
      }
      return undefined;
    },
  };
}

/** No faster than it goes out; a box that hangs up, even before the first of it, or takes too long ends it. */
async function sendBytes(
  response: ServerResponse,
  bytes: number,
  chunk: Buffer,
  timeoutMs: number,
): Promise<void> {
  const parts = function* (): Generator<Buffer> {
    for (let left = bytes; left > 0; left -= chunk.length) {
      yield chunk.subarray(0, Math.min(chunk.length, left));
    }
  };
  await pipeline(parts, response, { signal: AbortSignal.timeout(timeoutMs) }).catch(() => response.destroy());
}

/** Node ends a body at its Content-Length; a box that hangs up in the middle is out of time, and no failure of ours. */
async function dropBytes(request: IncomingMessage): Promise<number> {
  let bytes = 0;
  try {
    for await (const chunk of request) bytes += Buffer.from(chunk).length;
  } catch {
    // Nobody is left to be answered.
  }
  return bytes;
}

const json = (status: number, body: unknown): Answer => ({
  status,
  mediaType: 'application/json',
  body: JSON.stringify(body),
});
const refusal = (status: number, message: string): Answer =>
  json(status, { code: 'controller/refused', message });
const busy = (message: string): Answer => ({
  ...refusal(503, message),
  headers: { 'Retry-After': String(RETRY_AFTER_S) },
});
