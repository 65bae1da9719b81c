/**
 * Owns that a client which is refused in the middle of its body hears why: the whole answer is sent first, and ends only when the
 * rest of the body was read and thrown away, or a cap was reached (requestBody.ts). Does not own what is refused.
 */
import { Readable } from 'node:stream';
import type { Api } from './context.ts';
import { drain, isUnread, LINGER } from '../requestBody.ts';

/** To be called after all else that looks at an answer. */
export function lingerOverUnread(api: Api): void {
  api.addHook('onSend', async ({ raw }, reply, payload) => {
    if (!isUnread(raw) || (typeof payload !== 'string' && !Buffer.isBuffer(payload))) return payload;
    reply.header('Connection', 'close').header('Content-Length', Buffer.byteLength(payload));
    const parts = async function* (): AsyncGenerator<string | Buffer> {
      yield payload;
      await drain(raw, LINGER);
    };
    return Readable.from(parts());
  });
}
