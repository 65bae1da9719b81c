/** What pppd is told of a line: words that no user name breaks out of, readable by root alone, never in an item. */
import { mkdtemp, readdir, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { renderBox } from '../../../src/agent/items.ts';
import { holdPppoeLines, renderPppoeLines } from '../../../src/agent/pppoeLines.ts';
import { BootstrapNetwork } from '../../../src/model/medium.ts';
import { createFiles } from '../../../src/system/linux/files.ts';
import { planFactoryUplinks } from '../../../src/wan/factory.ts';
import { factsOf } from '../../lab/wan/fleet.ts';

const facts = factsOf(`${'A'.repeat(42)}A=`);
const network = (more: object = {}, user = 'line7@isp', password = 'p w'): BootstrapNetwork =>
  BootstrapNetwork.parse({ schema: 1, addressing: { kind: 'pppoe', user, password }, ...more });
const render = (of: BootstrapNetwork) => renderPppoeLines(planFactoryUplinks(facts, of), of, facts);

let directory: string;
let stopped: string[];
const files = createFiles();
const hold = (lines: ReadonlyMap<string, string>) =>
  holdPppoeLines(
    {
      files,
      services: {
        stop: async (units) => {
          // Before the file is another: what is started in between reads what it is started for, or is stopped.
          stopped.push(...units, await readFile(join(directory, 'ppp-wan1.conf'), 'utf8'));
        },
      },
    },
    directory,
    lines,
  );
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'bbt-pppoe-'));
  stopped = [];
});
afterEach(() => rm(directory, { recursive: true, force: true }));

it('names the port, or the VLAN on it, and as whom', () => {
  expect([...render(network())]).toEqual([['ppp-wan1', 'nic-wan1\nuser "line7@isp"\npassword "p w"\n']]);
  expect([...render(network({ vlan: 7, port: 'wan2' }))]).toEqual([
    ['ppp-wan2', 'nic-wan2.7\nuser "line7@isp"\npassword "p w"\n'],
  ]);
});

it('quotes every word, so that none becomes an option', () => {
  const text = render(network({}, 'a"b', `\\ 'x' #d "\\"`)).get('ppp-wan1');
  expect(text).toBe(`nic-wan1\nuser "a\\"b"\npassword "\\\\ 'x' #d \\"\\\\\\""\n`);
  for (const bad of ['a\nplugin x', 'a\u0000b', 'a\u2028b'.replace('\u2028', '\u0085'), '']) {
    expect(
      BootstrapNetwork.safeParse({ schema: 1, addressing: { kind: 'pppoe', user: bad, password: 'x' } })
        .success,
      bad,
    ).toBe(false);
  }
});

it('takes no word that pppd would cut: 255 bytes, whatever its letters are', () => {
  const fits = (password: string) =>
    BootstrapNetwork.safeParse({ schema: 1, addressing: { kind: 'pppoe', user: 'u', password } }).success;
  expect([fits('ö'.repeat(127)), fits('ö'.repeat(128)), fits('€'.repeat(85)), fits('€'.repeat(86))]).toEqual([
    true,
    false,
    true,
    false,
  ]);
});

it('says nothing of a line that no medium is for, nor of a port that is not there', () => {
  const dhcp = BootstrapNetwork.parse({ schema: 1, addressing: { kind: 'dhcp' } });
  expect(render(dhcp).size).toBe(0);
  const one = network();
  const uplinks = planFactoryUplinks(facts, network({ port: 'wan2' }));
  expect(renderPppoeLines(uplinks, one, facts).size).toBe(0);
  expect(renderPppoeLines(planFactoryUplinks(facts, one), one, { ports: [] }).size).toBe(0);
});

it('is a file that root alone reads; pppd is stopped before it becomes another, and not else', async () => {
  const first = render(network());
  await hold(first);
  await hold(first);
  expect((await stat(join(directory, 'ppp-wan1.conf'))).mode & 0o777).toBe(0o600);
  expect(stopped).toEqual([]);
  const second = render(network({}, 'other'));
  await hold(second);
  expect(stopped).toEqual(['pppoe@ppp-wan1.service', first.get('ppp-wan1')]);
  expect(await readFile(join(directory, 'ppp-wan1.conf'), 'utf8')).toBe(second.get('ppp-wan1'));
  await hold(new Map());
  expect(await readdir(directory)).toEqual([]);
});

it('tells no item what the password is', () => {
  const items = renderBox(undefined, facts, undefined, { network: network({}, 'line7@isp', 'geheim') });
  expect(items.map(({ id }) => id)).toContain('service:pppoe@ppp-wan1.service');
  expect(JSON.stringify(items)).not.toMatch(/geheim|line7/);
});

it('is refused beside an IPv6 address, which no session here would get', () => {
  const line = { schema: 1, addressing: { kind: 'pppoe', user: 'u', password: 'p' } };
  const addressing6 = { kind: 'static', address: '2001:db8:5::5/64', gateway: 'fe80::1', dns: [] };
  expect(BootstrapNetwork.safeParse(line).success).toBe(true);
  expect(BootstrapNetwork.safeParse({ ...line, addressing6 }).success).toBe(false);
});
