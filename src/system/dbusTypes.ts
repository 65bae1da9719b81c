/**
 * Owns what reading and writing D-Bus messages share (D-Bus Specification 0.43, "Type System", "Message Format"):
 * kinds, header fields, alignments, and taking signatures apart.
 * Does not own bytes (dbusEncode.ts, dbusDecode.ts). Pure.
 */
import { BranchboxError } from '../model/errors.ts';

export const MESSAGE = { call: 1, answer: 2, error: 3, signal: 4 } as const;

/** Of fields of a header (table "Header Fields"). */
export const FIELD = {
  path: 1,
  interface: 2,
  member: 3,
  errorName: 4,
  replySerial: 5,
  destination: 6,
  sender: 7,
  signature: 8,
} as const;
export const MAX_DEPTH = 64;

export const malformed = (what: string): BranchboxError =>
  new BranchboxError('system/dbus', { message: `a message of D-Bus is malformed: ${what}` });

export const ALIGNMENT: Readonly<Record<string, number>> = {
  y: 1,
  g: 1,
  v: 1,
  n: 2,
  q: 2,
  b: 4,
  i: 4,
  u: 4,
  h: 4,
  s: 4,
  o: 4,
  a: 4,
  x: 8,
  t: 8,
  d: 8,
  '(': 8,
  '{': 8,
};

/** Complete types of a signature, in order. */
export function splitSignature(signature: string): readonly string[] {
  const types: string[] = [];
  let at = 0;
  while (at < signature.length) {
    const end = endOfType(signature, at, 0);
    types.push(signature.slice(at, end));
    at = end;
  }
  return types;
}

function endOfType(signature: string, at: number, depth: number): number {
  const head = signature[at];
  if (head === undefined || depth > MAX_DEPTH) throw malformed(`signature ${signature}`);
  if (head === 'a') return endOfType(signature, at + 1, depth + 1);
  if (head !== '(' && head !== '{') {
    if (ALIGNMENT[head] === undefined) throw malformed(`signature ${signature}`);
    return at + 1;
  }
  const close = head === '(' ? ')' : '}';
  let next = at + 1;
  // An array of empty structures would never end.
  if (signature[next] === close) throw malformed(`signature ${signature}`);
  while (signature[next] !== close) next = endOfType(signature, next, depth + 1);
  return next + 1;
}
