/**
 * Owns the bytes of D-Bus messages (D-Bus Specification 0.43, "Marshaling", "Message Format"), little-endian as this
 * machine is. Does not own the connection (dbus.ts) nor what is said over it. Pure.
 */
import { BranchboxError } from '../model/errors.ts';

/** A value that is to be sent, with its type beside it. */
export interface Variant {
  readonly type: 's' | 'u' | 'b' | 'o' | 'g';
  readonly value: string | number | boolean;
}
/** What this side sends: as much as its methods take. `a{sv}` is a record of variants. */
export type Sent = string | number | boolean | Readonly<Record<string, Variant>>;

export const MESSAGE = { call: 1, answer: 2, error: 3, signal: 4 } as const;

export interface Outgoing {
  readonly serial: number;
  readonly destination: string;
  readonly path: string;
  readonly interface: string;
  readonly member: string;
  /** One complete type an argument. */
  readonly signature: readonly string[];
  readonly args: readonly Sent[];
}

export interface Incoming {
  readonly kind: number;
  readonly path: string | undefined;
  readonly interface: string | undefined;
  readonly member: string | undefined;
  readonly errorName: string | undefined;
  readonly replySerial: number | undefined;
  readonly sender: string | undefined;
  /** Variants stand as what is in them, dictionaries as records by their key as text, 64 bits as bigint. */
  readonly body: readonly unknown[];
}

/** Of fields of a header (table "Header Fields"). */
const FIELD = {
  path: 1,
  interface: 2,
  member: 3,
  errorName: 4,
  replySerial: 5,
  destination: 6,
  sender: 7,
  signature: 8,
} as const;
const FIXED_BYTES = 16;
/** The specification allows 128 MiB; what is asked here is a few KB. */
const MAX_MESSAGE_BYTES = 4 * 1024 * 1024;
const MAX_DEPTH = 64;

const malformed = (what: string): BranchboxError =>
  new BranchboxError('system/dbus', { message: `a message of D-Bus is malformed: ${what}` });

const ALIGNMENT: Readonly<Record<string, number>> = {
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
  // An array of such would have no end.
  if (signature[next] === close) throw malformed(`signature ${signature}`);
  while (signature[next] !== close) next = endOfType(signature, next, depth + 1);
  return next + 1;
}

export function encodeCall(call: Outgoing): Buffer {
  const body = createWriter();
  for (const [index, type] of call.signature.entries()) body.write(type, call.args[index]);
  const head = createWriter();
  for (const byte of [0x6c, MESSAGE.call, 0, 1]) head.write('y', byte);
  head.write('u', body.length());
  head.write('u', call.serial);
  const fields: [number, Variant][] = [
    [FIELD.path, { type: 'o', value: call.path }],
    [FIELD.interface, { type: 's', value: call.interface }],
    [FIELD.member, { type: 's', value: call.member }],
    [FIELD.destination, { type: 's', value: call.destination }],
  ];
  if (call.signature.length > 0)
    fields.push([FIELD.signature, { type: 'g', value: call.signature.join('') }]);
  head.array(8, () => {
    for (const [code, value] of fields) {
      head.align(8);
      head.write('y', code);
      head.write('v', value);
    }
  });
  head.align(8);
  return Buffer.concat([head.bytes(), body.bytes()]);
}

interface Writer {
  write(type: string, value: Sent | Variant | undefined): void;
  array(alignment: number, elements: () => void): void;
  align(to: number): void;
  length(): number;
  bytes(): Buffer;
}

function createWriter(): Writer {
  const bytes: number[] = [];
  const align = (to: number): void => {
    while (bytes.length % to !== 0) bytes.push(0);
  };
  const word = (value: number): void => {
    align(4);
    bytes.push(value & 0xff, (value >>> 8) & 0xff, (value >>> 16) & 0xff, value >>> 24);
  };
  const array = (alignment: number, elements: () => void): void => {
    word(0);
    const lengthAt = bytes.length - 4;
    align(alignment);
    const start = bytes.length;
    elements();
    const length = bytes.length - start;
    for (let i = 0; i < 4; i += 1) bytes[lengthAt + i] = (length >>> (8 * i)) & 0xff;
  };
  const write: Writer['write'] = (type, value) => {
    if (type === 'y' && typeof value === 'number') bytes.push(value & 0xff);
    else if (type === 'u' && typeof value === 'number') word(value);
    else if (type === 'b' && typeof value === 'boolean') word(Number(value));
    else if ((type === 's' || type === 'o') && typeof value === 'string') {
      const text = Buffer.from(value);
      word(text.length);
      bytes.push(...text, 0);
    } else if (type === 'g' && typeof value === 'string') bytes.push(value.length, ...Buffer.from(value), 0);
    else if (type === 'v' && isVariant(value)) {
      write('g', value.type);
      write(value.type, value.value);
    } else if (type === 'a{sv}' && typeof value === 'object' && !isVariant(value)) {
      array(8, () => {
        for (const [key, variant] of Object.entries(value)) {
          align(8);
          write('s', key);
          write('v', variant);
        }
      });
      // Never with the value: it may be a secret.
    } else throw malformed(`a ${typeof value} is no ${type}`);
  };
  return { write, array, align, length: () => bytes.length, bytes: () => Buffer.from(bytes) };
}

