/**
 * Owns `ip` and `bridge` of the fake box: batches, the lines in them, and dumps as JSON. Does not own links (ipLink.ts).
 * Knows the commands the product uses, and those with which a test plays somebody else; no others.
 */
import type { CommandResult } from '../../../src/system/ports.ts';
import { linkAdd, linkSet } from './ipLink.ts';
import { addressDump, fdbDump, linkDump, routeDump, ruleDump } from './ipDump.ts';
import { type FakeKernel, type FakeRoute, GivenUp, Refusal } from './kernel.ts';
import { Words } from './words.ts';

type Family = '-4' | '-6';
const ok = (stdout = ''): CommandResult => ({ exitCode: 0, stdout, stderr: '' });

export function runIp(kernel: FakeKernel, args: readonly string[], stdin: string): CommandResult {
  const words = new Words(args);
  const family: Family = words.take('-6') ? '-6' : '-4';
  if (family === '-4') words.take('-4');
  switch (words.rest) {
    case '-force -batch -':
      return batch(stdin, (line) => ipLine(kernel, new Words(line), family));
    case '-j -d -N -batch -':
    case '-j -d -N -force -batch -':
      return show(kernel, stdin);
    case '-j -d -N address':
      return ok(linkDump(kernel));
    case '-batch -':
      return batch(stdin, (line) => ipLine(kernel, new Words(line), family), 'until refused');
    case '-j -N address':
      return ok(addressDump(kernel));
    case '-j -N route show table all proto 98':
      return ok(routeDump(kernel, 98));
    case '-j -N route show table all':
      return ok(routeDump(kernel));
    case '-j -N rule':
      return ok(ruleDump(kernel, family));
    default:
      // As a person types it: one line, its refusal as the exit code.
      return batch(words.rest, (line) => ipLine(kernel, new Words(line), family));
  }
}

export function runBridge(kernel: FakeKernel, args: readonly string[], stdin: string): CommandResult {
  const words = new Words(args);
  switch (words.rest) {
    case '-force -batch -':
      return batch(stdin, (line) => bridgeLine(kernel, new Words(line)));
    case '-j fdb show state static':
      return ok(fdbDump(kernel));
    default:
      return batch(words.rest, (line) => bridgeLine(kernel, new Words(line)));
  }
}

/** One line of JSON for each question; none for a link that is not there. */
function show(kernel: FakeKernel, stdin: string): CommandResult {
  let stdout = '';
  const result = batch(stdin, (line) => {
    const device = /^address show dev (\S+)$/.exec(line)?.[1];
    if (device !== undefined && !kernel.links.has(device)) {
      throw new Refusal(`Device "${device}" does not exist.`);
    }
    if (line === 'address show' || device !== undefined) stdout += `${linkDump(kernel, device)}\n`;
    else if (line === 'route show table all proto 98') stdout += `${routeDump(kernel, 98)}\n`;
    else if (line === 'rule show') stdout += `${ruleDump(kernel, '-4')}\n`;
    else throw new Words(line).unknown('shown');
  });
  return { ...result, stdout };
}

/** Goes on after a refusal, as with -force, unless told otherwise. */
function batch(text: string, run: (line: string) => void, until?: 'until refused'): CommandResult {
  const complaints: string[] = [];
  for (const [index, line] of text.split('\n').entries()) {
    if (line.trim() === '') continue;
    try {
      run(line);
    } catch (thrown) {
      if (thrown instanceof GivenUp) {
        return { exitCode: 255, stdout: '', stderr: [...complaints, thrown.message].join('\n') };
      }
      if (!(thrown instanceof Refusal)) throw thrown;
      complaints.push(thrown.message, `Command failed -:${index + 1}`);
      if (until !== undefined) break;
    }
  }
  const failed = complaints.length > 0;
  return { exitCode: failed ? 1 : 0, stdout: '', stderr: failed ? `${complaints.join('\n')}\n` : '' };
}

