/**
 * Owns messages of D-Bus as a service writes them, of any type, written from the specification and not from
 * src/system/dbusEncode and dbusDecode: what one side gets wrong the other must not. Does not own any service.
 */

/** By its type: variants as `[type, value]`, dictionaries as records, structures as lists. */
export type Value = unknown;

const PADDING: Readonly<Record<string, number>> = {
  y: 1,
  g: 1,
  v: 1,
  '(': 8,
  '{': 8,
  x: 8,
  t: 8,
  d: 8,
  n: 2,
  q: 2,
};

/** End of the complete type that begins at `at`. */
function endOf(signature: string, at: number): number {
  const head = signature[at];
  if (head === 'a') return endOf(signature, at + 1);
  if (head !== '(' && head !== '{') return at + 1;
  let next = at + 1;
  while (signature[next] !== ')' && signature[next] !== '}') next = endOf(signature, next);
  return next + 1;
}

function typesOf(signature: string): string[] {
  const types: string[] = [];
  for (let at = 0; at < signature.length; at = endOf(signature, at))
    types.push(signature.slice(at, endOf(signature, at)));
  return types;
}

function put(out: number[], type: string, value: Value): void {
  const pad = (to: number): void => {
    while (out.length % to !== 0) out.push(0);
  };
  const raw = (bytes: number, write: (to: Buffer) => void): void => {
    const buffer = Buffer.alloc(bytes);
    write(buffer);
    out.push(...buffer);
  };
  const text = String(value);
  pad(PADDING[type[0] ?? ''] ?? 4);
  switch (type[0]) {
    case 'y':
      return raw(1, (to) => to.writeUInt8(Number(value)));
    case 'n':
      return raw(2, (to) => to.writeInt16LE(Number(value)));
    case 'q':
      return raw(2, (to) => to.writeUInt16LE(Number(value)));
    case 'i':
      return raw(4, (to) => to.writeInt32LE(Number(value)));
    case 'b':
    case 'u':
      return raw(4, (to) => to.writeUInt32LE(Number(value)));
    case 'x':
      return raw(8, (to) => to.writeBigInt64LE(BigInt(text)));
    case 't':
      return raw(8, (to) => to.writeBigUInt64LE(BigInt(text)));
    case 'd':
      return raw(8, (to) => to.writeDoubleLE(Number(value)));
    case 's':
    case 'o':
      raw(4, (to) => to.writeUInt32LE(Buffer.byteLength(text)));
      out.push(...Buffer.from(text), 0);
      return;
    case 'g':
      out.push(text.length, ...Buffer.from(text), 0);
      return;
    case 'v': {
      const [own = '', inner] = Array.isArray(value) ? value : [];
      put(out, 'g', own);
      put(out, String(own), inner);
      return;
    }
    case 'a': {
      const element = type.slice(1);
      raw(4, () => undefined);
      const lengthAt = out.length - 4;
      pad(PADDING[element[0] ?? ''] ?? 4);
      const start = out.length;
      const all = Array.isArray(value) ? value : Object.entries(value ?? {});
      for (const one of all) put(out, element, one);
      const length = Buffer.alloc(4);
      length.writeUInt32LE(out.length - start);
      out.splice(lengthAt, 4, ...length);
      return;
    }
    default:
      for (const [index, part] of typesOf(type.slice(1, -1)).entries())
        put(out, part, Array.isArray(value) ? value[index] : undefined);
  }
}

/** 1: call, 2: answer, 3: error, 4: signal. `fields` by code: `[code, [type, value]]`. */
export function busMessage(
  kind: 1 | 2 | 3 | 4,
  serial: number,
  fields: readonly (readonly [number, readonly [string, Value]])[],
  signature = '',
  values: readonly Value[] = [],
): Buffer {
  const body: number[] = [];
  for (const [index, type] of typesOf(signature).entries()) put(body, type, values[index]);
  const head: number[] = [];
  put(head, 'y', 'l'.charCodeAt(0));
  for (const byte of [kind, 0, 1]) put(head, 'y', byte);
  put(head, 'u', body.length);
  put(head, 'u', serial);
  put(head, 'a(yv)', [...fields, ...(signature === '' ? [] : [[8, ['g', signature]]])]);
  while (head.length % 8 !== 0) head.push(0);
  return Buffer.from([...head, ...body]);
}
