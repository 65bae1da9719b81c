/**
 * Owns calling a key-holding process over HTTP: JSON out, an answer under a size and time cap, its error as ours.
 * Does not own which socket or TLS is used: the caller hands those in as request options.
 */
import { type Agent, request as httpRequest, type RequestOptions } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { z } from 'zod';
import { tryJson } from '../../model/decode.ts';
import { BranchboxError, isErrorCode } from '../../model/errors.ts';

export interface Call {
  readonly method: 'GET' | 'POST';
  readonly path: string;
  readonly body?: unknown;
}

export interface CallOptions {
  readonly tls: boolean;
  /** Where: socketPath, or host, port and TLS material. */
  readonly target: RequestOptions & { readonly ca?: string; readonly cert?: string; readonly key?: string };
  /** For messages: `signer`. */
  readonly peer: string;
  readonly timeoutMs?: number;
  /** Keeps connections for the next call; without one each call has its own. */
  readonly agent?: Agent;
  readonly maxAnswerBytes?: number;
}

const DEFAULT_TIMEOUT_MS = 10_000;
const DEFAULT_MAX_ANSWER_BYTES = 8 * 1024 * 1024;

const ErrorDocument = z.object({
  error: z.object({
    code: z.string(),
    message: z.string().max(4096),
    mend: z.string().max(4096).optional(),
    problems: z
      .array(z.object({ path: z.string(), message: z.string() }))
      .max(100)
      .default([]),
  }),
});

/** A kept connection ended before a byte of the answer. */
class StaleConnection extends Error {}

/** The answer's bytes, or a BranchboxError: the peer's own, or `controller/unreachable`. */
export async function call(options: CallOptions, what: Call): Promise<Buffer> {
  const { status, body } = await exchange(options, what).catch((thrown: unknown) => {
    // The peer closed a kept connection just as it was used: its restart, mostly. Once more, on a new one.
    if (!(thrown instanceof StaleConnection)) throw thrown;
    const { agent: _, ...fresh } = options;
    return exchange(fresh, what);
  });
  if (status === 200) return body;
  throw errorOf(options.peer, status, body);
}

export async function callJson<S extends z.ZodType>(
  options: CallOptions,
  what: Call,
  schema: S,
): Promise<z.output<S>> {
  const body = await call(options, what);
  const result = schema.safeParse(tryJson(body.toString('utf8')));
  if (result.success) return result.data;
  throw new BranchboxError('model/invalid', {
    message: `The answer of the ${options.peer} is not understood`,
  });
}

function exchange(options: CallOptions, what: Call): Promise<{ status: number; body: Buffer }> {
  const { tls, target, peer, timeoutMs = DEFAULT_TIMEOUT_MS } = options;
  const { maxAnswerBytes = DEFAULT_MAX_ANSWER_BYTES } = options;
  const payload = what.body === undefined ? undefined : Buffer.from(JSON.stringify(what.body));
  return new Promise((resolve, reject) => {
    const fail = (cause: unknown): void => {
      const why = cause instanceof Error ? cause.message : String(cause);
      reject(
        new BranchboxError('controller/unreachable', {
          message: `The ${peer} does not answer: ${why}`,
          cause,
        }),
      );
    };
    const headers =
      payload === undefined ? {} : { 'Content-Type': 'application/json', 'Content-Length': payload.length };
    const start = tls ? httpsRequest : httpRequest;
    let answered = false;
    const request = start(
      {
        ...target,
        agent: options.agent ?? false,
        method: what.method,
        path: what.path,
        headers,
        signal: AbortSignal.timeout(timeoutMs),
      },
      (response) => {
        answered = true;
        const chunks: Buffer[] = [];
        let sizeBytes = 0;
        response.on('data', (chunk: Buffer) => {
          sizeBytes += chunk.length;
          if (sizeBytes > maxAnswerBytes)
            request.destroy(new Error(`its answer is larger than ${maxAnswerBytes}`));
          else chunks.push(chunk);
        });
        response.on('end', () => resolve({ status: response.statusCode ?? 0, body: Buffer.concat(chunks) }));
        response.on('error', fail);
      },
    );
    request.on('error', (cause) => {
      if (request.reusedSocket && !answered) reject(new StaleConnection());
      else fail(cause);
    });
    request.end(payload);
  });
}

function errorOf(peer: string, status: number, body: Buffer): BranchboxError {
  const document = ErrorDocument.safeParse(tryJson(body.toString('utf8')));
  if (!document.success) {
    return new BranchboxError('controller/unreachable', {
      message: `The ${peer} answered with status ${status}`,
    });
  }
  const { code, message, mend, problems } = document.data.error;
  const details = { message: `The ${peer} refused: ${message}`, problems };
  return new BranchboxError(isErrorCode(code) ? code : 'controller/refused', {
    ...details,
    ...(mend === undefined ? {} : { mend }),
  });
}
