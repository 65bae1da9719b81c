/**
 * Owns asking a node's processes over their unix sockets from the host. Of a node in namespaces the files are in sight
 * below /proc/PID/root, and a socket works from there, so a question costs no process; into a machine a stream leads.
 */
import { request } from 'node:http';
import type { Duplex } from 'node:stream';

const ANSWER_TIMEOUT_MS = 5_000;
const MAX_ANSWER_BYTES = 8 * 1024 * 1024;

/** The JSON of `GET path`; undefined where nobody answers or the answer is none. */
export function askSocket(
  where: { readonly socketPath: string } | { readonly stream: Duplex },
  path: string,
  timeoutMs = ANSWER_TIMEOUT_MS,
): Promise<unknown> {
  return new Promise((resolve) => {
    const to = 'stream' in where ? { createConnection: () => where.stream } : where;
    const asked = request({ ...to, path, timeout: timeoutMs }, (response) => {
      let text = '';
      response.setEncoding('utf8');
      response.on('data', (chunk: string) => {
        text += chunk;
        if (text.length > MAX_ANSWER_BYTES) asked.destroy();
      });
      response.on('error', () => resolve(undefined));
      response.on('end', () => resolve(response.statusCode === 200 ? parseJson(text) : undefined));
    });
    asked.on('timeout', () => asked.destroy());
    asked.on('error', () => resolve(undefined));
    asked.end();
  });
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
