/**
 * Owns bending JSON by its structure: depth, numbers, names that stand twice, `__proto__`; and what strings carry in
 * base64, DER or JSON again. Does not own what a document means.
 */
import type { Chance } from './chance.ts';
import { type Mutate, mutateBytes } from './mutateBytes.ts';
import { mutateDer } from './mutateDer.ts';
import { bendText, mutateText } from './mutateText.ts';

/** Text that stands in the document as it is. */
class Literal {
  readonly text: string;
  constructor(text: string) {
    this.text = text;
  }
}

const LITERALS: readonly string[] = [
  'null',
  'true',
  '0',
  '-0',
  '-1',
  '1e999',
  '-1e999',
  '1e-999',
  '0.1',
  '9007199254740993',
  '9'.repeat(5_000),
  '""',
  '" "',
  '"\\u0000"',
  '"\\ud800"',
  '"\\u202e"',
  '{}',
  '[]',
  '[null]',
  '[[]]',
  '{"__proto__":{"polluted":1}}',
  '{"constructor":{"prototype":{"polluted":1}}}',
  'undefined',
  'NaN',
  "'a'",
];
const NAMES: readonly string[] = [
  '__proto__',
  'constructor',
  'toString',
  '',
  'x'.repeat(10_000),
  '$ref',
  'length',
];
const DEPTHS: readonly number[] = [10, 100, 1_000];
const LARGE_DEPTHS: readonly number[] = [5_000, 60_000];

export const mutateJson: Mutate = (sample, chance, others) => {
  if (chance.once(8)) return mutateText(sample, chance, others);
  let root: unknown;
  try {
    root = JSON.parse(Buffer.from(sample).toString('utf8'));
  } catch {
    return mutateText(sample, chance, others);
  }
  const holder = { root };
  for (let left = 1 + chance.below(3); left > 0; left -= 1) bendOnce(holder, chance, others);
  const text = write(holder.root);
  if (chance.once(15)) return mutateBytes(Buffer.from(text), chance, others);
  return Buffer.from(chance.once(30) ? `\ufeff${text}` : text, 'utf8');
};

interface Place {
  readonly holder: object;
  readonly key: string;
}

function placesIn(holder: object): readonly Place[] {
  const places: Place[] = [];
  const walk = (at: object): void => {
    for (const [key, value] of Object.entries(at)) {
      places.push({ holder: at, key });
      if (typeof value === 'object' && value !== null && !(value instanceof Literal)) walk(value);
    }
  };
  walk(holder);
  return places;
}

function bendOnce(root: object, chance: Chance, others: readonly Uint8Array[]): void {
  const places = placesIn(root);
  // All of it was taken away.
  if (places.length === 0) return;
  // Half of the time where a string is: that is where the weight of these documents lies.
  const strings = places.filter(({ holder, key }) => typeof Reflect.get(holder, key) === 'string');
  const { holder, key } = chance.one(strings.length > 0 && chance.once(2) ? strings : places);
  const value: unknown = Reflect.get(holder, key);
  const put = (by: unknown): void => void Reflect.set(holder, key, by);
  switch (chance.below(typeof value === 'string' ? 12 : 8)) {
    case 0:
      return put(new Literal(chance.one(LITERALS)));
    case 1: {
      if (Array.isArray(holder)) return put(null);
      return void Reflect.deleteProperty(holder, key);
    }
    case 2: {
      const depth = chance.one(chance.once(12) ? LARGE_DEPTHS : DEPTHS);
      const [open, close] = chance.one([
        ['[', ']'],
        ['{"a":', '}'],
      ] as const);
      return put(new Literal(`${open.repeat(depth)}0${close.repeat(chance.once(4) ? depth - 1 : depth)}`));
    }
    case 3: {
      // A name of its own, or one that is there already: written twice.
      const name = JSON.stringify(chance.once(3) ? key : chance.one(NAMES));
      const deep = `${'['.repeat(8_000)}${']'.repeat(8_000)}`;
      const inside = `${write(value)},${name}:${chance.once(8) ? deep : chance.one(LITERALS)}`;
      return put(new Literal(Array.isArray(holder) ? `{"a":${inside}}` : inside));
    }
    case 4:
      return put([value, value]);
    case 5:
      return put({ [key]: value });
    case 6: {
      const other = chance.one(places);
      // As text: what holds itself would have no end.
      return put(new Literal(write(Reflect.get(other.holder, other.key))));
    }
    case 7: {
      const count = chance.once(12) ? 20_000 : chance.one([17, 300]);
      const item = write(value).slice(0, 40) || '0';
      return put(new Literal(`[${Array<string>(count).fill(item).join(',')}]`));
    }
    default:
      return put(typeof value === 'string' ? bendString(value, chance, others) : value);
  }
}

/** By what it carries, where it carries something. */
function bendString(text: string, chance: Chance, others: readonly Uint8Array[]): string {
  if (text.length < 16 || !/^[A-Za-z0-9+/]+={0,2}$/.test(text) || chance.once(4))
    return bendText(text, chance);
  const inside = Buffer.from(text, 'base64');
  const bent = inside[0] === 0x7b ? mutateJson(inside, chance, others) : mutateDer(inside, chance, others);
  return Buffer.from(bent).toString('base64');
}

/** As JSON.stringify, with literals as they are. */
function write(value: unknown): string {
  if (value instanceof Literal) return value.text;
  if (Array.isArray(value)) return `[${value.map(write).join(',')}]`;
  if (typeof value === 'object' && value !== null) {
    return `{${Object.entries(value)
      .map(([name, inner]) => `${JSON.stringify(name)}:${write(inner)}`)
      .join(',')}}`;
  }
  return JSON.stringify(value) ?? 'null';
}
