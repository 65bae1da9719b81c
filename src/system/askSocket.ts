/**
 * Owns one question to a process of a box over its unix socket: HTTP, the answer capped in time and size. Does not own
 * which sockets there are, nor what an answer means.
 */
import { request } from 'node:http';
import type { Duplex } from 'node:stream';

export interface Question {
  readonly path: string;
  /** With one it is a POST. */
  readonly body?: string | undefined;
  /** Of silence. */
  readonly timeoutMs: number;
  readonly maxAnswerBytes: number;
}

export interface SocketAnswer {
  readonly status: number;
  readonly text: string;
}

/** Of a socket, or over a stream that leads to one. Rejects with the cause where no answer comes within the caps. */
export function askSocket(
  where: { readonly socketPath: string } | { readonly stream: Duplex },
  { path, body, timeoutMs, maxAnswerBytes }: Question,
): Promise<SocketAnswer> {
  return new Promise((resolve, reject) => {
    const to = 'stream' in where ? { createConnection: () => where.stream } : where;
    const method = body === undefined ? 'GET' : 'POST';
    const asked = request({ ...to, path, method, timeout: timeoutMs }, (response) => {
      let text = '';
      response.setEncoding('utf8');
      response.on('data', (chunk: string) => {
        text += chunk;
        if (text.length <= maxAnswerBytes) return;
        // First, since the stream may have ended already.
        reject(new Error('the answer is too large'));
        asked.destroy();
      });
      response.on('error', reject);
      response.on('end', () => resolve({ status: response.statusCode ?? 0, text }));
    });
    asked.on('timeout', () => asked.destroy(new Error('no answer in time')));
    asked.on('error', reject);
    asked.end(body);
  });
}
