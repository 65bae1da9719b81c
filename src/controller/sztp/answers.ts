/**
 * Owns the forms of the bootstrap server's answers: YANG data in JSON or XML, whichever is asked for (RFC 8040 5.2), and
 * errors as RESTCONF has them (7.1). Does not own which is given when (bootstrapServer.ts).
 */
import type { IncomingMessage } from 'node:http';
import { BranchboxError, type ErrorCode } from '../../model/errors.ts';
import { asRegistered, type RestconfErrors, SZTP_MEDIA_TYPE, SZTP_XML_MEDIA_TYPE } from '../../model/sztp.ts';
import { xmlOfYang } from '../../model/yangXml.ts';
import { preferred } from '../api/negotiation.ts';
import type { Answer } from '../exchange.ts';

const RETRY_AFTER_S = 5;
/** As the model caps it. */
const MAX_MESSAGE = 1024;

export const ENCODINGS = [SZTP_MEDIA_TYPE, SZTP_XML_MEDIA_TYPE] as const;
export type Encoding = (typeof ENCODINGS)[number];

/** An answer before its encoding: `data` as JSON has it (RFC 7951). */
export interface YangAnswer extends Pick<Answer, 'status' | 'headers'> {
  readonly data?: Readonly<Record<string, unknown>>;
}

export const NO_ENCODING = refusal(406, 'invalid-value', `answers are ${ENCODINGS.join(' or ')}`);

/** undefined: the client takes neither. Where it does not mind, the encoding of what it sent, else JSON. */
export function encodingAsked({ headers }: Pick<IncomingMessage, 'headers'>): Encoding | undefined {
  const sent = asRegistered(headers['content-type'] ?? '')
    .split(';', 1)[0]
    ?.trim()
    .toLowerCase();
  const offers = sent === SZTP_XML_MEDIA_TYPE ? ENCODINGS.toReversed() : ENCODINGS;
  return preferred(headers.accept && asRegistered(headers.accept), offers);
}

export function encoded({ data, ...answer }: YangAnswer, encoding: Encoding): Answer {
  if (data === undefined) return answer;
  const body = encoding === SZTP_XML_MEDIA_TYPE ? xmlOfYang(data) : JSON.stringify(data);
  return { ...answer, mediaType: encoding, body };
}

/** What went wrong below, in RESTCONF's words. */
export function bootstrapFailed(thrown: unknown, request: IncomingMessage): Answer {
  return encoded(failure(thrown), encodingAsked(request) ?? SZTP_MEDIA_TYPE);
}

function failure(thrown: unknown): YangAnswer {
  const code: ErrorCode = thrown instanceof BranchboxError ? thrown.code : 'internal';
  const { message = '', mend } = thrown instanceof BranchboxError ? thrown : {};
  if (code === 'controller/unreachable') {
    const answer = refusal(503, 'operation-failed', 'a service behind this server is away', 'application');
    return { ...answer, headers: { 'Retry-After': String(RETRY_AFTER_S) } };
  }
  if (code === 'controller/refused' || code === 'controller/conflict' || code === 'controller/not-found') {
    // A person at the box reads it.
    return refusal(403, 'access-denied', mend === undefined ? message : `${message} (${mend})`);
  }
  return refusal(500, 'operation-failed', 'the request failed here', 'application');
}

/** RFC 8040 7: of what is no operation. */
export function bootstrapRefusal(status: number, why: string): Answer {
  const isUnsupported = status === 501 || status === 417;
  const tag = isUnsupported ? 'operation-not-supported' : 'malformed-message';
  return encoded(refusal(status, tag, why), SZTP_MEDIA_TYPE);
}

export type RestconfError = RestconfErrors['ietf-restconf:errors']['error'][number];

export function refusal(
  status: number,
  tag: string,
  message: string,
  type: RestconfError['error-type'] = 'protocol',
  appTag?: string,
): YangAnswer {
  return errorsAnswer(status, [
    {
      'error-type': type,
      'error-tag': tag,
      ...(appTag === undefined ? {} : { 'error-app-tag': appTag }),
      'error-message': message,
    },
  ]);
}

export function errorsAnswer(status: number, errors: readonly RestconfError[]): YangAnswer {
  const error = errors.map((one) => ({
    ...one,
    'error-message': one['error-message']?.slice(0, MAX_MESSAGE),
  }));
  const body: RestconfErrors = { 'ietf-restconf:errors': { error } };
  return { status, data: body };
}
