/**
 * Owns the identity process's own page on the box: `GET /bootstrap` over a unix socket, for root alone.
 * Does not own what it says (machine.ts renderStatus).
 */
import { chmod, mkdir } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import { dirname } from 'node:path';
import type { BootstrapStatus } from '../model/bootstrap.ts';
import type { Files } from '../system/ports.ts';

/** Until the signal aborts. A socket that an earlier process left is taken over. */
export async function serveLocalApi(options: {
  readonly files: Files;
  readonly socketPath: string;
  readonly status: () => Promise<BootstrapStatus>;
  readonly signal: AbortSignal;
}): Promise<Server> {
  const { files, socketPath, signal } = options;
  const server = createServer((request, response) => {
    const answer = (status: number, body: unknown): void => {
      response.writeHead(status, { 'content-type': 'application/json' });
      response.end(`${JSON.stringify(body)}\n`);
    };
    if (request.method !== 'GET' || request.url !== '/bootstrap') {
      answer(404, { error: 'there is GET /bootstrap and nothing else' });
      return;
    }
    options.status().then(
      (status) => answer(200, status),
      () => answer(500, { error: 'the status cannot be read' }),
    );
  });
  await mkdir(dirname(socketPath), { recursive: true });
  await files.remove(socketPath);
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(socketPath, resolve);
  });
  await chmod(socketPath, 0o600);
  signal.addEventListener('abort', () => server.close(), { once: true });
  return server;
}
