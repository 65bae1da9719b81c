/**
 * Owns YANG's `binary` as others write it in JSON (RFC 7951 6.6): base64 in one piece or in lines, as Python's and openssl's
 * encoders make them and YANG libraries take them; or in the alphabet of URLs without padding, as the nonces of RFC 8995's
 * examples. Pure. Does not own what is in it.
 */
import { z } from 'zod';

/** Decodes to the text without white space, which `Buffer.from(text, 'base64')` reads in either alphabet. */
export const yangBinary = (maxChars: number) =>
  z
    .string()
    .max(maxChars)
    .transform((text) => text.replaceAll(/[\r\n\t ]/g, ''))
    .pipe(z.union([z.base64(), z.base64url()], 'not base64'));
