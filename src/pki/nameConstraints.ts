/**
 * Owns name constraints along a path (RFC 5280 4.2.1.10, 6.1.3 b and c): whether each certificate has only names that every CA
 * above it may give.
 * Does not own the rest of a path (chain.ts). Pure.
 */
import { isIPv4, isIPv6 } from 'node:net';
import { type Certificate, isSelfIssued } from './certificate.ts';
import { type DerNode, decode, malformed } from './der.ts';
import {
  childrenOf,
  contextPrimitive,
  contextTag,
  readOid,
  readSmallInteger,
  readText,
  TAG,
} from './derRead.ts';

/** Numbers of GeneralName's choices (RFC 5280 4.2.1.6). */
const FORM = { email: 1, dns: 2, directory: 4, uri: 6, address: 7 } as const;
/**
 * Of comparisons for one CA. A certificate of 64 KiB has room for thousands of names, a CA's for as many limits. openssl
 * stops at 2^20, which here would be seconds.
 */
const MAX_COMPARISONS = 2 ** 16;
const EMAIL_ADDRESS = '1.2.840.113549.1.9.1';

/** A GeneralName: its form, and what it holds. */
interface Name {
  readonly form: number;
  readonly node: DerNode;
}

interface Constraints {
  readonly permitted: readonly Name[];
  readonly excluded: readonly Name[];
}

/**
 * Which certificate has a name that a CA above it may not give; undefined where none. Leaf first, anchor last. Each CA is
 * asked alone: one below another can only narrow what that may give. So is the anchor, which RFC 5280 6.1.1 leaves open:
 * whoever wrote limits into it meant them, and openssl keeps them. Throws pki/malformed.
 */
export function findMisnamed(path: readonly Certificate[]): Certificate | undefined {
  for (const [depth, { nameConstraintsDer }] of path.entries()) {
    if (nameConstraintsDer === undefined) continue;
    const constraints = readConstraints(decode(nameConstraintsDer));
    const found = path
      .slice(0, depth)
      // A CA's link to its own next key is not asked (RFC 5280 6.1.3 b).
      .filter((one, index) => index === 0 || !isSelfIssued(one))
      .find((one) => !areAllowed(namesOf(one), constraints));
    if (found !== undefined) return found;
  }
  return undefined;
}

function readConstraints(node: DerNode): Constraints {
  const parts = childrenOf(node, TAG.sequence, 'Name constraints');
  const subtrees = (tag: number): readonly Name[] =>
    parts.filter((part) => part.tag === contextTag(tag)).flatMap(({ children }) => children.map(baseOf));
  return { permitted: subtrees(0), excluded: subtrees(1) };
}

/** RFC 5280 4.2.1.10: a minimum is 0 and a maximum absent; whoever does not process others has to refuse them. */
function baseOf(subtree: DerNode): Name {
  const [base, ...bounds] = childrenOf(subtree, TAG.sequence, 'A name constraint');
  if (base === undefined) throw malformed('A name constraint is empty');
  const isWhole = bounds.every(
    (bound) =>
      bound.tag === contextPrimitive(0) && readSmallInteger({ ...bound, tag: TAG.integer }, 'Minimum') === 0,
  );
  if (!isWhole) throw malformed('A name constraint has bounds, which are not understood (RFC 5280 4.2.1.10)');
  return nameOf(base);
}

const nameOf = (node: DerNode): Name => ({ form: node.tag & 0x1f, node });

function namesOf({ subjectDer, alternativeNamesDer }: Certificate): readonly Name[] {
  const subject = decode(subjectDer);
  const others =
    alternativeNamesDer === undefined
      ? []
      : childrenOf(decode(alternativeNamesDer), TAG.sequence, 'Alternative names').map(nameOf);
  const emails = subject.children
    .flatMap(({ children }) => children)
    .filter(({ children: [type] }) => readOid(type, 'Subject') === EMAIL_ADDRESS)
    .flatMap(({ children: [, value] }) => (value === undefined ? [] : [{ form: FORM.email, node: value }]));
  const directory = subject.children.length === 0 ? [] : [{ form: FORM.directory, node: subject }];
  return [...directory, ...emails, ...others];
}

function areAllowed(names: readonly Name[], constraints: Constraints): boolean {
  const limits = constraints.permitted.length + constraints.excluded.length;
  if (names.length * limits > MAX_COMPARISONS) {
    throw malformed(`${names.length} names under ${limits} name constraints are too many to compare`);
  }
  return names.every((name) => isAllowed(name, constraints));
}

