/**
 * Owns handing out what a box fetches, whole or a range of it. Does not own who may have it (deviceApi.ts).
 */
import type { ReadStream } from 'node:fs';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { pipeline } from 'node:stream/promises';

export interface Served {
  readonly sizeBytes: number;
  readonly mediaType: string;
  readonly open: (range: ByteRange) => ReadStream;
}

interface ByteRange {
  readonly start: number;
  /** The last byte that belongs to it. */
  readonly end: number;
}

export async function serveBytes(
  { sizeBytes, mediaType, open }: Served,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const asked = rangeOf(request.headers.range, sizeBytes);
  const { start, end } = asked ?? { start: 0, end: sizeBytes - 1 };
  response.writeHead(asked === undefined ? 200 : 206, {
    'Content-Type': mediaType,
    'Content-Length': end - start + 1,
    'Accept-Ranges': 'bytes',
    ...(asked === undefined ? {} : { 'Content-Range': `bytes ${start}-${end}/${sizeBytes}` }),
  });
  if (request.method === 'HEAD') return void response.end();
  // A box that hangs up in the middle is no failure of ours: it comes back with a range.
  await pipeline(open({ start, end }), response).catch(() => response.destroy());
}

/**
 * `bytes=N-`, to go on after a cut, and `bytes=N-M`, by which a box that is held to a rate takes a piece at a time. RFC 9110
 * 14.2 lets a server ignore any other, and one that is the whole is no range.
 */
function rangeOf(header: string | undefined, sizeBytes: number): ByteRange | undefined {
  const [, from, to] = /^bytes=(\d{1,15})-(\d{0,15})$/.exec(header ?? '') ?? [];
  if (from === undefined) return undefined;
  const start = Number(from);
  const end = to === undefined || to === '' ? sizeBytes - 1 : Math.min(Number(to), sizeBytes - 1);
  return start > end || (start === 0 && end === sizeBytes - 1) ? undefined : { start, end };
}
