/**
 * Owns the forms of the bootstrap server's answers: YANG data in JSON, and errors as RESTCONF has them (RFC 8040 7.1).
 * Does not own which is given when (bootstrapServer.ts).
 */
import { BranchboxError, type ErrorCode } from '../../model/errors.ts';
import { type RestconfErrors, SZTP_MEDIA_TYPE } from '../../model/sztp.ts';
import type { Answer } from '../exchange.ts';

const RETRY_AFTER_S = 5;
/** As the model caps it. */
const MAX_MESSAGE = 1024;

/** What went wrong below, in RESTCONF's words. */
export function bootstrapFailed(thrown: unknown): Answer {
  const code: ErrorCode = thrown instanceof BranchboxError ? thrown.code : 'internal';
  const message = thrown instanceof BranchboxError ? thrown.message : '';
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

export type RestconfError = RestconfErrors['ietf-restconf:errors']['error'][number];

export function refusal(
  status: number,
  tag: string,
  message: string,
  type: RestconfError['error-type'] = 'protocol',
  appTag?: string,
): Answer {
  return errorsAnswer(status, [
    {
      'error-type': type,
      'error-tag': tag,
      ...(appTag === undefined ? {} : { 'error-app-tag': appTag }),
      'error-message': message,
    },
  ]);
}

export function errorsAnswer(status: number, errors: readonly RestconfError[]): Answer {
  const error = errors.map((one) => ({
    ...one,
    'error-message': one['error-message']?.slice(0, MAX_MESSAGE),
  }));
  const body: RestconfErrors = { 'ietf-restconf:errors': { error } };
  return yang(status, body);
}

export function yang(status: number, body: unknown): Answer {
  return { status, mediaType: SZTP_MEDIA_TYPE, body: JSON.stringify(body) };
}
