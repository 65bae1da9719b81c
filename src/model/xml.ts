/**
 * Owns reading XML of strangers as far as YANG data needs it (RFC 7950): elements, namespaces, text. Small on purpose: no
 * document types, no entities but the five that XML has and characters by number, no instructions, names as YANG has them;
 * size, depth and number of elements have an end.
 * Does not own what the elements mean (yangXml.ts).
 */
import { BranchboxError } from './errors.ts';

export interface XmlElement {
  /** '' where it is in none. */
  readonly namespace: string;
  readonly name: string;
  readonly children: readonly XmlElement[];
  /** '' where there are children: YANG mixes the two nowhere. */
  readonly text: string;
  /** Namespaces by the prefixes that hold here: a value may be named by one. */
  readonly prefixes: ReadonlyMap<string, string>;
}

const MAX_DEPTH = 32;
const MAX_ELEMENTS = 4096;
/** Declared on the way to one element. */
const MAX_PREFIXES = 64;
const MAX_ATTRIBUTES = 32;
const XML_NAMESPACE = 'http://www.w3.org/XML/1998/namespace';

/** Of XML 1.0; what has no number of Unicode cannot be in a string that came from UTF-8. */
const NO_CHARACTER = /[^\t\n\r\u0020-\uD7FF\uE000-\uFFFD\u{10000}-\u{10FFFF}]/u;
const SPACE = /[ \t\n]*/y;
const DECLARATION =
  /<\?xml[ \t\n]+version[ \t\n]*=[ \t\n]*["']1\.[0-9]["'](?:[ \t\n]+encoding[ \t\n]*=[ \t\n]*["']([A-Za-z][\w.-]{0,40})["'])?(?:[ \t\n]+standalone[ \t\n]*=[ \t\n]*["'](?:yes|no)["'])?[ \t\n]*\?>/y;
