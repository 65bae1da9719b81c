/**
 * Owns the two encodings of YANG data as one: what stands in XML (RFC 7950) read as what JSON has (RFC 7951), so that there
 * is one schema for both, and the way back. Of XML alone nobody can tell a list from a leaf or a number from text: the
 * nodes that are read here are a table.
 * Does not own what is valid (sztp.ts, the servers' own schemas), nor reading XML (xml.ts).
 */
import { BranchboxError } from './errors.ts';
import { parseXml, type XmlElement } from './xml.ts';

/** text: as it stands. token: an enumeration's name, without the blanks around it. */
type Leaf = 'text' | 'token' | 'number' | 'binary' | 'empty' | 'identity';
interface Container {
  /** As JSON has it: with its module where that is another than of what holds it. */
  readonly [name: string]: YangNode;
}
/** In brackets: a list, or a list of leaves. */
type YangNode = Leaf | Container | readonly [Leaf | Container];

const ROOTS: Container = {
  'ietf-sztp-conveyed-info:redirect-information': {
    'bootstrap-server': [{ address: 'text', port: 'number', 'trust-anchor': 'binary' }],
  },
  'ietf-sztp-conveyed-info:onboarding-information': {
    'boot-image': {
      'os-name': 'text',
      'os-version': 'text',
      'download-uri': ['text'],
      'image-verification': [{ 'hash-algorithm': 'identity', 'hash-value': 'text' }],
    },
    'configuration-handling': 'token',
    'pre-configuration-script': 'binary',
    configuration: 'binary',
    'post-configuration-script': 'binary',
  },
  /** Of both operations: they share no name. */
  'ietf-sztp-bootstrap-server:input': {
    'signed-data-preferred': 'empty',
    'hw-model': 'text',
    'os-name': 'text',
    'os-version': 'text',
    nonce: 'binary',
    'branchbox-sztp:claims': { 'mac-address': ['text'], uuid: 'text', hostname: 'text' },
    'progress-type': 'token',
    message: 'text',
    'ssh-host-keys': { 'ssh-host-key': [{ algorithm: 'text', 'key-data': 'binary' }] },
    'trust-anchor-certs': { 'trust-anchor-cert': ['binary'] },
  },
  'ietf-sztp-bootstrap-server:output': {
    'reporting-level': 'token',
    'conveyed-information': 'binary',
    'owner-certificate': 'binary',
    'ownership-voucher': 'binary',
  },
  'ietf-restconf:errors': {
    error: [
      {
        'error-type': 'token',
        'error-tag': 'text',
        'error-app-tag': 'text',
        'error-path': 'text',
        'error-message': 'text',
      },
    ],
  },
};

const IETF = 'urn:ietf:params:xml:ns:yang:';
const OURS = { module: 'branchbox-sztp', namespace: 'urn:branchbox:sztp' } as const;
const namespaceOf = (module: string): string =>
  module === OURS.module ? OURS.namespace : `${IETF}${module}`;
/** A namespace of nobody here stands for itself: what is of it is known to no schema. */
const moduleOf = (namespace: string): string =>
  namespace === OURS.namespace
    ? OURS.module
    : namespace.startsWith(IETF)
      ? namespace.slice(IETF.length)
      : namespace;

/** What decoding JSON would give; throws model/invalid where it is no XML, or is in no way what it should be. Pure. */
export function yangOfXml(text: string, what: string, maxChars: number): unknown {
  const root = parseXml(text, what, maxChars);
  const name = nameOf(root, '');
  const node = Object.hasOwn(ROOTS, name) ? ROOTS[name] : undefined;
  return Object.fromEntries([[name, node === undefined ? null : dataOf(root, node, what)]]);
}

const nameOf = ({ namespace, name }: XmlElement, within: string): string =>
  namespace === within ? name : `${moduleOf(namespace)}:${name}`;

function dataOf(element: XmlElement, node: YangNode, what: string): unknown {
  const bad = (why: string): BranchboxError =>
    new BranchboxError('model/invalid', {
      message: `${what} is not as its YANG has it: ${element.name} ${why}`,
    });
  if (isList(node)) return dataOf(element, node[0], what);
  if (typeof node === 'string') {
    if (element.children.length > 0) throw bad('holds elements');
    return valueOf(element, node);
  }
  if (element.children.length === 0 && element.text.trim() !== '') throw bad('holds text');
  const byName = new Map<string, unknown>();
  for (const child of element.children) {
    const name = nameOf(child, element.namespace);
    const inner = Object.hasOwn(node, name) ? node[name] : undefined;
    // For the schema to refuse, or to pass over.
    const value = inner === undefined ? null : dataOf(child, inner, what);
    const before = byName.get(name);
    if (Array.isArray(before) && isList(inner)) before.push(value);
    else if (inner !== undefined && before !== undefined) throw bad(`holds ${name} twice`);
    else byName.set(name, isList(inner) ? [value] : value);
  }
  return Object.fromEntries(byName);
}

