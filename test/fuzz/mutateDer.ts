/**
 * Owns bending DER by its structure: tags, lengths, order and number of parts, depth, BER's other spellings. Structures
 * inside octet and bit strings are bent too. Does not own what the parts mean.
 */
import type { Chance } from './chance.ts';
import { type Mutate, mutateBytes } from './mutateBytes.ts';

interface Part {
  tag: number;
  /** Octets before the children, where a string holds DER: the unused bits of a bit string. */
  readonly before: Uint8Array;
  children: Part[] | undefined;
  content: Uint8Array;
  /** What stands for the whole part instead. */
  instead?: Uint8Array;
}

const NOTHING = new Uint8Array();
/** A tag, and a length of three octets behind the octet that counts them: no input here is longer. */
const MAX_HEAD_BYTES = 5;
const CONSTRUCTED = 0x20;
const BIT_STRING = 0x03;
const OCTET_STRING = 0x04;
const OBJECT_IDENTIFIER = 0x06;
const MAX_DEPTH = 24;
/** As large as any cap lets in, and a little more. */
const MAX_REPEATED_BYTES = 256 * 1024;
/**
 * Of a mutant, above every cap (judge.ts). A part that is repeated is one object at each of its places, so that bends within
 * it multiply: three of them made 148 GB.
 */
const MAX_BENT_BYTES = 2 * 1024 * 1024;
const SIZES: readonly number[] = [17, 33, 200, 2_000];
const LARGE_SIZES: readonly number[] = [20_000, 70_000];
/** Large ones seldom: they take as long as hundreds of others. */
const sizeOf = (chance: Chance): number => chance.one(chance.once(12) ? LARGE_SIZES : SIZES);

export const mutateDer: Mutate = (sample, chance, others) => {
  // What is no DER at all is tried too.
  if (chance.once(10)) return mutateBytes(sample, chance, others);
  const parts = read(sample, 0);
  if (parts === undefined) return mutateBytes(sample, chance, others);
  for (let left = 1 + chance.below(3); left > 0; left -= 1) bendOnce(parts, chance, others);
  const bent = write(parts);
  if (chance.once(12)) return bent.subarray(0, chance.below(bent.length + 1));
  if (chance.once(20)) return Buffer.concat([bent, chance.bytes(1 + chance.below(4))]);
  return bent;
};

/** undefined where it is not whole. */
function read(bytes: Uint8Array, depth: number): Part[] | undefined {
  const parts: Part[] = [];
  for (let at = 0; at < bytes.length; ) {
    const tag = bytes[at] ?? 0;
    let length = bytes[at + 1];
    let from = at + 2;
    if (length === undefined || (tag & 0x1f) === 0x1f || length === 0x80 || length > 0x84) return undefined;
    if (length > 0x80) {
      const count = length & 0x7f;
      length = bytes.subarray(from, from + count).reduce((value, byte) => value * 256 + byte, 0);
      from += count;
    }
    if (from + length > bytes.length) return undefined;
    parts.push(partOf(tag, bytes.subarray(from, from + length), depth));
    at = from + length;
  }
  return parts;
}

function partOf(tag: number, content: Uint8Array, depth: number): Part {
  const none = new Uint8Array();
  if (depth < MAX_DEPTH && (tag & CONSTRUCTED) !== 0) {
    return { tag, before: none, children: read(content, depth + 1), content };
  }
  const before = tag === BIT_STRING ? content.subarray(0, 1) : none;
  const inside = content.subarray(before.length);
  const isWrapped = (tag === BIT_STRING || tag === OCTET_STRING) && inside[0] === 0x30 && depth < MAX_DEPTH;
  return { tag, before, children: isWrapped ? read(inside, depth + 1) : undefined, content };
}

interface Size {
  readonly content: number;
  readonly whole: number;
}

/** Of parts that stay as they are meanwhile. One that stands a thousand times is one object, and measured once. */
function createMeasure(): (part: Part) => Size {
  const measured = new Map<Part, Size>();
  const measure = (part: Part): Size => {
    const known = measured.get(part);
    if (known !== undefined) return known;
    const { instead, children, before } = part;
    const content =
      children === undefined ? part.content.length : before.length + sizeOfAll(children, measure);
    const whole = instead === undefined ? 1 + lengthOf(content).length + content : instead.length;
    const size = { content, whole };
    measured.set(part, size);
    return size;
  };
  return measure;
}

const sizeOfAll = (parts: readonly Part[], measure = createMeasure()): number =>
  parts.reduce((size, part) => size + measure(part).whole, 0);

/**
 * Two passes into one buffer: most of a run once went into copying each part into the one around it. A part that stands a
 * thousand times is written once, and copied.
 */
function write(parts: readonly Part[]): Uint8Array {
  const measure = createMeasure();
  const bytes = Buffer.allocUnsafe(sizeOfAll(parts, measure));
  const written = new Map<Part, number>();
  let at = 0;
  const put = (piece: Uint8Array): void => {
    bytes.set(piece, at);
    at += piece.length;
  };
  const putPart = (part: Part): void => {
    const { content, whole } = measure(part);
    const earlier = written.get(part);
    const from = at;
    if (earlier !== undefined) {
      bytes.copyWithin(at, earlier, earlier + whole);
      at += whole;
      return;
    }
    if (part.instead !== undefined) put(part.instead);
    else {
      bytes[at] = part.tag;
      at += 1;
      put(lengthOf(content));
      if (part.children === undefined) put(part.content);
      else {
        put(part.before);
        part.children.forEach(putPart);
      }
    }
    written.set(part, from);
  };
  parts.forEach(putPart);
  return bytes;
}

