/**
 * Owns how the two key-holding processes (signer, manufacturer) answer HTTP: routes, JSON in under a size and
 * time cap, errors as JSON with code and message. Does not own sockets, TLS, nor what a route does.
 */
import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http';
import { asBranchboxError, BranchboxError, type ErrorCode } from '../../model/errors.ts';
import type { Logger } from '../../system/ports.ts';
import { endAnswer, readBody } from '../requestBody.ts';

export interface Reply {
  readonly mediaType: string;
  readonly body: string | Uint8Array;
}

export interface Route {
  /** `POST /vouchers`: method and exact path. */
  readonly name: string;
  readonly maxBodyBytes: number;
  readonly answer: (body: unknown, request: IncomingMessage) => Promise<Reply>;
}

/** These processes do arithmetic on a few KB; a peer that takes longer than this to send is stuck or hostile. */
export const SERVER_LIMITS = {
  headersTimeout: 10_000,
  requestTimeout: 30_000,
  keepAliveTimeout: 60_000,
  maxHeaderSize: 16 * 1024,
} as const;

export const json = (value: unknown): Reply => ({
  mediaType: 'application/json',
  body: JSON.stringify(value),
});

const STATUS: Partial<Record<ErrorCode, number>> = {
  'model/invalid': 400,
  'pki/malformed': 400,
  'pki/untrusted': 422,
  'pki/mismatch': 422,
  'pki/expired': 422,
  'controller/refused': 403,
  'controller/not-found': 404,
  'controller/conflict': 409,
};

export function createRouteListener(options: {
  readonly routes: readonly Route[];
  readonly log: Logger;
}): RequestListener {
  const { log } = options;
  const routes = new Map(options.routes.map((route) => [route.name, route]));
  return (request, response) => {
    const name = `${request.method ?? ''} ${(request.url ?? '').split('?')[0] ?? ''}`;
    void answer(routes.get(name), request).then(
      (reply) => send(request, response, 200, reply),
      (thrown: unknown) => {
        const error = asBranchboxError(thrown);
        const status = statusOf(error);
        if (status === 500) log.error('a request failed', { route: name, error });
        else log.warn('a request was refused', { route: name, error });
        send(request, response, status, json({ error: errorDocument(error, status) }));
      },
    );
  };
}

function errorDocument(error: BranchboxError, status: number): Record<string, unknown> {
  // A defect's own words may name paths and more; they are in the log.
  const message = status === 500 ? 'The request failed inside the service; its log says why' : error.message;
  return {
    code: error.code,
    message,
    ...(error.mend === undefined ? {} : { mend: error.mend }),
    problems: error.problems,
  };
}

async function answer(route: Route | undefined, request: IncomingMessage): Promise<Reply> {
  if (route === undefined) {
    throw new BranchboxError('controller/not-found', { message: 'There is no such endpoint here' });
  }
  const bytes = await readBody(request, route.maxBodyBytes);
  if (bytes === undefined) {
    throw new BranchboxError('model/invalid', {
      message: `A request body is larger than ${route.maxBodyBytes} bytes`,
      fields: { httpStatus: 413 },
    });
  }
  const text = bytes.toString('utf8');
  return route.answer(text === '' ? undefined : parseJson(text), request);
}

function statusOf({ code, fields }: BranchboxError): number {
  const { httpStatus } = fields;
  return typeof httpStatus === 'number' ? httpStatus : (STATUS[code] ?? 500);
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new BranchboxError('model/invalid', { message: 'A request body is not JSON', cause });
  }
}

function send(request: IncomingMessage, response: ServerResponse, status: number, reply: Reply): void {
  if (response.destroyed) return;
  const body = typeof reply.body === 'string' ? Buffer.from(reply.body) : reply.body;
  // Who is refused begins anew: what is left of the body is thrown away.
  const close = status === 200 ? {} : { Connection: 'close' };
  response.writeHead(status, {
    'Content-Type': reply.mediaType,
    'Content-Length': body.length,
    'Cache-Control': 'no-store',
    ...close,
  });
  endAnswer(request, response, body);
}
