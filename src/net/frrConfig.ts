/**
 * Owns FRR's configuration as text: what a line is called (id), where it goes (order), how a running configuration
 * is read into lines, and how lines become a whole file or a change. Pure; net/frr.ts speaks to the daemons.
 * Lines must be written as `show running-config` of FRR 10.3 prints them (docs/evpn.md lists them): defaults such
 * as `detect-multiplier 3` or a distance of 1 are not printed, so they must not be wished for either.
 */
import { type ItemId, itemId } from '../model/ids.ts';
import type { FrrLineItem, FrrLineSpec } from './items.ts';

/** Written by FRR itself, or by its packaging; neither ours nor anyone's wish. */
const NOT_OURS =
  /^(frr (version|defaults) |hostname |log |service |(no )?(ip|ipv6) forwarding$|password |line vty|end$)/;
/**
 * A member of a peer group shows its group's graceful restart as its own where the group had it first (FRR 10.3), and
 * `no …` does not take it away: it is the group's line, and nobody wishes for one of a member.
 */
const OF_THE_GROUP = /^neighbor [0-9.]+ graceful-restart$/;
/** Ends of contexts and separators. */
const PUNCTUATION = /^(!|exit|exit-address-family|exit-vrf|end)/;
/** Contexts that exist by what is in them: never lines of their own. */
const IMPLICIT_CONTEXT = /^(bfd|address-family .+|interface .+)$/;
/** Contexts that are lines of their own, since `no LINE` removes them with all they hold. */
const CONTEXT_LINE = /^(router bgp \d+|route-map \S+ (permit|deny) \d+|profile \S+)$/;

/**
 * What a line sets, where that is one value: the same key with another value replaces it in FRR too, so it is a
 * change in place and never a gap. Everything else is its own key.
 */
const SINGLE_VALUED: readonly (readonly [RegExp, (match: RegExpExecArray) => string])[] = [
  // A nexthop has one distance and one monitor: FRR replaces the line for the same nexthop.
  [/^ip route (\S+) (\d+\.\d+\.\d+\.\d+) ([a-zA-Z]\S*)/, (m) => `ip route ${m[1]} ${m[2]} ${m[3]}`],
  [
    /^neighbor (\S+) (remote-as|update-source|advertisement-interval|description) /,
    (m) => `neighbor ${m[1]} ${m[2]}`,
  ],
  [/^neighbor (\S+) timers connect /, (m) => `neighbor ${m[1]} timers connect`],
  [/^neighbor (\S+) timers \d/, (m) => `neighbor ${m[1]} timers`],
  [/^neighbor (\S+) route-map \S+ (in|out)$/, (m) => `neighbor ${m[1]} route-map ${m[2]}`],
  [/^(bgp (?:router-id|cluster-id|graceful-restart \S+|route-map delay-timer)) /, (m) => `${m[1]}`],
  [/^((?:transmit|receive)-interval|detect-multiplier) /, (m) => `${m[1]}`],
];

/** Lower is sent first. What others refer to comes before them. */
const ORDER: readonly (readonly [RegExp, number])[] = [
  [/^bgp extcommunity-list /, 10],
  [/^bfd$|^profile /, 20],
  [/^route-map \S+ (permit|deny) \d+$/, 30],
  [/^ip route /, 40],
  [/^router bgp /, 50],
  [/^(no )?bgp /, 60],
  [/^neighbor \S+ peer-group$/, 70],
  [/^neighbor \S+ remote-as /, 80],
  [/^neighbor \S+ peer-group \S/, 90],
  // Filters before the neighbour they filter is spoken to.
  [/^neighbor \S+ route-map /, 94],
  [/^neighbor \S+ activate$/, 95],
];
const DEFAULT_ORDER = 100;
/** A line that runs but is not in the stored file: unlike any wish, so that a plan states it again. */
export const NOT_STORED_ORDER = -1;

function keyOf(line: string): string {
  for (const [pattern, key] of SINGLE_VALUED) {
    const match = pattern.exec(line);
    if (match !== null) return key(match);
  }
  return line;
}

export const frrItemId = (context: readonly string[], line: string): ItemId =>
  itemId('frr', ...context, keyOf(line));

export const isContextLine = (line: string): boolean => CONTEXT_LINE.test(line);

/** One wished-for or observed line, with the id and order that follow from it. */
export function frrLine(
  context: readonly string[],
  line: string,
  needs: readonly ItemId[] = [],
): FrrLineItem {
  const order = ORDER.find(([pattern]) => pattern.test(line))?.[1] ?? DEFAULT_ORDER;
  return { kind: 'frr', id: frrItemId(context, line), spec: { context, line, order }, needs, owner: 'us' };
}

/** `show running-config`, or our own stored file, as lines. Depth of context is one space each. */
export function parseFrrConfig(text: string): FrrLineItem[] {
  const items = new Map<ItemId, FrrLineItem>();
  const stack: string[] = [];
  for (const raw of text.slice(Math.max(0, text.indexOf('Current configuration:'))).split('\n')) {
    const line = raw.trim();
    if (line === '' || line === 'Current configuration:' || PUNCTUATION.test(line)) continue;
    const depth = raw.length - raw.trimStart().length;
    stack.length = Math.min(stack.length, depth);
    const context = [...stack];
    stack.push(line);
    if (NOT_OURS.test(line) || OF_THE_GROUP.test(line) || IMPLICIT_CONTEXT.test(line)) continue;
    const item = frrLine(context, line);
    items.set(item.id, item);
  }
  return [...items.values()];
}

