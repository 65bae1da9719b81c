/**
 * Owns the certificates that the other end of a TLS session sent, as they came. Does not own reading nor judging them.
 */
import type { X509Certificate } from 'node:crypto';
import type { TLSSocket } from 'node:tls';

/** A real chain has two to four, and may come with some that are of no use. */
export const MAX_SENT_CERTIFICATES = 8;

/**
 * DER, the leaf first and the others in any order (RFC 8446 4.4.2); empty where there is none. Node's older call,
 * getPeerCertificate, follows the chain instead, and loses its way where an issuer came last. This one gives the certificates of a
 * session once, and takes them out of it by that.
 */
export function takeSentCertificates(socket: TLSSocket): readonly Uint8Array[] {
  const sent: Uint8Array[] = [];
  let next: X509Certificate | undefined = socket.getPeerX509Certificate();
  while (next !== undefined && sent.length < MAX_SENT_CERTIFICATES) {
    sent.push(Uint8Array.from(next.raw));
    next = next.issuerCertificate;
  }
  return sent;
}
