/**
 * Owns bytes as base64 (RFC 4648 4), and back. Does not own base64url (jws.ts) nor PEM (pem.ts).
 */
import { malformed } from './der.ts';

export const toBase64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64');

/** Of text that a schema has checked (z.base64): in any other, what is not base64 would be passed over. */
export const fromBase64 = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text, 'base64'));

/** Of text that nobody has checked. Throws pki/malformed unless it is what toBase64 would write. */
export function parseBase64(text: string, what: string): Uint8Array {
  const bytes = fromBase64(text);
  if (toBase64(bytes) !== text) throw malformed(`${what} is not base64`);
  return bytes;
}
