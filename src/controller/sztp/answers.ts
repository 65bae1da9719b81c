/**
 * Owns the forms of the bootstrap server's answers: YANG data in JSON, and errors as RESTCONF has them (RFC 8040 7.1).
 * Does not own which is given when (bootstrapServer.ts).
 */
import { BranchboxError, type ErrorCode } from '../../model/errors.ts';
import { type RestconfErrors, SZTP_MEDIA_TYPE } from '../../model/sztp.ts';
import type { Answer } from '../exchange.ts';

const RETRY_AFTER_S = 5;

/** What went wrong below, in RESTCONF's words. */
export function bootstrapFailed(thrown: unknown): Answer {
  const code: ErrorCode = thrown instanceof BranchboxError ? thrown.code : 'internal';
  const message = thrown instanceof BranchboxError ? thrown.message : '';
  if (code === 'model/invalid') return refusal(400, 'invalid-value', message, problemsOf(thrown));
  if (code === 'controller/unreachable') {
    const answer = refusal(503, 'operation-failed', 'a service behind this server is away', 'application');
    return { ...answer, headers: { 'Retry-After': String(RETRY_AFTER_S) } };
  }
  if (code === 'controller/refused' || code === 'controller/conflict' || code === 'controller/not-found') {
    return refusal(403, 'access-denied', message);
  }
  return refusal(500, 'operation-failed', 'the request failed here', 'application');
}

/** RFC 8040 7: of what is no operation. */
export function bootstrapRefusal(status: number, why: string): Answer {
  const isUnsupported = status === 501 || status === 417;
  return refusal(status, isUnsupported ? 'operation-not-supported' : 'malformed-message', why);
}

type ErrorType = RestconfErrors['ietf-restconf:errors']['error'][number]['error-type'];

export function refusal(
  status: number,
  tag: string,
  message: string,
  detail: ErrorType | readonly string[] = 'protocol',
  appTag?: string,
): Answer {
  const type: ErrorType = typeof detail === 'string' ? detail : 'protocol';
  const messages = typeof detail === 'string' || detail.length === 0 ? [message] : detail;
  const errors: RestconfErrors = {
    'ietf-restconf:errors': {
      error: messages.slice(0, 16).map((text) => ({
        'error-type': type,
        'error-tag': tag,
        ...(appTag === undefined ? {} : { 'error-app-tag': appTag }),
        'error-message': text.slice(0, 1024),
      })),
    },
  };
  return yang(status, errors);
}

function problemsOf(thrown: unknown): readonly string[] {
  return thrown instanceof BranchboxError ? thrown.problems.map((p) => `${p.path}: ${p.message}`) : [];
}

export function yang(status: number, body: unknown): Answer {
  return { status, mediaType: SZTP_MEDIA_TYPE, body: JSON.stringify(body) };
}
