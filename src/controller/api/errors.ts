/**
 * Owns how an error leaves the API: one body, and the HTTP status of each code.
 */
import type { FastifyReply, FastifyRequest } from 'fastify';
import { z } from 'zod';
import { BranchboxError, ERROR_CODES, type ErrorCode } from '../../model/errors.ts';
import type { Logger } from '../../system/ports.ts';
import type { Answer } from '../exchange.ts';

export const ApiError = z.strictObject({
  code: z.string(),
  message: z.string(),
  mend: z.string().optional(),
  problems: z.array(z.strictObject({ path: z.string(), message: z.string() })),
});
export type ApiError = z.output<typeof ApiError>;

/** What any route may answer besides its own. */
export const ERROR_RESPONSES = { '4xx': ApiError, '5xx': ApiError } as const;

const STATUS: Partial<Record<ErrorCode, number>> = {
  'model/invalid': 400,
  'controller/refused': 403,
  'controller/not-found': 404,
  'controller/conflict': 409,
  'controller/unreachable': 503,
};

export function statusOf(error: BranchboxError): number {
  const { httpStatus } = error.fields;
  if (typeof httpStatus === 'number') return httpStatus;
  return STATUS[error.code] ?? 500;
}

export function createErrorHandler(log: Logger) {
  return async (thrown: unknown, request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> => {
    const { status, body } = describe(thrown);
    if (status >= 500) {
      const what = { method: request.method, route: request.routeOptions.url ?? 'none' };
      log.error('a request failed', { ...what, error: thrown });
    }
    return reply.code(status).type('application/json').send(body);
  };
}

/** Internal errors keep their details for the log. */
function describe(thrown: unknown): { status: number; body: ApiError } {
  const error = thrown instanceof BranchboxError ? thrown : fromFramework(thrown);
  if (error === undefined || statusOf(error) === 500) {
    return { status: 500, body: { code: 'internal', message: ERROR_CODES.internal.title, problems: [] } };
  }
  const status = thrown instanceof BranchboxError ? statusOf(error) : frameworkStatus(thrown);
  return { status, body: errorBody(error) };
}

export function errorBody({ code, message, mend, problems }: BranchboxError): ApiError {
  return { code, message, ...(mend === undefined ? {} : { mend }), problems: [...problems] };
}

/** Of what the parser of HTTP let no route see. */
export function parserRefusal(status: number, message: string): Answer {
  const code = status === 501 ? 'controller/not-found' : 'model/invalid';
  const mend = FRAMEWORK_MENDS[status];
  const body = errorBody(new BranchboxError(code, { message, ...(mend === undefined ? {} : { mend }) }));
  return { status, mediaType: 'application/json; charset=utf-8', body: JSON.stringify(body) };
}

/** A URL that cannot be decoded, a body too large, an unknown media type, JSON that does not parse: the framework's own 4xx. */
function fromFramework(thrown: unknown): BranchboxError | undefined {
  const status = frameworkStatus(thrown);
  if (!(thrown instanceof Error) || status < 400 || status >= 500) return undefined;
  const mend = FRAMEWORK_MENDS[status];
  return new BranchboxError('model/invalid', {
    message: thrown.message,
    ...(mend === undefined ? {} : { mend }),
  });
}

const FRAMEWORK_MENDS: Partial<Record<number, string>> = {
  413: 'send less at once',
  501: 'OPTIONS says which methods a path has',
  414: 'no name is as long as the one in this path',
  415: 'name the format of the body in Content-Type: application/json, or what the description lists for this path',
};

function frameworkStatus(thrown: unknown): number {
  const status = thrown instanceof Error && 'statusCode' in thrown ? thrown.statusCode : undefined;
  return typeof status === 'number' ? status : 500;
}