const contentOf = (part: Part): Uint8Array =>
  part.children === undefined ? part.content : Buffer.concat([part.before, write(part.children)]);

function wrap(tag: number, content: Uint8Array): Uint8Array {
  return Buffer.concat([Buffer.of(tag), lengthOf(content.length), content]);
}

function lengthOf(length: number, octets = 0): Uint8Array {
  if (length < 0x80 && octets === 0) return Buffer.of(length);
  const plain: number[] = [];
  for (let left = length; left > 0; left = Math.floor(left / 256)) plain.unshift(left % 256);
  // 0 is an octet, too.
  while (plain.length < Math.max(1, octets)) plain.unshift(0);
  return Buffer.of(0x80 | plain.length, ...plain);
}

function bendOnce(root: Part[], chance: Chance, others: readonly Uint8Array[]): void {
  const places: { readonly siblings: Part[]; readonly at: number }[] = [];
  const walk = (siblings: Part[]): void => {
    for (const [at, part] of siblings.entries()) {
      places.push({ siblings, at });
      if (part.children !== undefined && part.instead === undefined) walk(part.children);
    }
  };
  walk(root);
  if (places.length === 0) return;
  const { siblings, at } = chance.one(places);
  const part = siblings[at];
  if (part === undefined) return;
  const replace = (...by: readonly Part[]): void => {
    siblings.splice(at, 1, ...by);
    if (sizeOfAll(root) > MAX_BENT_BYTES) siblings.splice(at, by.length, part);
  };
  const say = (bytes: Uint8Array): void => replace({ ...part, instead: bytes });
  const kind = chance.below(18);
  // These do not look at it, and it may be large.
  const content = [0, 1, 2, 3, 5, 6, 7, 11, 12, 13, 15, 16].includes(kind) ? NOTHING : contentOf(part);
  switch (kind) {
    case 0:
      return replace({ ...part, tag: chance.below(256) });
    case 1:
      return replace({ ...part, tag: part.tag ^ CONSTRUCTED });
    case 2:
      return replace();
    case 3:
      return replace(part, part);
    case 4: {
      const most = Math.ceil(MAX_REPEATED_BYTES / (content.length + 2));
      return replace(
        ...Array.from({ length: Math.min(most, chance.once(8) ? 1_000 : chance.one([17, 100])) }, () => part),
      );
    }
    case 5: {
      const other = chance.one(places);
      const taken = other.siblings[other.at];
      return taken === undefined ? undefined : replace(structuredClone(taken));
    }
    case 6: {
      const found = read(chance.one([() => write(root), ...others.map((other) => () => other)])(), 0)?.[0];
      const inner = found?.children?.[chance.below(found.children.length)] ?? found;
      return inner === undefined ? undefined : replace(inner);
    }
    case 7:
      return replace({ ...part, children: undefined, content: new Uint8Array() });
    case 8:
      return say(
        Buffer.concat([Buffer.of(part.tag), lengthOf(content.length, 1 + chance.below(5)), content]),
      );
    case 9: {
      const lies = [0, 1, content.length + 1, content.length * 2, 0xffff, 0x7fff_ffff, 0xffff_ffff];
      return say(Buffer.concat([Buffer.of(part.tag), lengthOf(chance.one(lies)), content]));
    }
    case 10:
      // BER's indefinite length; its end is left away at times.
      return say(
        Buffer.concat([
          Buffer.of(part.tag | CONSTRUCTED, 0x80),
          content,
          chance.once(4) ? Buffer.of() : Buffer.of(0, 0),
        ]),
      );
    case 11:
      return say(nested(sizeOf(chance), chance.one([0x30, 0x31, 0xa0, 0x24]), chance.once(2)));
    case 12:
      return say(wrap(part.tag | CONSTRUCTED, Buffer.alloc(2 * sizeOf(chance), Buffer.of(5, 0))));
    case 13:
      return say(wrap(OBJECT_IDENTIFIER, longArc(sizeOf(chance))));
    case 14: {
      const half = Math.floor(content.length / 2);
      const halves = [content.subarray(0, half), content.subarray(half)].map((one) => wrap(part.tag, one));
      // BER lets a string stand in pieces.
      return say(wrap(part.tag | CONSTRUCTED, Buffer.concat(halves)));
    }
    case 15:
      return part.children === undefined ? undefined : void part.children.reverse();
    case 16:
      return replace({ ...part, children: undefined, content: Buffer.alloc(sizeOf(chance), 0x81) });
    default:
      return replace({ ...part, children: undefined, content: mutateBytes(content, chance, others) });
  }
}

/** Depth without end; closed as DER, or opened alone. */
function nested(depth: number, tag: number, closed: boolean): Uint8Array {
  if (!closed) return Buffer.alloc(depth * 2, Buffer.of(tag, 0x80));
  // From the inside out, written from the end: quadratic concatenation would take longer than what is tested.
  const bytes = Buffer.alloc(depth * MAX_HEAD_BYTES);
  let at = bytes.length;
  for (let left = depth; left > 0; left -= 1) {
    const length = lengthOf(bytes.length - at);
    at -= length.length + 1;
    bytes[at] = tag;
    bytes.set(length, at + 1);
  }
  return bytes.subarray(at);
}

/** One arc of so many octets. */
function longArc(octets: number): Uint8Array {
  const arc = Buffer.alloc(octets, 0xff);
  arc[octets - 1] = 0x01;
  return Buffer.concat([Buffer.of(0x2a), arc]);
}
