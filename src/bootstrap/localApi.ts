/**
 * Owns what the identity process may be asked on the box over unix sockets: `GET /bootstrap`, `POST /doubt`,
 * `POST /broker` and `POST /move` by the agent, `POST /wipe` by a factory reset, for root alone; on a socket for the installer's page `GET /bootstrap` and `POST /activation`, for whoever serves that page.
 * Does not own what it says (renderStatus.ts) nor what becomes of a code (activation.ts).
 */
import { chmod, mkdir } from 'node:fs/promises';
import { createServer, type IncomingMessage, type Server } from 'node:http';
import { dirname } from 'node:path';
import type { BootstrapStatus } from '../model/bootstrap.ts';
import { asBranchboxError } from '../model/errors.ts';
import { ActivationOffer } from '../model/installer.ts';
import type { MoveAnswer } from '../model/move.ts';
import { BROKER_TELLING_MAX_BYTES, type BrokerProblem, BrokerTelling } from '../model/obstacle.ts';
import type { Files } from '../system/ports.ts';
import { renderProblem } from './renderStatus.ts';
import { readCapped } from '../system/readCapped.ts';

const MAX_OFFER_BYTES = 1024;
/** Whoever opens more than the agent, the page and some people at the box do is up to no good. */
const MAX_CONNECTIONS = 32;
/** As Command of model/mqtt.ts caps it. */
const MAX_ORDER_BYTES = 48 * 1024;

/** Until the signal aborts. A socket that an earlier process left is taken over. */
export async function serveLocalApi(options: {
  readonly files: Files;
  readonly socketPath: string;
  readonly status: () => Promise<BootstrapStatus>;
  /** A code that was typed; false where it is not taken now. With it the socket is open to every process of the box. */
  readonly offer?: (offer: ActivationOffer) => boolean;
  /** The controller ended a session or turned it away: the box may no longer be trusted. Nothing is believed of it. */
  readonly doubt?: () => void;
  /** What keeps the agent from its broker; without it it is connected. */
  readonly broker?: (problem: BrokerProblem | undefined) => void;
  /** An order to move to another controller, as it came; resolves with what is said, rejects with why not. */
  readonly move?: (jws: string) => Promise<string>;
  /** A factory reset begins: resolves once that is told wherever it can be; false where there is no mark of one. */
  readonly wipe?: () => Promise<boolean>;
  readonly signal: AbortSignal;
}): Promise<Server> {
  const { files, socketPath, signal } = options;
  const server = createServer((request, response) => {
    const answer = (status: number, body: unknown): void => {
      response.writeHead(status, { 'content-type': 'application/json' });
      response.end(`${JSON.stringify(body)}\n`);
    };
    if (options.offer !== undefined && request.method === 'POST' && request.url === '/activation') {
      takeOffer(request, options.offer).then(
        (taken) => answer(taken ? 200 : 409, { taken }),
        () => answer(400, { error: 'this is no code' }),
      );
      return;
    }
    if (options.doubt !== undefined && request.method === 'POST' && request.url === '/doubt') {
      request.resume();
      options.doubt();
      answer(202, {});
      return;
    }
    const { broker } = options;
    if (broker !== undefined && request.method === 'POST' && request.url === '/broker') {
      readText(request, BROKER_TELLING_MAX_BYTES)
        .then((text) => broker(BrokerTelling.parse(JSON.parse(text)).problem))
        .then(
          () => answer(202, {}),
          () => answer(400, { error: 'this tells nothing of a broker' }),
        );
      return;
    }
    if (options.wipe !== undefined && request.method === 'POST' && request.url === '/wipe') {
      request.resume();
      options.wipe().then(
        (taken) => answer(taken ? 200 : 409, { taken }),
        () => answer(500, { error: 'it cannot be told' }),
      );
      return;
    }
    if (options.move !== undefined && request.method === 'POST' && request.url === '/move') {
      readText(request, MAX_ORDER_BYTES)
        .then(options.move)
        .then(
          (message) => answer(202, { ok: true, message } satisfies MoveAnswer),
          (thrown: unknown) =>
            answer(409, { ok: false, message: renderProblem(asBranchboxError(thrown)) } satisfies MoveAnswer),
        );
      return;
    }
    if (request.method !== 'GET' || request.url !== '/bootstrap') {
      answer(404, { error: 'there is GET /bootstrap and nothing else' });
      return;
    }
    options.status().then(
      (status) => answer(200, status),
      () => answer(500, { error: 'the status cannot be read' }),
    );
  });
  server.maxConnections = MAX_CONNECTIONS;
  await mkdir(dirname(socketPath), { recursive: true });
  if (options.offer !== undefined) await chmod(dirname(socketPath), 0o755);
  await files.remove(socketPath);
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(socketPath, resolve);
  });
  await chmod(socketPath, options.offer === undefined ? 0o600 : 0o666);
  // With what hangs on it: a client that says nothing would keep a process that is to be started again.
  const stop = (): void => {
    server.close();
    server.closeAllConnections();
  };
  if (signal.aborted) stop();
  else signal.addEventListener('abort', stop, { once: true });
  return server;
}

/** Rejects on anything but an offer; what was sent is in no message. */
async function takeOffer(
  request: IncomingMessage,
  offer: (offer: ActivationOffer) => boolean,
): Promise<boolean> {
  return offer(ActivationOffer.parse(JSON.parse(await readText(request, MAX_OFFER_BYTES))));
}

async function readText(request: IncomingMessage, maxBytes: number): Promise<string> {
  const body = await readCapped(request, maxBytes);
  if (body === undefined) throw new Error('too large');
  return body.toString('utf8');
}
