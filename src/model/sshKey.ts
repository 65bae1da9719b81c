/**
 * Owns reading one public key as OpenSSH writes it, a line of an authorized_keys file without options. Pure.
 * Does not own whom it is of, nor where it is used (ssh.ts).
 */

const LEAST_RSA_BITS = 3072;
/** Verifying takes a box of two Atom cores long beyond this (ssh-keygen makes up to 16,384). */
const MOST_RSA_BITS = 8192;
const P256_POINT_BYTES = 65;
const ED25519_BYTES = 32;
/** A type, the base64 of an RSA key of 8,192 bits, and a comment. */
export const MAX_SSH_KEY_LENGTH = 1600;

type Field = readonly number[];
type Fields = readonly Field[];
/** Of each type the rest of its fields (RFC 4253 6.6, RFC 5656 3.1, RFC 8709 4, OpenSSH's PROTOCOL.u2f): why not, or none. */
const TYPES: Readonly<Record<string, (fields: Fields) => string | undefined>> = {
  'ssh-ed25519': (fields) => holds(fields.length === 1 && isEd25519(fields[0])),
  'ecdsa-sha2-nistp256': (fields) => holds(fields.length === 2 && isP256(fields[0], fields[1])),
  'ssh-rsa': ([exponent, modulus, ...rest]) => {
    if (exponent === undefined || modulus === undefined || rest.length > 0) return holds(false);
    const bits = bitsOf(modulus);
    if (bits === undefined || !isExponent(exponent)) return holds(false);
    if (bits < LEAST_RSA_BITS) return `is an RSA key of ${bits} bits: ${LEAST_RSA_BITS} are the least`;
    return bits > MOST_RSA_BITS ? `is an RSA key of ${bits} bits: ${MOST_RSA_BITS} are the most` : undefined;
  },
  'sk-ssh-ed25519@openssh.com': (fields) =>
    holds(fields.length === 2 && isEd25519(fields[0]) && isApplication(fields[1])),
  'sk-ecdsa-sha2-nistp256@openssh.com': (fields) =>
    holds(fields.length === 3 && isP256(fields[0], fields[1]) && isApplication(fields[2])),
};

const holds = (isSound: boolean): string | undefined =>
  isSound ? undefined : 'is no key of the type that it names';
const isEd25519 = (point: Field | undefined): boolean => point?.length === ED25519_BYTES;
const isP256 = (curve: Field | undefined, point: Field | undefined): boolean =>
  curve !== undefined && textOf(curve) === 'nistp256' && point?.length === P256_POINT_BYTES && point[0] === 4;
/** `ssh:`, or `ssh:name`. */
const isApplication = (name: Field | undefined): boolean =>
  name !== undefined && /^ssh:[\x21-\x7e]{0,64}$/.test(textOf(name));
const textOf = (field: Field): string => String.fromCharCode(...field);

/** Odd, and not 1: what that signs, everybody can sign. */
const isExponent = (number: Field): boolean => (bitsOf(number) ?? 0) > 1 && (number.at(-1) ?? 0) % 2 === 1;

/** Of a positive number in its shortest form (mpint, RFC 4251 5), whose first bit is its sign. */
function bitsOf(number: Field): number | undefined {
  const [first = 0, second = 0] = number;
  if (number.length === 0 || first >= 0x80 || (first === 0 && second < 0x80)) return undefined;
  return (number.length - 1) * 8 + (first === 0 ? 0 : 32 - Math.clz32(first));
}

/**
 * Why this line may not be taken; undefined where it may: a type of the list, base64, and at most one word of comment.
 * Options would stand before the type, and are refused with all else that is no type.
 */
export function sshKeyProblem(line: string): string | undefined {
  const [type = '', encoded = '', comment, ...rest] = line.split(' ');
  const judge = Object.hasOwn(TYPES, type) ? TYPES[type] : undefined;
  if (judge === undefined) return `begins with none of ${Object.keys(TYPES).join(', ')}`;
  if (rest.length > 0 || (comment !== undefined && !/^[\w@.+-]{1,64}$/.test(comment)))
    return 'ends in more than one word of letters, digits and @ . _ + - (a comment)';
  const blob = bytesOf(encoded);
  if (blob === undefined) return 'is not in base64';
  const [named, ...fields] = fieldsOf(blob) ?? [];
  return named !== undefined && textOf(named) === type ? judge(fields) : holds(false);
}

/** Strings of RFC 4251 5, one behind the other; undefined where they do not fill it. */
function fieldsOf(blob: readonly number[]): Fields | undefined {
  const fields: Field[] = [];
  for (let at = 0; at < blob.length; ) {
    if (at + 4 > blob.length) return undefined;
    const length = blob.slice(at, at + 4).reduce((sum, byte) => sum * 256 + byte, 0);
    const end = at + 4 + length;
    if (end > blob.length) return undefined;
    fields.push(blob.slice(at + 4, end));
    at = end;
  }
  return fields;
}

const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/';

/** Of base64 in its one form (RFC 4648 3.5: padded, no bit left over); undefined of anything else. No Node here. */
function bytesOf(encoded: string): readonly number[] | undefined {
  if (!/^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/][AQgw]==|[A-Za-z0-9+/]{2}[AEIMQUYcgkosw048]=)?$/.test(encoded))
    return undefined;
  const bytes: number[] = [];
  for (let at = 0; at < encoded.length; at += 4) {
    const [a = 0, b = 0, c = 0, d = 0] = [0, 1, 2, 3].map((i) =>
      Math.max(0, ALPHABET.indexOf(encoded.charAt(at + i))),
    );
    bytes.push(a * 4 + (b >> 4), (b % 16) * 16 + (c >> 2), (c % 4) * 64 + d);
  }
  const padding = encoded.length - encoded.replaceAll('=', '').length;
  return bytes.slice(0, bytes.length - padding);
}
