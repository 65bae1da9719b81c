/**
 * Owns `nft` of the fake box: whole transactions or nothing, complaints by line, and dumps as JSON.
 * Rules are kept as text: it knows what they may begin with and what sets and chains they name, not what they mean.
 */
import type { CommandResult } from '../../../src/system/ports.ts';
import { Words } from './words.ts';

interface FakeChain {
  readonly name: string;
  hook: { type: string; hook: string; prio: number; policy: string; dev?: string } | undefined;
  rules: string[];
}
interface FakeSet {
  readonly name: string;
  readonly type: readonly string[];
  readonly map: string | undefined;
  readonly flags: readonly string[];
  readonly elements: Map<string, string | undefined>;
}
interface FakeTable {
  readonly chains: Map<string, FakeChain>;
  readonly sets: Map<string, FakeSet>;
}
/** By `family name`. */
export type FakeNft = Map<string, FakeTable>;

/** `Could not process rule` of the kernel. */
class KernelRefusal extends Error {}
class SyntaxRefusal extends Error {}
const NO_ENTRY = 'Could not process rule: No such file or directory';
const BUSY = 'Could not process rule: Device or resource busy';
const RULE_STARTS =
  /^(iif|oif|iifname|oifname|ip|ip6|tcp|udp|th|icmp|icmpv6|ct|meta|ether|arp|fib|counter|accept|drop|return|jump|goto|limit|vlan|mark|log|masquerade|tproxy|socket)\b/;

export function runNft(nft: FakeNft, args: readonly string[], stdin: string): CommandResult {
  const line = args.join(' ');
  if (line === '-f -') return transact(nft, stdin);
  if (line === '-j -t -s list ruleset') return ok(dump(nft, () => true, false));
  if (line === '-j -s list ruleset') return ok(dump(nft, () => true, true));
  const table = /^-j -s list table (\S+ \S+)$/.exec(line)?.[1];
  if (table !== undefined) {
    if (nft.has(table)) return ok(dump(nft, (name) => name === table, true));
    return { exitCode: 1, stdout: '', stderr: 'Error: No such file or directory\n' };
  }
  return transact(nft, line);
}

const ok = (stdout = ''): CommandResult => ({ exitCode: 0, stdout, stderr: '' });

function transact(nft: FakeNft, text: string): CommandResult {
  const draft: FakeNft = structuredClone(nft);
  const refused = { syntax: [] as string[], kernel: [] as string[] };
  for (const [index, line] of text.split('\n').entries()) {
    if (line.trim() === '') continue;
    try {
      command(draft, line);
    } catch (thrown) {
      const complaint = (message: string): string =>
        `/dev/stdin:${index + 1}:1-9: Error: ${message}\n${line}\n^^^`;
      if (thrown instanceof SyntaxRefusal) refused.syntax.push(complaint(thrown.message));
      else if (thrown instanceof KernelRefusal) refused.kernel.push(complaint(thrown.message));
      else throw thrown;
    }
  }
  const complaints = refused.syntax.length > 0 ? refused.syntax : refused.kernel;
  if (complaints.length > 0) return { exitCode: 1, stdout: '', stderr: `${complaints.join('\n')}\n` };
  nft.clear();
  for (const [name, table] of draft) nft.set(name, table);
  return ok();
}

function command(nft: FakeNft, line: string): void {
  const [, verb = '', object = '', table = '', rest = ''] = /^(\w+) (\w+) (\w+ \w+) ?(.*)$/.exec(line) ?? [];
  const unknown = new Words(line).unknown('nft');
  const place = nft.get(table);
  const there = (): FakeTable => {
    if (place === undefined) throw new KernelRefusal(NO_ENTRY);
    return place;
  };
  const [, name = '', body = ''] = /^(\S+) ?(.*)$/.exec(rest) ?? [];
  switch (`${verb} ${object}`) {
    case 'add table':
      if (place === undefined) nft.set(table, { chains: new Map(), sets: new Map() });
      return;
    case 'delete table':
      there();
      nft.delete(table);
      return;
    case 'add chain':
      return addChain(there(), name, body, unknown);
    case 'flush chain':
      chainOf(there(), name).rules = [];
      return;
    case 'add rule':
      return addRule(there(), name, body);
    case 'destroy chain':
      if (isReferenced(there(), `(?:jump|goto) ${name}`)) throw new KernelRefusal(BUSY);
      there().chains.delete(name);
      return;
    case 'add set':
    case 'add map':
      return addSet(there(), object, name, body, unknown);
    case 'destroy set':
    case 'destroy map':
      if (isReferenced(there(), `@${name}`)) throw new KernelRefusal(BUSY);
      there().sets.delete(name);
      return;
    case 'add element':
    case 'delete element':
    case 'destroy element':
      return changeElement(there(), verb, name, body, unknown);
    default:
      throw unknown;
  }
}

function chainOf(table: FakeTable, name: string): FakeChain {
  const chain = table.chains.get(name);
  if (chain === undefined) throw new KernelRefusal(NO_ENTRY);
  return chain;
}

