/** The fleet that people write, held against what no network can bring about: each problem named at what they wrote. */
import { describe, expect, it } from 'vitest';
import { tryDecode } from '../../../src/model/decode.ts';
import { Fleet } from '../../../src/model/fleet.ts';
import { appMacOf } from '../../../src/model/ids.ts';
import { branch, SMALL_FLEET } from '../controller/fixtures.ts';

const app = (name: string, address: string, more: object = {}) => ({
  name,
  tenant: 'red',
  segment: 'red-lan',
  address,
  image: 'web:1',
  memoryMiB: 32,
  cpus: 0.5,
  ...more,
});
const branch1 = (more: object) => ({ ...branch('branch1', '10.255.0.11'), ...more });
const branch2 = (more: object) => ({ ...branch('branch2', '10.255.0.12'), ...more });

function problems(...gateways: readonly object[]): string[] {
  const decoded = tryDecode(Fleet, { ...SMALL_FLEET, gateways });
  return decoded.ok ? [] : decoded.problems.map(({ path, message }) => `${path} ${message}`);
}

describe('apps of one segment', () => {
  it('are taken side by side, and with one address in two segments', () => {
    const blue = app('c', '10.10.0.100', { tenant: 'blue', segment: 'blue-lan' });
    const apps = [app('a', '10.10.0.100'), app('b', '10.10.0.101'), blue];
    expect(problems(branch1({ apps }))).toEqual([]);
  });

  it('have an address each, at whichever gateway they run', () => {
    const apps = [app('a', '10.10.0.100'), app('b', '10.10.0.100')];
    expect(problems(branch1({ apps }))).toEqual([
      '$.gateways[0].apps[1].address 10.10.0.100 in segment red-lan is already used by $.gateways[0].apps[0]',
    ]);
    const [first, second] = apps;
    expect(problems(branch1({ apps: [first] }), branch2({ apps: [second] }))).toEqual([
      '$.gateways[1].apps[0].address 10.10.0.100 in segment red-lan is already used by $.gateways[0].apps[0]',
    ]);
  });

  it('have a station address each, also one that another derives from its name', () => {
    const macAddress = '02:00:00:00:00:01';
    const far = branch2({ apps: [app('b', '10.10.0.101', { macAddress })] });
    expect(problems(branch1({ apps: [app('a', '10.10.0.100', { macAddress })] }), far)).toEqual([
      `$.gateways[1].apps[0].macAddress ${macAddress} in segment red-lan is already used by $.gateways[0].apps[0]`,
    ]);
    const derived = appMacOf('branch1', { name: 'a', attachment: {} });
    const same = app('b', '10.10.0.101', { macAddress: derived });
    expect(problems(branch1({ apps: [app('a', '10.10.0.100'), same] }))).toHaveLength(1);
  });

  it('are hosts of its subnet', () => {
    for (const address of ['10.10.0.0', '10.10.0.255']) {
      expect(problems(branch1({ apps: [app('a', address)] }))).toEqual([
        '$.gateways[0].apps[0].address is the network or broadcast address of 10.10.0.0/24',
      ]);
    }
  });

  it('have no group address, and no NUL in what they are started with', () => {
    const pathOf = (more: object) =>
      problems(branch1({ apps: [app('a', '10.10.0.100', more)] })).map((problem) => problem.split(' ')[0]);
    const own = '$.gateways[0].apps[0]';
    for (const macAddress of ['01:00:5e:00:00:01', 'ff:ff:ff:ff:ff:ff', '00:00:00:00:00:00'])
      expect(pathOf({ macAddress }), macAddress).toEqual([`${own}.macAddress`]);
    expect(pathOf({ environment: { KEY: 'a\0b' } })).toEqual([`${own}.environment.KEY`]);
    expect(pathOf({ command: ['sh', '-c', '\0'] })).toEqual([`${own}.command[2]`]);
  });
});

it('a subnet is of addresses that can be sent to', () => {
  const segments = ['0.0.0.0/0', '224.0.0.0/24', '10.10.0.0/24'].map((subnet, i) => ({
    id: `s${i}`,
    tenant: 'red',
    vni: 10 + i,
    subnet,
  }));
  const decoded = tryDecode(Fleet, { ...SMALL_FLEET, segments, gateways: [] });
  const paths = decoded.ok ? [] : decoded.problems.map(({ path }) => path);
  expect(paths).toEqual(['$.segments[0].subnet', '$.segments[1].subnet']);
});

it('a VTEP is a host of its range', () => {
  for (const vtep of ['10.255.0.0', '10.255.255.255'])
    expect(problems(branch('branch1', vtep))).toEqual([
      '$.gateways[0].vtep is the network or broadcast address of 10.255.0.0/16',
    ]);
});

it('names within a gateway, and its ports, are told once each, at the second of the two', () => {
  const [internet] = branch1({}).uplinks;
  const uplinks = [internet, { name: 'internet', port: 'wan1' }];
  const ports = [
    { port: 'lan1', segment: 'red-lan' },
    { port: 'lan1', segment: 'blue-lan' },
  ];
  const apps = [app('a', '10.10.0.100'), app('a', '10.10.0.101')];
  expect(problems(branch1({ uplinks, ports, apps }))).toEqual([
    '$.gateways[0].uplinks[1].name internet is already used by $.gateways[0].uplinks[0]',
    '$.gateways[0].uplinks[1].port wan1 is already used by $.gateways[0].uplinks[0]',
    '$.gateways[0].ports[1].port lan1 is already used by $.gateways[0].ports[0]',
    '$.gateways[0].apps[1].name a is already used by $.gateways[0].apps[0]',
  ]);
});
