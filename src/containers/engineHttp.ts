/**
 * Owns HTTP to a container engine over its unix socket: time caps, size caps, and errors in the engine's words.
 * Does not know any call of the engine's API.
 */
import { createReadStream } from 'node:fs';
import { type IncomingMessage, request as httpRequest } from 'node:http';
import { pipeline } from 'node:stream';
import { z } from 'zod';
import { BranchboxError } from '../model/errors.ts';
import { readCapped } from '../system/readCapped.ts';

export interface EngineHttpOptions {
  readonly socketPath: string;
}

export type EngineBody =
  | { readonly kind: 'json'; readonly value: unknown }
  | { readonly kind: 'tar'; readonly bytes: Uint8Array }
  | { readonly kind: 'tar-file'; readonly path: string };

export interface EngineCall {
  readonly method: 'GET' | 'POST' | 'DELETE';
  /** With the query; names in it are already encoded. */
  readonly path: string;
  readonly body?: EngineBody;
  readonly signal: AbortSignal;
  /** Without a byte from the engine. Default 10 000; 0 is none. */
  readonly idleTimeoutMs?: number;
  /** Answers that are no error though their status says so. */
  readonly accept?: readonly number[];
}

export interface EngineAnswer {
  readonly status: number;
  readonly text: string;
}

export interface EngineHttp {
  call(call: EngineCall): Promise<EngineAnswer>;
  /** An answer of lines (progress, events), each handed on as it comes. */
  lines(call: EngineCall, onLine: (line: string) => void): Promise<void>;
}

const DEFAULT_IDLE_TIMEOUT_MS = 10_000;
/** A list of 256 apps with all their labels stays below it: a label's spec is at most some 100 KiB. */
const MAX_ANSWER_BYTES = 32 * 1024 * 1024;
const MAX_ERROR_BYTES = 64 * 1024;
/** Of progress or an event, with the labels of a container. */
const MAX_LINE_CHARACTERS = 1024 * 1024;
const Refusal = z.object({ message: z.string() });

export function createEngineHttp({ socketPath }: EngineHttpOptions): EngineHttp {
  const open = (call: EngineCall): Promise<IncomingMessage> =>
    new Promise((resolve, reject) => {
      const { body, signal } = call;
      const idleTimeoutMs = call.idleTimeoutMs ?? DEFAULT_IDLE_TIMEOUT_MS;
      const request = httpRequest(
        { socketPath, method: call.method, path: call.path, signal, headers: headersOf(body) },
        resolve,
      );
      request.on('error', (cause) => reject(unreachable(socketPath, cause)));
      if (idleTimeoutMs > 0) {
        request.setTimeout(idleTimeoutMs, () =>
          request.destroy(new Error(`no answer for ${idleTimeoutMs} ms`)),
        );
      }
      switch (body?.kind) {
        case 'json':
          request.end(JSON.stringify(body.value));
          break;
        case 'tar':
          request.end(body.bytes);
          break;
        case 'tar-file':
          // Either ends with the other: an archive that stays open keeps its disk after it was removed.
          pipeline(createReadStream(body.path), request, (cause) => {
            if (cause) request.destroy(cause);
          });
          break;
        default:
          request.end();
      }
    });

  const refuse = async (call: EngineCall, answer: IncomingMessage): Promise<never> => {
    const text = await readAll(answer, MAX_ERROR_BYTES, socketPath);
    const words = wordsOf(text) ?? `status ${answer.statusCode ?? 0}`;
    throw new BranchboxError('engine/refused', {
      message: `the container engine refused ${call.method} ${call.path.split('?')[0] ?? ''}: ${words}`,
      fields: { status: answer.statusCode ?? 0 },
    });
  };
  const isError = (call: EngineCall, answer: IncomingMessage): boolean =>
    (answer.statusCode ?? 500) >= 400 && call.accept?.includes(answer.statusCode ?? 500) !== true;

  return {
    async call(call) {
      const answer = await open(call);
      if (isError(call, answer)) return refuse(call, answer);
      return {
        status: answer.statusCode ?? 0,
        text: await readAll(answer, MAX_ANSWER_BYTES, socketPath),
      };
    },
    async lines(call, onLine) {
      const answer = await open(call);
      if (isError(call, answer)) return refuse(call, answer);
      // Read in a loop, not by events: an error over a malformed line must end the call, not the process.
      for await (const line of linesOf(answer, socketPath)) onLine(line);
    },
  };
}

function headersOf(body: EngineBody | undefined): Record<string, string> {
  if (body === undefined) return { host: 'engine' };
  return {
    host: 'engine',
    'content-type': body.kind === 'json' ? 'application/json' : 'application/x-tar',
  };
}

async function readAll(answer: IncomingMessage, maxBytes: number, socketPath: string): Promise<string> {
  try {
    const body = await readCapped(answer, maxBytes);
    if (body === undefined) throw new Error(`an answer of more than ${maxBytes} bytes`);
    return body.toString('utf8');
  } catch (cause) {
    answer.destroy();
    throw unreachable(socketPath, cause);
  }
}

/** Also what stands behind the last end of a line. */
async function* linesOf(answer: IncomingMessage, socketPath: string): AsyncGenerator<string> {
  let held = '';
  answer.setEncoding('utf8');
  try {
    for await (const chunk of answer) {
      const lines = (held + String(chunk)).split('\n');
      held = lines.pop() ?? '';
      if (held.length > MAX_LINE_CHARACTERS) {
        throw new Error(`a line of more than ${MAX_LINE_CHARACTERS} characters`);
      }
      yield* lines;
    }
  } catch (cause) {
    throw unreachable(socketPath, cause);
  } finally {
    answer.destroy();
  }
  if (held !== '') yield held;
}

/** `{"message": …}` is how the engine refuses. */
function wordsOf(text: string): string | undefined {
  try {
    return Refusal.parse(JSON.parse(text)).message.slice(0, 600);
  } catch {
    return text.trim() === '' ? undefined : text.trim().slice(0, 600);
  }
}

function unreachable(socketPath: string, cause: unknown): BranchboxError {
  const why = cause instanceof Error ? cause.message : String(cause);
  return new BranchboxError('engine/unreachable', {
    message: `the container engine at ${socketPath} does not answer: ${why}`,
    mend: 'systemctl status docker.service',
    cause,
  });
}