function isAllowed(name: Name, { permitted, excluded }: Constraints): boolean {
  const ofForm = ({ form }: Name): boolean => form === name.form;
  const within = matcherOf(name);
  const [may, mayNot] = [permitted.filter(ofForm), excluded.filter(ofForm)];
  if (may.length + mayNot.length === 0) return true;
  // Of a form that is not known here: it is refused, as it has to be.
  if (within === undefined) return false;
  return (may.length === 0 || may.some(within)) && !mayNot.some(within);
}

/** Whether a constraint holds the name; undefined where nobody here can say. */
function matcherOf({ form, node }: Name): ((constraint: Name) => boolean) | undefined {
  switch (form) {
    case FORM.email:
      return ({ node: base }) => isEmailWithin(textOf(node), textOf(base));
    case FORM.dns: {
      const host = textOf(node);
      // No preferred name syntax (RFC 5280 4.2.1.6), and whoever compares hosts takes the dot away: it would pass an
      // excluded one.
      return host.endsWith('.') ? undefined : ({ node: base }) => isHostWithin(host, textOf(base));
    }
    case FORM.directory:
      return ({ node: base }) => isBelow(rdnsOf(node), rdnsOf(base));
    case FORM.uri: {
      const host = hostOf(textOf(node));
      // RFC 5280 4.2.1.10: one without a host that is named is refused.
      return host === undefined ? undefined : ({ node: base }) => isHostOfUri(host, textOf(base));
    }
    case FORM.address:
      return ({ node: base }) => isAddressWithin(node.content, base.content);
    default:
      return undefined;
  }
}

const textOf = (node: DerNode): string => Buffer.from(node.content).toString('latin1').toLowerCase();

/** Zero or more labels more; with a dot before it, as openssl has it, one at least. */
function isHostWithin(host: string, base: string): boolean {
  if (base === '') return true;
  return base.startsWith('.') ? host.endsWith(base) : host === base || host.endsWith(`.${base}`);
}

const isHostOfUri = (host: string, base: string): boolean =>
  base.startsWith('.') ? host.endsWith(base) : host === base;

function isEmailWithin(email: string, base: string): boolean {
  if (base.includes('@')) return email === base;
  return isHostOfUri(email.slice(email.lastIndexOf('@') + 1), base);
}

function hostOf(uri: string): string | undefined {
  const host = /^[a-z][a-z0-9+.-]*:\/\/(?:[^/?#@]*@)?([^/?#:@]+)(?::\d*)?(?:[/?#]|$)/.exec(uri)?.[1];
  return host === undefined || isIPv4(host) || isIPv6(host) ? undefined : host;
}

/** Address and mask, of the same family (RFC 5280 4.2.1.10). */
function isAddressWithin(address: Uint8Array, base: Uint8Array): boolean {
  if (base.length !== address.length * 2) return false;
  return address.every((byte, index) => {
    const mask = base[address.length + index] ?? 0xff;
    return (byte & mask) === ((base[index] ?? 0) & mask);
  });
}

/** One text a part, alike where the names are (RFC 5280 7.1: whatever type of string, case and inner space). */
function rdnsOf(node: DerNode): readonly string[] {
  const name = node.tag === TAG.sequence ? node : node.children[0];
  return childrenOf(name, TAG.sequence, 'A directory name').map((rdn) =>
    JSON.stringify(
      childrenOf(rdn, TAG.set, 'A directory name')
        .map(({ children: [type, value] }) => [readOid(type, 'A directory name'), plain(value)])
        .toSorted(([a = ''], [b = '']) => (a < b ? -1 : 1)),
    ),
  );
}

const STRINGS: readonly number[] = [TAG.utf8, TAG.printable, TAG.ia5, TAG.teletex, TAG.bmp];

function plain(value: DerNode | undefined): string {
  // What is no string is compared as it is encoded.
  if (value !== undefined && !STRINGS.includes(value.tag)) return Buffer.from(value.bytes).toString('hex');
  return readText(value, 'A directory name').trim().replaceAll(/\s+/g, ' ').toLowerCase();
}

const isBelow = (name: readonly string[], base: readonly string[]): boolean =>
  base.every((rdn, index) => name[index] === rdn);
