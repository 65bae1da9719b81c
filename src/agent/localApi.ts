/**
 * Owns the agent's read-outs for this box, and the few things that may be asked of it: HTTP over a unix socket (one that
 * only root may open unless a mode is given), JSON out, and JSON in for what is asked. Does not own what they say or do.
 */
import { chmod, chown, mkdir, rm } from 'node:fs/promises';
import { createServer, type IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import { dirname } from 'node:path';
import { errorReadout } from '../model/errorReadout.ts';
import { asBranchboxError, BranchboxError } from '../model/errors.ts';
import type { Logger } from '../system/ports.ts';
import { readCapped } from '../system/readCapped.ts';

/** One read-out: from the query's words to a value that JSON can hold. */
export type ReadOut = (query: URLSearchParams, signal: AbortSignal) => Promise<unknown>;

/** What is asked: from the body to what is answered. */
export type Action = (body: unknown, signal: AbortSignal) => Promise<unknown>;

const READ_OUT_TIMEOUT_MS = 15_000;
const MAX_BODY_BYTES = 64 * 1024;
/** Whoever opens more than the page and some people at the box do is up to no good. */
const MAX_CONNECTIONS = 32;
const LIMITS = {
  maxHeaderSize: 8 * 1024,
  headersTimeout: 5_000,
  requestTimeout: 10_000,
  connectionsCheckingInterval: 2_000,
} as const;
/** Of a connection, beyond a read-out's time: otherwise an answer that nobody reads would be kept for ever. */
const SILENCE_MS = 20_000;
const BASE = 'http://agent';

export interface LocalApi {
  readonly socket: string;
  /** Default 0o600. Where it is wider, everybody may enter the socket's directory too. */
  readonly mode?: number;
  /** Whose the socket is beside root; default root's. */
  readonly group?: number;
  /** Default 32. */
  readonly maxConnections?: number;
  /** By path, for GET. */
  readonly readOuts: Readonly<Record<string, ReadOut>>;
  /** By path, for POST. */
  readonly actions: Readonly<Record<string, Action>>;
  readonly log: Logger;
}

/** Until the signal aborts; the socket goes with it. */
export async function serveLocalApi(parts: LocalApi, signal: AbortSignal): Promise<void> {
  const { socket, mode = 0o600, group, maxConnections = MAX_CONNECTIONS, readOuts, actions, log } = parts;
  const asked = new WeakSet<Socket>();
  const server = createServer(LIMITS, (request, response) => {
    // Sent behind one another on one connection, thousands would be answered at once.
    if (asked.has(request.socket)) {
      request.socket.destroy();
      return;
    }
    asked.add(request.socket);
    const limit = AbortSignal.any([signal, AbortSignal.timeout(READ_OUT_TIMEOUT_MS)]);
    answerTo(request, { readOuts, actions }, limit).then(
      ({ status, text }) => {
        response.writeHead(status, { 'content-type': 'application/json', connection: 'close' });
        response.end(text);
      },
      (error: unknown) => log.error('a read-out could not be answered', { error }),
    );
  });
  server.maxConnections = maxConnections;
  server.setTimeout(SILENCE_MS);
  server.on('error', (error) => log.error('the local API failed', { error }));
  await mkdir(dirname(socket), { recursive: true });
  if (mode !== 0o600) await chmod(dirname(socket), 0o755);
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
  // The group before its rights.
  if (group !== undefined) await chown(socket, 0, group);
  await chmod(socket, mode);
  const stop = (): void => {
    server.close();
    server.closeAllConnections();
  };
  if (signal.aborted) stop();
  else signal.addEventListener('abort', stop, { once: true });
}

interface Answer {
  readonly status: number;
  readonly text: string;
}

/** Whoever may open the socket writes what is read here, and an exception in a server's callback ends the process. */
async function answerTo(
  request: IncomingMessage,
  { readOuts, actions }: Pick<LocalApi, 'readOuts' | 'actions'>,
  limit: AbortSignal,
): Promise<Answer> {
  const refuse = (status: number, message: string): Answer =>
    say(status, errorReadout(new BranchboxError('cli/usage', { message })));
  const target = request.url ?? '';
  // `//` and `http://[` are requests that HTTP lets through and no URL.
  if (!target.startsWith('/') || !URL.canParse(target, BASE)) return refuse(400, 'this is no path');
  const { pathname, searchParams } = new URL(target, BASE);
  try {
    const readOut = request.method === 'GET' ? own(readOuts, pathname) : undefined;
    if (readOut !== undefined) return say(200, await readOut(searchParams, limit));
    const action = request.method === 'POST' ? own(actions, pathname) : undefined;
    if (action !== undefined) return say(200, await action(await readBody(request), limit));
  } catch (thrown) {
    return say(500, errorReadout(asBranchboxError(thrown)));
  }
  return refuse(404, `there is no ${pathname}`);
}

const own = <T>(table: Readonly<Record<string, T>>, path: string): T | undefined =>
  Object.hasOwn(table, path) ? table[path] : undefined;

const say = (status: number, value: unknown): Answer => ({ status, text: `${JSON.stringify(value)}\n` });

async function readBody(request: IncomingMessage): Promise<unknown> {
  const body = await readCapped(request, MAX_BODY_BYTES);
  if (body === undefined) {
    throw new BranchboxError('model/invalid', {
      message: `the request is larger than ${MAX_BODY_BYTES} bytes`,
    });
  }
  try {
    return JSON.parse(body.toString('utf8'));
  } catch (cause) {
    throw new BranchboxError('model/invalid', { message: 'the request is not JSON', cause });
  }
}
