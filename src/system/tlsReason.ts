/**
 * Owns the words for why a TLS session ended: of OpenSSL's line (number of a thread, place in its source) the reason, and
 * what an alert says of this end. Does not own sessions.
 */

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

/** What any other error says of itself. Pure. */
export function tlsReason(error: Error): string {
  if (!('reason' in error) || typeof error.reason !== 'string') return error.message;
  const alert = /\balert (.+)$/.exec(error.reason)?.[1];
  if (alert === undefined) return error.reason;
  const meaning = OF_OUR_CERTIFICATE.has(alert) ? ': it does not take the certificate of this box' : '';
  return `TLS alert ${alert}${meaning}`;
}