function addChain(table: FakeTable, name: string, body: string, unknown: Error): void {
  const chain = table.chains.get(name) ?? { name, hook: undefined, rules: [] };
  table.chains.set(name, chain);
  if (body === '') return;
  const match = /^\{ type (\w+) hook (\w+)(?: device "([^"]+)")? priority (-?\d+); policy (\w+); \}$/.exec(
    body,
  );
  if (match === null) throw unknown;
  const [, type = '', hook = '', dev, prio, policy = ''] = match;
  chain.hook = { type, hook, prio: Number(prio), policy, ...(dev === undefined ? {} : { dev }) };
}

function addRule(table: FakeTable, name: string, rule: string): void {
  if (!RULE_STARTS.test(rule)) throw new SyntaxRefusal(`syntax error, unexpected string in "${rule}"`);
  const chain = chainOf(table, name);
  for (const match of rule.matchAll(/@(?!(?:ll|nh|th|ih),)(\S+)|(?:jump|goto) (\S+)/g)) {
    const known = match[1] === undefined ? table.chains.has(match[2] ?? '') : table.sets.has(match[1]);
    if (!known) throw new KernelRefusal(NO_ENTRY);
  }
  chain.rules.push(rule);
}

function isReferenced(table: FakeTable, what: string): boolean {
  const pattern = new RegExp(`${what}(?![\\w.-])`);
  const inRules = [...table.chains.values()].some((chain) => chain.rules.some((rule) => pattern.test(rule)));
  const values = [...table.sets.values()].flatMap((set) => [...set.elements.values()]);
  return inRules || values.some((value) => value !== undefined && pattern.test(value));
}

function addSet(table: FakeTable, object: string, name: string, body: string, unknown: Error): void {
  const match = /^\{ type ([^:;]+?)(?: : ([^;]+))?; ?(?:flags ([^;]+); )?\}$/.exec(body);
  if (match?.[1] === undefined || (match[2] === undefined) !== (object === 'set')) throw unknown;
  if (table.sets.has(name)) return;
  table.sets.set(name, {
    name,
    type: match[1].split(' . '),
    map: match[2],
    flags: match[3]?.split(', ') ?? [],
    elements: new Map(),
  });
}

function changeElement(table: FakeTable, verb: string, name: string, body: string, unknown: Error): void {
  const set = table.sets.get(name);
  if (set === undefined) throw new KernelRefusal(NO_ENTRY);
  const match = /^\{ (.+?)(?: : (.+?))? \}$/.exec(body);
  if (match?.[1] === undefined) throw unknown;
  const [key, value] = [match[1].replaceAll('"', ''), match[2]];
  if (key.split(' . ').length !== set.type.length) throw new SyntaxRefusal('datatype mismatch');
  if (verb !== 'add') {
    if (!set.elements.delete(key) && verb === 'delete') throw new KernelRefusal(NO_ENTRY);
    return;
  }
  const target = /^(?:jump|goto) (\S+)$/.exec(value ?? '')?.[1];
  if (target !== undefined && !table.chains.has(target)) throw new KernelRefusal(NO_ENTRY);
  const before = set.elements.get(key);
  if (set.elements.has(key) && before !== value)
    throw new KernelRefusal('Could not process rule: File exists');
  set.elements.set(key, value);
}

function dump(nft: FakeNft, wanted: (table: string) => boolean, elements: boolean): string {
  const entries: object[] = [{ metainfo: { version: '1.1.3', json_schema_version: 1 } }];
  for (const [key, { chains, sets }] of nft) {
    const [family = '', table = ''] = key.split(' ');
    if (!wanted(key)) continue;
    entries.push({ table: { family, name: table } });
    for (const { name, hook } of chains.values()) entries.push({ chain: { family, table, name, ...hook } });
    for (const { name, type, map, flags, elements: elem } of sets.values()) {
      const object = {
        family,
        name,
        table,
        type: type.length === 1 ? type[0] : type,
        ...(map === undefined ? {} : { map }),
        ...(flags.length === 0 ? {} : { flags }),
        ...(elements && elem.size > 0 ? { elem: [...elem].map(([k, v]) => elementJson(k, v)) } : {}),
      };
      entries.push(map === undefined ? { set: object } : { map: object });
    }
    for (const { name, rules } of chains.values()) {
      for (const rule of rules)
        entries.push({ rule: { family, table, chain: name, expr: [{ text: rule }] } });
    }
  }
  return JSON.stringify({ nftables: entries });
}

function elementJson(key: string, value: string | undefined): unknown {
  const parts = key.split(' . ').map(partJson);
  const left = parts.length === 1 ? parts[0] : { concat: parts };
  if (value === undefined) return left;
  const [word = '', target] = value.split(' ');
  const verdict = /^(accept|drop|continue|return|jump|goto)$/.test(word);
  const right = target === undefined ? null : { target };
  return [left, verdict ? { [word]: right } : partJson(value)];
}

function partJson(text: string): unknown {
  if (/^(0x[0-9a-f]+|\d+)$/.test(text)) return Number(text);
  const [, addr, len] = /^([0-9a-f.:]+)\/(\d+)$/.exec(text) ?? [];
  if (addr !== undefined) return { prefix: { addr, len: Number(len) } };
  const range = /^([0-9.]+)-([0-9.]+)$/.exec(text);
  return range === null ? text : { range: [range[1], range[2]] };
}