/** RFC 7950 9.2.1: numbers may have a sign, and be hexadecimal or octal. */
const NUMBER = /^[+-]?(?:0x[0-9A-Fa-f]{1,8}|[0-9]{1,16})$/;

function valueOf({ text, prefixes }: XmlElement, leaf: Leaf): unknown {
  const trimmed = text.trim();
  switch (leaf) {
    case 'text':
      return text;
    case 'token':
      return trimmed;
    case 'binary':
      return text.replaceAll(/\s+/g, '');
    case 'empty':
      return trimmed === '' ? [null] : text;
    case 'number':
      return NUMBER.test(trimmed) ? numberOf(trimmed) : text;
    case 'identity': {
      const [name = '', prefix = ''] = trimmed.split(':', 2).reverse();
      const namespace = prefixes.get(prefix);
      return namespace === undefined ? text : `${moduleOf(namespace)}:${name}`;
    }
    default:
      return leaf satisfies never;
  }
}

function numberOf(text: string): number {
  const digits = text.replace(/^[+-]/, '');
  const size = /^0[0-7]+$/.test(digits) ? Number.parseInt(digits, 8) : Number(digits);
  return text.startsWith('-') ? -size : size;
}

const isList = (node: YangNode | undefined): node is readonly [Leaf | Container] => Array.isArray(node);

/** Of JSON as RFC 7951 has it, one top node. Of identities there is none in what is written here. Pure. */
export function xmlOfYang(document: Readonly<Record<string, unknown>>): string {
  const elements = Object.entries(document).map(([name, value]) => elementsOf(name, value, ''));
  return `<?xml version="1.0" encoding="UTF-8"?>\n${elements.join('')}\n`;
}

function elementsOf(qualified: string, value: unknown, within: string): string {
  if (Array.isArray(value)) return value.map((one: unknown) => elementsOf(qualified, one, within)).join('');
  const [name = '', module = within] = qualified.split(':', 2).reverse();
  const isPath = name === 'error-path' && typeof value === 'string';
  const path = isPath ? pathInXml(value) : { text: '', declarations: '' };
  const begin = `${name}${module === within ? '' : ` xmlns="${escaped(namespaceOf(module))}"`}${path.declarations}`;
  const content = isPath
    ? path.text
    : typeof value === 'object' && value !== null
      ? Object.entries(value)
          .map(([key, one]) => (one === undefined ? '' : elementsOf(key, one, module)))
          .join('')
      : value === null
        ? ''
        : escaped(String(value));
  return content === '' ? `<${begin}/>` : `<${begin}>${content}</${name}>`;
}

/** RFC 7950 9.13.2: in XML each node of an instance-identifier has the prefix of its namespace. */
function pathInXml(path: string): { readonly text: string; readonly declarations: string } {
  const modules = new Set<string>();
  let module = '';
  const isPath = /^(?:\/(?:[A-Za-z_][\w.-]*:)?[A-Za-z_][\w.-]*(?:\[[0-9]+\])?)+$/.test(path);
  if (!isPath) return { text: escaped(path), declarations: '' };
  const text = path.replaceAll(
    /\/(?:([\w.-]+):)?([\w.-]+)/g,
    (_, named: string | undefined, name: string) => {
      module = named ?? module;
      if (module === '') return `/${name}`;
      modules.add(module);
      return `/${module}:${name}`;
    },
  );
  const declarations = [...modules].map((one) => ` xmlns:${one}="${escaped(namespaceOf(one))}"`).join('');
  return { text, declarations };
}

const ESCAPES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  '\r': '&#13;',
};
/** What XML has no character for becomes the one that stands for any. */
const escaped = (text: string): string =>
  text
    .replaceAll(/[^\t\n\r\u0020-\uD7FF\uE000-\uFFFD\u{10000}-\u{10FFFF}]/gu, '\uFFFD')
    .replaceAll(/[&<>"\r]/g, (character) => ESCAPES[character] ?? '');