const isVariant = (value: unknown): value is Variant =>
  typeof value === 'object' && value !== null && 'type' in value && typeof value.type === 'string';

/** The first message of what has come, and how many bytes it took; undefined while it is not whole. */
export function decodeMessage(
  bytes: Buffer,
): { readonly message: Incoming; readonly taken: number } | undefined {
  if (bytes.length < FIXED_BYTES) return undefined;
  if (bytes[0] !== 0x6c) throw malformed('it is not little-endian');
  const bodyBytes = bytes.readUInt32LE(4);
  const fieldBytes = bytes.readUInt32LE(12);
  const bodyAt = FIXED_BYTES + Math.ceil(fieldBytes / 8) * 8;
  const taken = bodyAt + bodyBytes;
  if (taken > MAX_MESSAGE_BYTES) throw malformed(`it has ${taken} bytes`);
  if (bytes.length < taken) return undefined;
  const fields = new Map<number, unknown>();
  const head = createReader(bytes.subarray(0, bodyAt), 12);
  for (const field of head.list('a(yv)')) if (Array.isArray(field)) fields.set(Number(field[0]), field[1]);
  const text = (code: number): string | undefined => {
    const value = fields.get(code);
    return typeof value === 'string' ? value : undefined;
  };
  const replySerial = fields.get(FIELD.replySerial);
  const body = createReader(bytes.subarray(bodyAt, taken), 0);
  const message = {
    kind: bytes[1] ?? 0,
    path: text(FIELD.path),
    interface: text(FIELD.interface),
    member: text(FIELD.member),
    errorName: text(FIELD.errorName),
    replySerial: typeof replySerial === 'number' ? replySerial : undefined,
    sender: text(FIELD.sender),
    body: splitSignature(text(FIELD.signature) ?? '').map((type) => body.read(type)),
  };
  return { message, taken };
}

function createReader(bytes: Buffer, from: number) {
  let at = from;
  const take = (count: number): number => {
    const here = at;
    if (count < 0 || here + count > bytes.length) throw malformed('it ends early');
    at += count;
    return here;
  };
  const align = (to: number): void => {
    take((to - (at % to)) % to);
  };
  const text = (length: number): string => {
    const here = take(length + 1);
    return bytes.toString('utf8', here, here + length);
  };
  const list = (type: string, depth = 0): unknown[] => {
    const element = type.slice(1);
    align(4);
    const length = bytes.readUInt32LE(take(4));
    align(ALIGNMENT[element[0] ?? ''] ?? 1);
    const end = at + length;
    if (end > bytes.length) throw malformed('an array ends early');
    const values: unknown[] = [];
    while (at < end) values.push(read(element, depth + 1));
    return values;
  };
  const read = (type: string, depth = 0): unknown => {
    const head = type[0] ?? '';
    if (depth > MAX_DEPTH) throw malformed('it is nested too deep');
    if (head === 'a') {
      const values = list(type, depth);
      return type[1] === '{' ? Object.fromEntries(values.map(entryOf)) : values;
    }
    align(ALIGNMENT[head] ?? 1);
    switch (head) {
      case 'y':
        return bytes.readUInt8(take(1));
      case 'b':
        return bytes.readUInt32LE(take(4)) !== 0;
      case 'n':
        return bytes.readInt16LE(take(2));
      case 'q':
        return bytes.readUInt16LE(take(2));
      case 'i':
        return bytes.readInt32LE(take(4));
      case 'u':
      case 'h':
        return bytes.readUInt32LE(take(4));
      case 'x':
        return bytes.readBigInt64LE(take(8));
      case 't':
        return bytes.readBigUInt64LE(take(8));
      case 'd':
        return bytes.readDoubleLE(take(8));
      case 's':
      case 'o':
        return text(bytes.readUInt32LE(take(4)));
      case 'g':
        return text(bytes.readUInt8(take(1)));
      case 'v': {
        const [own, ...more] = splitSignature(text(bytes.readUInt8(take(1))));
        if (own === undefined || more.length > 0) throw malformed('a variant is not of one type');
        return read(own, depth + 1);
      }
      case '(':
      case '{':
        return splitSignature(type.slice(1, -1)).map((part) => read(part, depth + 1));
      default:
        throw malformed(`type ${type}`);
    }
  };
  return { read, list };
}

const entryOf = (pair: unknown): [string, unknown] =>
  Array.isArray(pair) ? [String(pair[0]), pair[1]] : ['', undefined];
