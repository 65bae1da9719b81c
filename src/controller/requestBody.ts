/**
 * Owns reading a request's body under a cap, and throwing it away where the request is refused.
 * Does not own what either is answered.
 *
 * A socket that is closed while bytes stand in it unread is reset, and the reset overtakes the answer: a client that is
 * still sending sees a broken pipe and never why. So what is refused is read on for a while after the answer
 * (nginx: lingering_close), which costs time and no memory.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Readable } from 'node:stream';

export interface DrainCaps {
  readonly maxBytes: number;
  readonly timeoutMs: number;
}

/** Whoever sends more than this without looking for an answer loses it; nginx's lingering_time is 30 s too. */
export const LINGER: DrainCaps = { maxBytes: 64 * 1024 * 1024, timeoutMs: 30_000 };

/** undefined where it is larger than the cap. */
export async function readBody(request: IncomingMessage, maxBytes: number): Promise<Buffer | undefined> {
  if (announcedBytes(request.headers) > maxBytes) return undefined;
  const chunks: Buffer[] = [];
  let sizeBytes = 0;
  return new Promise((resolve, reject) => {
    const onData = (chunk: Buffer): void => {
      sizeBytes += chunk.length;
      if (sizeBytes <= maxBytes) return void chunks.push(chunk);
      request.off('data', onData);
      request.pause();
      return resolve(undefined);
    };
    request.on('data', onData);
    request.on('end', () => resolve(Buffer.concat(chunks)));
    request.on('error', reject);
    request.on('close', () => reject(new Error('the connection ended within a request')));
  });
}

/** Reads and forgets, until there is no more or a cap is reached. Never fails. */
export function drain(source: Readable, { maxBytes, timeoutMs }: DrainCaps): Promise<void> {
  return new Promise((resolve) => {
    if (source.readableEnded || source.destroyed) return resolve();
    let leftBytes = maxBytes;
    const end = (): void => {
      clearTimeout(timer);
      source.off('data', onData).pause();
      resolve();
    };
    const onData = (chunk: Buffer | string): void => {
      leftBytes -= chunk.length;
      if (leftBytes < 0) end();
    };
    const timer = setTimeout(end, timeoutMs);
    source.on('data', onData).once('end', end).once('close', end).once('error', end);
    source.resume();
    return undefined;
  });
}

/** 0 where the head says no length: there is no body, or it comes in chunks. */
export const announcedBytes = (headers: IncomingMessage['headers']): number =>
  Number(headers['content-length'] ?? 0);

/** RFC 9112 6: one of the two says that there is one. */
export const hasBody = (headers: IncomingMessage['headers']): boolean =>
  headers['transfer-encoding'] !== undefined || announcedBytes(headers) > 0;

/** Whether bytes of it may still come: what stands in the connection must not be taken for the next request. */
export const isUnread = (request: IncomingMessage): boolean =>
  hasBody(request.headers) && !request.complete && !request.readableEnded && !request.destroyed;

/** Ends an answer whose Content-Length was sent: at once, or when the request that it refuses was read on. */
export function endAnswer(
  request: IncomingMessage,
  response: ServerResponse,
  body: Uint8Array,
  caps: DrainCaps = LINGER,
): void {
  if (!isUnread(request)) return void response.end(body);
  response.flushHeaders();
  if (body.length > 0) response.write(body);
  return void drain(request, caps).then(() => response.end());
}