function ipLine(kernel: FakeKernel, words: Words, family: Family): void {
  const [object, verb] = [words.next(), words.next()];
  switch (`${object} ${verb}`) {
    case 'link add':
      return linkAdd(kernel, words);
    case 'link set':
      return linkSet(kernel, words);
    case 'link delete':
      words.expect('dev');
      kernel.removeLink(words.next());
      return words.end();
    case 'address add':
    case 'address del':
      return addressLine(kernel, words, verb);
    case 'route add':
    case 'route replace':
    case 'route del':
      return routeLine(kernel, words, verb);
    case 'rule add':
    case 'rule del':
      return ruleLine(kernel, words, verb, family);
    default:
      throw words.unknown(`${object} ${verb}`);
  }
}

function addressLine(kernel: FakeKernel, words: Words, verb: string): void {
  const address = words.next();
  let link = '';
  let protocol: number | undefined;
  words.options({
    dev: () => void (link = words.next()),
    proto: () => void (protocol = words.number()),
    nodad: () => {
      if (!address.includes(':'))
        throw new GivenUp('Error: either "local" is duplicate, or "nodad" is a garbage.');
    },
  });
  if (verb === 'add') kernel.addAddress({ link, address, protocol });
  else kernel.removeAddress(link, address);
}

function routeLine(kernel: FakeKernel, words: Words, verb: string): void {
  const type = words.take('unreachable') ? 'unreachable' : 'unicast';
  const route: { -readonly [K in keyof FakeRoute]: FakeRoute[K] } = {
    type,
    dst: words.next(),
    table: 254,
    metric: 0,
    protocol: 3,
    via: undefined,
    dev: undefined,
    src: undefined,
    onlink: false,
  };
  words.options({
    table: () => void (route.table = words.number()),
    metric: () => void (route.metric = words.number()),
    proto: () => void (route.protocol = words.number()),
    via: () => void (route.via = words.next()),
    dev: () => void (route.dev = words.next()),
    src: () => void (route.src = words.next()),
    onlink: () => void (route.onlink = true),
  });
  if (verb === 'del') kernel.removeRoute(route);
  else kernel.addRoute(route, verb === 'replace');
}

function ruleLine(kernel: FakeKernel, words: Words, verb: string, family: Family): void {
  let preference = 0;
  let from: string | undefined;
  let to: string | undefined;
  let mark: number | undefined;
  let table: number | undefined;
  let protocol = 3;
  words.options({
    pref: () => void (preference = words.number()),
    from: () => void (from = hostOf(words.next())),
    to: () => void (to = hostOf(words.next())),
    fwmark: () => void (mark = words.number()),
    lookup: () => void (table = words.number()),
    unreachable: () => void (table = undefined),
    protocol: () => void (protocol = words.number()),
  });
  const rule = { family, preference, from, to, mark, table, protocol };
  const at = kernel.rules.findIndex((other) => JSON.stringify(other) === JSON.stringify(rule));
  if (verb === 'add' && at >= 0) throw new Refusal('RTNETLINK answers: File exists');
  if (verb === 'del' && at < 0) throw new Refusal('RTNETLINK answers: No such file or directory');
  if (verb === 'add') kernel.rules.push(rule);
  else kernel.rules.splice(at, 1);
}

/** A host's prefix is printed without its length. */
const hostOf = (prefix: string): string => prefix.replace(prefix.includes(':') ? /\/128$/ : /\/32$/, '');

function bridgeLine(kernel: FakeKernel, words: Words): void {
  words.expect('fdb');
  const verb = words.next();
  if (verb !== 'replace' && verb !== 'del') throw words.unknown(verb);
  const mac = words.next();
  words.expect('dev');
  const link = kernel.link(words.next());
  words.expect('master');
  words.expect('static');
  const externLearn = words.take('extern_learn');
  words.end();
  if (link.master === undefined) throw new Refusal('RTNETLINK answers: Operation not supported');
  const rest = kernel.fdb.filter((entry) => entry.mac !== mac || entry.link !== link.name);
  if (verb === 'del' && rest.length === kernel.fdb.length) {
    throw new Refusal('RTNETLINK answers: No such file or directory');
  }
  kernel.fdb = verb === 'del' ? rest : [...rest, { mac, link: link.name, master: link.master, externLearn }];
}
