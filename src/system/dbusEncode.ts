/**
 * Owns the bytes of the calls that this side makes over D-Bus (D-Bus Specification 0.43, "Marshaling"), little-endian as this
 * machine is. Does not own the connection (dbus.ts) nor what is said over it. Pure.
 */
import { FIELD, malformed, MESSAGE } from './dbusTypes.ts';

/** A value that is to be sent, with its type beside it. */
export interface Variant {
  readonly type: 's' | 'u' | 'b' | 'o' | 'g';
  readonly value: string | number | boolean;
}
/** What this side sends: as much as its methods take. `a{sv}` is a record of variants. */
export type Sent = string | number | boolean | Readonly<Record<string, Variant>>;

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
