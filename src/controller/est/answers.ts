/**
 * Owns the forms of EST's answers (RFC 7030, clarified by RFC 8951): media types, base64, text, who is to come again.
 * Does not own which is given when (estServer.ts, enrolment.ts).
 */
import { BranchboxError } from '../../model/errors.ts';
import type { Certificate } from '../../pki/certificate.ts';
import { certsOnly } from '../../pki/cms.ts';
import { type Admission, PENDING_RETRY_AFTER_S } from '../admission.ts';
import type { Answer } from '../exchange.ts';

const RETRY_AFTER_AWAY_S = 5;
/**
 * RFC 9110 11.6.1: with any status it says that credentials would help. On a 202 it tells a box that a code is wanted,
 * and a client that knows nothing of codes waits as ever.
 */
const CODE_CHALLENGE = { 'WWW-Authenticate': 'Basic realm="activation code", charset="UTF-8"' } as const;

/** What went wrong below. */
export function estFailed(thrown: unknown): Answer {
  if (thrown instanceof BranchboxError && thrown.code === 'controller/unreachable') {
    return plain(503, 'the certification authority is away', { 'Retry-After': String(RETRY_AFTER_AWAY_S) });
  }
  return plain(500, 'the request failed here');
}

/** Whoever is not admitted. */
export function refused(admission: Admission): Answer {
  if (admission.kind === 'pending') {
    return plain(202, admission.why, {
      'Retry-After': String(PENDING_RETRY_AFTER_S),
      ...(admission.byCode === true ? CODE_CHALLENGE : {}),
    });
  }
  if (admission.kind === 'wrong-code') {
    return plain(401, admission.why, { 'Retry-After': String(PENDING_RETRY_AFTER_S), ...CODE_CHALLENGE });
  }
  return plain(403, admission.kind === 'refused' ? admission.why : 'this box is not known here');
}

export function pkcs7(certificates: readonly Certificate[]): Answer {
  return {
    status: 200,
    mediaType: 'application/pkcs7-mime; smime-type=certs-only',
    ...base64(certsOnly(certificates)),
  };
}

/** On one line without an end of line: strongSwan's client refuses any LF. */
export function base64(der: Uint8Array): Pick<Answer, 'body' | 'headers'> {
  return {
    body: Buffer.from(der).toString('base64'),
    // RFC 8951 has it ignored; clients of RFC 7030's time look for it.
    headers: { 'Content-Transfer-Encoding': 'base64' },
  };
}

export function plain(status: number, text: string, headers: Readonly<Record<string, string>> = {}): Answer {
  return { status, mediaType: 'text/plain; charset=utf-8', body: `${text}\n`, headers };
}
