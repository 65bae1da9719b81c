/**
 * Owns the words for why a TLS session ended: the reason in OpenSSL's line (which also has a thread's number and a
 * place in its source), and what an alert says of this end.
 * Does not own sessions.
 */
import type { Obstacle } from '../model/obstacle.ts';

const NOT_TAKEN = ': it does not take the certificate of this box';

/** RFC 8446 6.2, as OpenSSL writes them: the other end judged what it was shown. */
const OF_OUR_CERTIFICATE: ReadonlySet<string> = new Set([
  'access denied',
  'bad certificate',
  'certificate expired',
  'certificate revoked',
  'certificate unknown',
  'unknown ca',
  'unsupported certificate',
]);

const OF_DATES: ReadonlySet<unknown> = new Set(['CERT_NOT_YET_VALID', 'CERT_HAS_EXPIRED', 'pki/expired']);
const OF_WHO_ANSWERS: ReadonlySet<unknown> = new Set([
  'pki/untrusted',
  'pki/malformed',
  'ERR_TLS_CERT_ALTNAME_INVALID',
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
  'INVALID_PURPOSE',
]);

/** What a handshake failed by, in the words that all of the box has for it. Pure. */
export function obstacleOfTls(thrown: unknown): Obstacle {
  if (!(thrown instanceof Error)) return 'connection';
  const code = 'code' in thrown ? thrown.code : undefined;
  if (OF_DATES.has(code)) return 'clock';
  if (OF_WHO_ANSWERS.has(code)) return 'peer';
  return tlsReason(thrown).endsWith(NOT_TAKEN) ? 'not-authorised' : 'connection';
}

/** What any other error says of itself. Pure. */
export function tlsReason(error: Error): string {
  if (!('reason' in error) || typeof error.reason !== 'string') return error.message;
  const alert = /\balert (.+)$/.exec(error.reason)?.[1];
  if (alert === undefined) return error.reason;
  const meaning = OF_OUR_CERTIFICATE.has(alert) ? NOT_TAKEN : '';
  return `TLS alert ${alert}${meaning}`;
}