/** Context lines open what others are in; then the order field, then the text, so that output is stable. */
function compareSpecs(a: FrrLineSpec, b: FrrLineSpec): number {
  return a.order - b.order || (a.line < b.line ? -1 : a.line > b.line ? 1 : 0);
}

interface Node {
  readonly line: string;
  readonly order: number;
  readonly children: Map<string, Node>;
  /** The item this line is, where it is one (implicit contexts are none). */
  item?: FrrLineItem;
}

function treeOf(items: readonly FrrLineItem[]): Node {
  const root: Node = { line: '', order: 0, children: new Map() };
  const child = (parent: Node, line: string): Node => {
    const known = parent.children.get(line);
    if (known !== undefined) return known;
    const node: Node = { line, order: frrLine([], line).spec.order, children: new Map() };
    parent.children.set(line, node);
    return node;
  };
  for (const item of items) {
    const parent = item.spec.context.reduce(child, root);
    child(parent, item.spec.line).item = item;
  }
  return root;
}

export interface FrrText {
  readonly text: string;
  /** The item of each line of the text, by line number from 1, where the line is one. */
  readonly itemAt: ReadonlyMap<number, FrrLineItem>;
}

const closingOf = (line: string): string =>
  line.startsWith('address-family ') ? 'exit-address-family' : 'exit';
const opensContext = (line: string): boolean => CONTEXT_LINE.test(line) || IMPLICIT_CONTEXT.test(line);

/** Lines with their contexts opened and closed, as FRR reads them from a file. */
export function renderFrrConfig(items: readonly FrrLineItem[]): FrrText {
  const lines: string[] = [];
  const itemAt = new Map<number, FrrLineItem>();
  const walk = (node: Node, depth: number): void => {
    // Plain lines of a context go before the contexts inside it, else FRR would leave the inner one for them.
    const children = [...node.children.values()].sort(
      (a, b) =>
        (depth === 0 ? 0 : Number(opensContext(a.line)) - Number(opensContext(b.line))) || compareNodes(a, b),
    );
    for (const next of children) {
      lines.push(' '.repeat(depth) + next.line);
      if (next.item !== undefined) itemAt.set(lines.length, next.item);
      if (opensContext(next.line)) {
        walk(next, depth + 1);
        lines.push(' '.repeat(depth) + closingOf(next.line));
      }
    }
  };
  walk(treeOf(items), 0);
  return { text: lines.map((line) => `${line}\n`).join(''), itemAt };
}

const compareNodes = (a: Node, b: Node): number =>
  compareSpecs({ context: [], line: a.line, order: a.order }, { context: [], line: b.line, order: b.order });

/** The `no …` of a line: FRR 10.3 takes every line of ours whole after `no`. */
export const negationOf = (line: string): string => (line.startsWith('no ') ? line.slice(3) : `no ${line}`);

/**
 * Lines to remove, the last ones first. What stands in a context that goes as well is not named: it goes with it.
 */
export function renderFrrRemoval(items: readonly FrrLineItem[]): FrrText {
  const gone = new Set(
    items
      .filter((item) => isContextLine(item.spec.line))
      .map((item) => [...item.spec.context, item.spec.line].join('\n')),
  );
  const within = (context: readonly string[]): boolean =>
    context.some((_, index) => gone.has(context.slice(0, index + 1).join('\n')));
  const lines: string[] = [];
  const itemAt = new Map<number, FrrLineItem>();
  const named = items
    .filter((item) => !within(item.spec.context))
    .sort((a, b) => b.spec.context.length - a.spec.context.length || compareSpecs(b.spec, a.spec));
  for (const item of named) {
    item.spec.context.forEach((line, depth) => lines.push(' '.repeat(depth) + line));
    lines.push(' '.repeat(item.spec.context.length) + negationOf(item.spec.line));
    itemAt.set(lines.length, item);
    [...item.spec.context]
      .reverse()
      .forEach((line, index) =>
        lines.push(' '.repeat(item.spec.context.length - 1 - index) + closingOf(line)),
      );
  }
  return { text: lines.map((line) => `${line}\n`).join(''), itemAt };
}

export interface FrrRejection {
  readonly lineNumber: number;
  readonly reason: string;
}

/**
 * What `vtysh -f` says of lines it or a daemon refused. One line can be named by several daemons; the first counts.
 * vtysh tells which line on stderr and lets the daemon's own words through on stdout, without saying which is which.
 */
export function parseFrrRejections(stderr: string, stdout: string): FrrRejection[] {
  const found = new Map<number, string>();
  for (const line of stderr.split('\n')) {
    const match = /^line (\d+): (.*)$/.exec(line.trim());
    if (match === null || (match[2] ?? '').startsWith('Warning[')) continue;
    const lineNumber = Number(match[1]);
    if (!found.has(lineNumber)) found.set(lineNumber, (match[2] ?? '').trim());
  }
  const words = stdout
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '' && !/^\[\d+\|/.test(line) && !line.startsWith('Waiting for children'));
  const said = words.length === 0 ? '' : ` (FRR said: ${[...new Set(words)].join('; ').slice(0, 500)})`;
  return [...found].map(([lineNumber, reason]) => ({ lineNumber, reason: reason + said }));
}