const NAME = String.raw`[A-Za-z_][\w.-]{0,63}`;
const OPEN = new RegExp(`<((?:${NAME}:)?${NAME})`, 'y');
const CLOSE = new RegExp(`</((?:${NAME}:)?${NAME})[ \\t\\n]*>`, 'y');
const ATTRIBUTE = new RegExp(
  `[ \\t\\n]+((?:${NAME}:)?${NAME})[ \\t\\n]*=[ \\t\\n]*(?:"([^<"]*)"|'([^<']*)')`,
  'y',
);
const TAG_END = /[ \t\n]*(\/?)>/y;
const REFERENCE = /&(?:#x([0-9A-Fa-f]{1,6});|#([0-9]{1,7});|(amp|lt|gt|quot|apos);)?/g;
const ENTITIES: Readonly<Record<string, string>> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" };

interface Open {
  readonly qualified: string;
  readonly namespace: string;
  readonly name: string;
  readonly prefixes: ReadonlyMap<string, string>;
  readonly children: XmlElement[];
  text: string;
}

/** The root element; throws model/invalid. `what` names the document for a person. Pure. */
export function parseXml(document: string, what: string, maxChars: number): XmlElement {
  if (document.length > maxChars) {
    throw new BranchboxError('model/invalid', { message: `${what} is larger than ${maxChars} bytes` });
  }
  const xml = document.replace(/^\uFEFF/, '').replaceAll(/\r\n?/g, '\n');
  let at = 0;
  const bad = (why: string): BranchboxError => {
    const line = xml.slice(0, at).split('\n').length;
    return new BranchboxError('model/invalid', {
      message: `${what} is no XML that is read here: ${why}, in line ${line}`,
    });
  };
  const next = (pattern: RegExp): RegExpExecArray | undefined => {
    pattern.lastIndex = at;
    const match = pattern.exec(xml);
    if (match !== null) at = pattern.lastIndex;
    return match ?? undefined;
  };
  /** What stands before `end`, which is passed too. */
  const until = (end: string): string => {
    const found = xml.indexOf(end, at);
    if (found === -1) throw bad(`there is no ${end}`);
    const content = xml.slice(at, found);
    at = found + end.length;
    return content;
  };
  const isNext = (text: string): boolean => xml.startsWith(text, at);
  const takeComment = (): void => {
    at += '<!--'.length;
    if (until('-->').includes('--')) throw bad('a comment holds two dashes');
  };
  const unescaped = (text: string): string =>
    text.replaceAll(REFERENCE, (_, hex?: string, decimal?: string, name?: string) => {
      if (name !== undefined) return ENTITIES[name] ?? '';
      const number = hex === undefined ? Number(decimal ?? NaN) : Number.parseInt(hex, 16);
      const character = number <= 0x10ffff ? String.fromCodePoint(number) : '';
      if (character === '' || NO_CHARACTER.test(character)) throw bad('an entity is none of the five');
      return character;
    });
  const takeMargin = (): void => {
    next(SPACE);
    while (isNext('<!--')) {
      takeComment();
      next(SPACE);
    }
  };

  function attributes(): ReadonlyMap<string, string> {
    const found = new Map<string, string>();
    for (let match = next(ATTRIBUTE); match !== undefined; match = next(ATTRIBUTE)) {
      const [, name = '', quoted, apostrophed = ''] = match;
      if (found.has(name)) throw bad('an attribute stands there twice');
      if (found.size === MAX_ATTRIBUTES) throw bad(`an element has more than ${MAX_ATTRIBUTES} attributes`);
      found.set(name, unescaped(quoted ?? apostrophed));
    }
    return found;
  }

  function declared(
    found: ReadonlyMap<string, string>,
    outer: ReadonlyMap<string, string>,
  ): ReadonlyMap<string, string> {
    const own = [...found].flatMap(([name, uri]): (readonly [string, string])[] => {
      if (name === 'xmlns') return [['', uri]];
      if (!name.startsWith('xmlns:')) return [];
      if (uri === '' || name === 'xmlns:xml' || name === 'xmlns:xmlns')
        throw bad('a prefix is of no namespace');
      return [[name.slice('xmlns:'.length), uri]];
    });
    if (own.length === 0) return outer;
    const prefixes = new Map([...outer, ...own]);
    if (prefixes.size > MAX_PREFIXES) throw bad(`more than ${MAX_PREFIXES} prefixes are declared`);
    return prefixes;
  }

  function begin(qualified: string, outer: ReadonlyMap<string, string>): Open {
    const found = attributes();
    const prefixes = declared(found, outer);
    const splitAt = qualified.indexOf(':');
    const prefix = splitAt === -1 ? '' : qualified.slice(0, splitAt);
    const namespace = prefixes.get(prefix) ?? '';
    const isDeclared = (name: string): boolean =>
      !name.includes(':') || name.startsWith('xmlns:') || prefixes.has(name.split(':', 1)[0] ?? '');
    if (![qualified, ...found.keys()].every(isDeclared)) throw bad('a prefix is not declared');
    return { qualified, namespace, name: qualified.slice(splitAt + 1), prefixes, children: [], text: '' };
  }

  const ended = ({ namespace, name, prefixes, children, text }: Open): XmlElement => {
    if (children.length > 0 && text.trim() !== '') throw bad('text stands beside elements');
    return { namespace, name, prefixes, children, text: children.length > 0 ? '' : text };
  };

  if (NO_CHARACTER.test(xml)) throw bad('it has a character that XML has not');
  if (isNext('<?xml')) {
    const match = next(DECLARATION);
    if (match === undefined) throw bad('its declaration is none');
    // The text is decoded already.
    if (!/^(?:utf-8|us-ascii)$/i.test(match[1] ?? 'utf-8')) throw bad('it is not in UTF-8');
  }
  takeMargin();
  const open: Open[] = [];
  let root: XmlElement | undefined;
  let count = 0;
  while (root === undefined) {
    const inner = open.at(-1);
    if (isNext('<!--')) takeComment();
    else if (inner !== undefined && isNext('<![CDATA[')) {
      at += '<![CDATA['.length;
      inner.text += until(']]>');
    } else if (inner !== undefined && isNext('</')) {
      if (next(CLOSE)?.[1] !== inner.qualified) throw bad(`${inner.qualified} is not ended`);
      open.pop();
      const element = ended(inner);
      const outer = open.at(-1);
      if (outer === undefined) root = element;
      else outer.children.push(element);
    } else if (isNext('<') || inner === undefined) {
      const qualified = next(OPEN)?.[1];
      if (qualified === undefined) throw bad('there is no element, or one of a kind that is not read');
      count += 1;
      if (count > MAX_ELEMENTS) throw bad(`there are more than ${MAX_ELEMENTS} elements`);
      const element = begin(qualified, inner?.prefixes ?? new Map([['xml', XML_NAMESPACE]]));
      const end = next(TAG_END);
      if (end === undefined) throw bad(`the tag of ${qualified} does not end`);
      if (end[1] === '') {
        if (open.length === MAX_DEPTH) throw bad(`it is nested deeper than ${MAX_DEPTH} levels`);
        open.push(element);
      } else if (inner === undefined) root = ended(element);
      else inner.children.push(ended(element));
    } else {
      const found = xml.indexOf('<', at);
      if (found === -1) throw bad(`${inner.qualified} is not ended`);
      const text = xml.slice(at, found);
      if (text.includes(']]>')) throw bad('text holds ]]>');
      inner.text += unescaped(text);
      at = found;
    }
  }
  takeMargin();
  if (at !== xml.length) throw bad('something stands behind its root');
  return root;
}
