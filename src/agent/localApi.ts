/**
 * Owns the agent's read-outs for this box: HTTP over a unix socket that only root may open, JSON out, nothing in.
 * Does not own what they say.
 */
import { chmod, mkdir, rm } from 'node:fs/promises';
import { createServer, type ServerResponse } from 'node:http';
import { dirname } from 'node:path';
import { asBranchboxError } from '../model/errors.ts';
import type { Logger } from '../system/ports.ts';

/** One read-out: from the query's words to a value that JSON can hold. */
export type ReadOut = (query: URLSearchParams, signal: AbortSignal) => Promise<unknown>;

const READ_OUT_TIMEOUT_MS = 15_000;

export async function serveLocalApi(
  parts: {
    readonly socket: string;
    readonly readOuts: Readonly<Record<string, ReadOut>>;
    readonly log: Logger;
  },
  signal: AbortSignal,
): Promise<void> {
  const { socket, readOuts, log } = parts;
  const server = createServer((request, response) => {
    const url = new URL(request.url ?? '/', 'http://agent');
    const readOut = Object.hasOwn(readOuts, url.pathname) ? readOuts[url.pathname] : undefined;
    if (request.method !== 'GET' || readOut === undefined) {
      answer(response, 404, { error: { code: 'cli/usage', message: `there is no ${url.pathname}` } });
      return;
    }
    const limit = AbortSignal.any([signal, AbortSignal.timeout(READ_OUT_TIMEOUT_MS)]);
    readOut(url.searchParams, limit).then(
      (value) => answer(response, 200, value),
      (thrown: unknown) => {
        const { code, message, problems } = asBranchboxError(thrown);
        answer(response, 500, { error: { code, message, problems } });
      },
    );
  });
  server.on('error', (error) => log.error('the local API failed', { error }));
  await mkdir(dirname(socket), { recursive: true });
  // A killed agent leaves it behind.
  await rm(socket, { force: true });
  const oldMask = process.umask(0o177);
  try {
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(socket, resolve);
    });
  } finally {
    process.umask(oldMask);
  }
  await chmod(socket, 0o600);
  signal.addEventListener('abort', () => {
    server.close();
    server.closeAllConnections();
  });
}

function answer(response: ServerResponse, status: number, value: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json' });
  response.end(`${JSON.stringify(value)}\n`);
}
