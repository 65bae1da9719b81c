/**
 * Owns reading D-Bus messages from bytes (D-Bus Specification 0.43, "Marshaling", "Message Format"), little-endian as this
 * machine is; whatever stands in them. Does not own the connection (dbus.ts) nor who sent them. Pure.
 */
import { ALIGNMENT, FIELD, malformed, MAX_DEPTH, splitSignature } from './dbusTypes.ts';

export interface Incoming {
  readonly kind: number;
  readonly path: string | undefined;
  readonly interface: string | undefined;
  readonly member: string | undefined;
  readonly errorName: string | undefined;
  readonly replySerial: number | undefined;
  readonly sender: string | undefined;
  /** A variant is its value, a dictionary a record by its keys as text, a 64-bit integer a bigint. */
  readonly body: readonly unknown[];
}

const FIXED_BYTES = 16;
/** The specification allows 128 MiB; what is asked here is a few KB. */
const MAX_MESSAGE_BYTES = 4 * 1024 * 1024;

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
