/** What the box wants, read anew: a look tells of each change once, and a read-out takes and leaves nothing. */
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { createMediumNetwork } from '../../../src/agent/mediumNetwork.ts';
import { AGENT_PATHS } from '../../../src/agent/paths.ts';
import { createWanted, type Wanted } from '../../../src/agent/wanted.ts';
import { createFiles } from '../../../src/system/linux/files.ts';
import { createLogger } from '../../../src/system/linux/logger.ts';
import type { ModemWish } from '../../../src/wan/modemSeen.ts';
import { createFakeBox } from '../../fakes/box.ts';
import { appSpec } from '../../lab/appSpec.ts';
import { factsOf } from '../../lab/wan/fleet.ts';

const system = {
  files: createFiles(),
  services: createFakeBox().system.services,
  log: createLogger({ name: 'test', write: () => undefined }),
};
const facts = { ...factsOf(`${'A'.repeat(42)}A=`), leases: [] };
const limit = new AbortController().signal;
const MARK = '{"schema":1,"sinceMs":5,"why":"this box was revoked"}';
const NETWORK = JSON.stringify({
  schema: 1,
  addressing: { kind: 'static', address: '192.0.2.7/24', gateway: '192.0.2.1' },
});

let directory: string;
let gatewayId: string | undefined;
let held: readonly ModemWish[];
let byDhcp: ReadonlySet<string>;
let wanted: Wanted;
const parts = (): Parameters<typeof createWanted>[0] => {
  const paths = { ...AGENT_PATHS, identity: directory, state: join(directory, 'agent'), run: directory };
  return {
    system,
    paths,
    facts: { gather: () => Promise.resolve(facts) },
    network: createMediumNetwork(system, paths),
    spec: () => undefined,
    gatewayId: () => gatewayId,
    clockIsBehind: () => false,
    modems: { hold: (wishes) => void (held = wishes), byDhcp: () => byDhcp },
  };
};
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'bbt-wanted-'));
  gatewayId = undefined;
  held = [];
  byDhcp = new Set();
  wanted = await createWanted(parts());
  await wanted.look();
});
afterEach(() => rm(directory, { recursive: true, force: true }));

it.each([
  ['an owner', () => Promise.resolve(void (gatewayId = 'branch1'))],
  ['a quarantine', () => writeFile(join(directory, 'quarantine.json'), MARK)],
  ["a medium's network", () => writeFile(join(directory, 'network.json'), NETWORK)],
])('a look tells of %s once, whoever saw it before', async (_what, change) => {
  expect(await wanted.look()).toBe(false);
  await change();
  await wanted.read(limit);
  await wanted.items(limit);
  expect([await wanted.look(), await wanted.look()]).toEqual([true, false]);
});

it('who looks by SSH sends nothing, whatever number his account has on this machine', async () => {
  const accounts = join(directory, 'passwd');
  await writeFile(accounts, 'root:x:0:0::/root:/bin/sh\nbranchbox-look:x:993:992::/:/bin/bash\n');
  const outputs = async (options: { readonly accounts?: string }) => {
    const items = await (await createWanted({ ...parts(), ...options })).read(limit);
    return items.flatMap(({ id, spec }) => (id === 'nft-chain:inet/output' ? JSON.stringify(spec) : []));
  };
  expect(await outputs({ accounts })).toEqual([expect.stringContaining('"rules":["meta skuid 993 drop"')]);
  expect(await outputs({ accounts: join(directory, 'none') })).toEqual([
    expect.not.stringContaining('skuid'),
  ]);
});

it('lanes that ask at once end the sessions of other keys once, and leave what is wanted now', async () => {
  let keys = ['one'];
  const stops: string[] = [];
  const services = {
    ...system.services,
    stop: async (units: readonly string[]) => {
      stops.push(...units);
      await new Promise(setImmediate);
    },
  };
  const spec = () => ({ ...appSpec(), ssh: { keys, from: ['203.0.113.0/24'] } });
  const lanes = await createWanted({
    ...parts(),
    system: { ...system, services },
    spec,
    gatewayId: () => 'b',
  });
  await lanes.items(limit);
  keys = ['two'];
  await Promise.all([lanes.items(limit), lanes.items(limit), lanes.items(limit)]);
  expect(stops).toEqual(['branchbox-ssh.service']);
  expect(await readFile(join(directory, 'ssh/authorized_keys'), 'utf8')).toMatch(/ two\n$/);
});

it('a read-out writes nothing, and shows what is wanted', async () => {
  await writeFile(join(directory, 'network.json'), NETWORK);
  const shown = await wanted.read(limit);
  expect(await readdir(directory)).toEqual(['network.json']);
  expect(await wanted.items(limit)).toEqual(shown);
  expect(await readdir(directory)).toEqual(['agent', 'leases', 'network.json']);
});

it('a modem is held to what the fleet or the medium says of it, and by DHCP once its network wants that', async () => {
  const modem = { label: 'lte1', role: 'wan', ifname: 'wwan0', carrier: true, modem: true } as const;
  const withModem = {
    ...parts(),
    facts: { gather: () => Promise.resolve({ ...facts, ports: [...facts.ports, modem] }) },
  };
  const unitsOf = async (more: Partial<Parameters<typeof createWanted>[0]> = {}) => {
    const items = await (await createWanted({ ...withModem, ...more })).items(limit);
    return items.flatMap(({ id }) => (/^(service:.*|link:)wwan0/.test(id) ? [id] : []));
  };
  // Before there is a desired state: by whatever its network gives, and in no item.
  expect(await unitsOf()).toEqual([]);
  expect(held).toEqual([{ port: 'lte1', ifname: 'wwan0' }]);
  const medium = { kind: 'modem', apn: 'start', pin: '4711' };
  await writeFile(join(directory, 'network.json'), JSON.stringify({ schema: 1, addressing: medium }));
  await unitsOf();
  expect([held[0]?.apn, held[0]?.pin?.reveal()]).toEqual(['start', '4711']);
  const uplinks = (port: string) => [
    {
      name: 'lte',
      slot: 1,
      port,
      colour: 'lte',
      metered: true,
      addressing: { kind: 'modem', apn: 'fleet' } as const,
    },
  ];
  const spec = (port: string) => () => ({ ...appSpec(), uplinks: uplinks(port), tunnels: [] });
  gatewayId = 'branch1';
  await unitsOf({ spec: spec('lte1') });
  expect([held[0]?.apn, held[0]?.pin?.reveal()]).toEqual(['fleet', '4711']);
  byDhcp = new Set(['lte1']);
  expect(await unitsOf({ spec: spec('lte1') })).toEqual(['link:wwan0', 'service:dhcpcd@wwan0.service']);
  expect(held[0]?.apn).toBe('fleet');
  gatewayId = undefined;
  expect(await unitsOf()).toContain('service:dhcpcd@wwan0.service');
  // What the medium said is of the first modem, and no other one's.
  await unitsOf({ spec: spec('modem7') });
  expect(held).toEqual([{ port: 'modem7', ifname: undefined, apn: 'fleet' }]);
});
