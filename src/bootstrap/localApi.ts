/**
 * Owns how the identity process answers over its unix sockets: HTTP, a route for each part that it is given, bodies under a cap.
 * Does not own which socket has which routes (sockets.ts), what the status says (renderStatus.ts), nor what becomes of a code
 * (activation.ts).
 */
import { chmod, mkdir } from 'node:fs/promises';
import { createServer, type IncomingMessage, type Server } from 'node:http';
import { dirname } from 'node:path';
import type { BootstrapStatus } from '../model/bootstrap.ts';
import { asBranchboxError } from '../model/errors.ts';
import { ActivationOffer } from '../model/installer.ts';
import type { MoveAnswer } from '../model/move.ts';
import { BROKER_TELLING_MAX_BYTES, type BrokerProblem, BrokerTelling } from '../model/obstacle.ts';
import type { Files, Logger } from '../system/ports.ts';
import { renderProblem } from './renderStatus.ts';
import { readCapped } from '../system/readCapped.ts';

const MAX_OFFER_BYTES = 1024;
/** Whoever opens more than the agent, the page and some people at the box do is up to no good. */
const MAX_CONNECTIONS = 32;
/** As Command of model/mqtt.ts caps it. */
const MAX_ORDER_BYTES = 48 * 1024;

export interface LocalApiOptions {
  readonly files: Files;
  readonly socketPath: string;
  readonly status: () => Promise<BootstrapStatus>;
  /** A code that was typed; false where it is not taken now. With it the socket is open to every process of the box. */
  readonly offer?: (offer: ActivationOffer) => boolean;
  /** The controller ended a session or turned it away: the box may no longer be trusted. Nothing is believed of it. */
  readonly doubt?: () => void;
  /** What keeps the agent from its broker; undefined: it is connected. */
  readonly broker?: (problem: BrokerProblem | undefined) => void;
  /** An order to move to another controller, as it came; resolves with what is said, rejects with why not. */
  readonly move?: (jws: string) => Promise<string>;
  /** A factory reset begins: resolves once that is told wherever it can be; false where there is no mark of one. */
  readonly wipe?: () => Promise<boolean>;
  readonly log: Logger;
  readonly signal: AbortSignal;
}

/** Until the signal aborts. A socket that an earlier process left is taken over. */
export async function serveLocalApi(options: LocalApiOptions): Promise<Server> {
  const { files, socketPath, log, signal } = options;
  const routes = routesOf(options);
  const server = createServer((request, response) => {
    const send = ({ status, body }: Answer): void => {
      response.writeHead(status, { 'content-type': 'application/json' });
      response.end(`${JSON.stringify(body)}\n`);
    };
    const route = routes.get(`${request.method ?? ''} ${request.url ?? ''}`);
    if (route === undefined)
      send({ status: 404, body: { error: `there is ${[...routes.keys()].join(', ')}` } });
    else void route(request).then(send);
  });
  server.maxConnections = MAX_CONNECTIONS;
  // accept(2) failed, for want of descriptors or memory: the next one need not.
  server.on('error', (error) => log.error('a socket of the identity process took no connection', { error }));
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

interface Answer {
  readonly status: number;
  readonly body: unknown;
}

/** Never rejects: a failure is an answer, and quotes nothing of what was sent. */
type Route = (request: IncomingMessage) => Promise<Answer>;

function routesOf(options: LocalApiOptions): ReadonlyMap<string, Route> {
  const { status, offer, doubt, broker, move, wipe } = options;
  const routes = new Map<string, Route>([
    ['GET /bootstrap', async () => status().then(ok, () => failed(500, 'the status cannot be read'))],
  ]);
  if (offer !== undefined) {
    routes.set('POST /activation', async (request) =>
      readText(request, MAX_OFFER_BYTES)
        .then((text) => takenOrNot(offer(ActivationOffer.parse(JSON.parse(text)))))
        .catch(() => failed(400, 'this is no code')),
    );
  }
  if (doubt !== undefined) {
    routes.set('POST /doubt', async (request) => {
      request.resume();
      doubt();
      return { status: 202, body: {} };
    });
  }
  if (broker !== undefined) {
    routes.set('POST /broker', async (request) =>
      readText(request, BROKER_TELLING_MAX_BYTES)
        .then((text) => broker(BrokerTelling.parse(JSON.parse(text)).problem))
        .then(
          () => ({ status: 202, body: {} }),
          () => failed(400, 'this tells nothing of a broker'),
        ),
    );
  }
  if (wipe !== undefined) {
    routes.set('POST /wipe', async (request) => {
      request.resume();
      return wipe().then(takenOrNot, () => failed(500, 'it cannot be told'));
    });
  }
  if (move !== undefined) {
    routes.set('POST /move', async (request) =>
      readText(request, MAX_ORDER_BYTES)
        .then(move)
        .then(
          (message) => ({ status: 202, body: { ok: true, message } satisfies MoveAnswer }),
          (thrown: unknown) => ({
            status: 409,
            body: { ok: false, message: renderProblem(asBranchboxError(thrown)) } satisfies MoveAnswer,
          }),
        ),
    );
  }
  return routes;
}

const ok = (body: unknown): Answer => ({ status: 200, body });
const failed = (status: number, error: string): Answer => ({ status, body: { error } });
const takenOrNot = (taken: boolean): Answer => ({ status: taken ? 200 : 409, body: { taken } });

async function readText(request: IncomingMessage, maxBytes: number): Promise<string> {
  const body = await readCapped(request, maxBytes);
  if (body === undefined) throw new Error('too large');
  return body.toString('utf8');
}
