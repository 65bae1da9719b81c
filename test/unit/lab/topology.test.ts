/** Topologies, wiring and fleet files, held against the names that scripts rely on and the rules of each network. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { controllerFiles } from '../../../src/lab/controllerNode.ts';
import {
  branchFor,
  checkFleetFits,
  labImagesOf,
  parseFleet,
  renderFleet,
} from '../../../src/lab/fleetFile.ts';
import { specOf } from '../../../src/lab/nodeSpecs.ts';
import { encodeBootstrapServers, renderDnsmasq, renderNat } from '../../../src/lab/provider.ts';
import { gatewayProblems, wantedReach } from '../../../src/lab/readiness.ts';
import { parseTopology, TOPOLOGIES_DIRECTORY } from '../../../src/lab/topology.ts';
import { planWiring, uplinkEndsOf } from '../../../src/lab/wiring.ts';
import { BranchboxError } from '../../../src/model/errors.ts';

const textOf = (name: string, file: string): string =>
  readFileSync(join(TOPOLOGIES_DIRECTORY, name, file), 'utf8');
const topology = parseTopology(textOf('default', 'topology.toml'), 'default');
const fleet = parseFleet(textOf('default', 'fleet.toml'), 'default');

describe('every topology', () => {
  it.each(readdirSync(TOPOLOGIES_DIRECTORY))('%s is decoded and can be wired', (name) => {
    const { cables } = planWiring(parseTopology(textOf(name, 'topology.toml'), name));
    const ends = cables.flatMap(({ a, b }) => [a, b]);
    const names = ends.map(({ node, ifname }) => `${node}/${ifname}`);
    expect(new Set(names).size).toBe(names.length);
    expect(new Set(ends.map(({ mac }) => mac)).size).toBe(ends.length);
    for (const { ifname } of ends) expect(ifname.length).toBeLessThanOrEqual(15);
  });
});

describe('every fleet of a topology', () => {
  const withFleet = readdirSync(TOPOLOGIES_DIRECTORY).filter((name) =>
    existsSync(join(TOPOLOGIES_DIRECTORY, name, 'fleet.toml')),
  );
  it.each(withFleet)('%s is decoded, and its hosts carry no more than it promises', (name) => {
    const wanted = parseFleet(textOf(name, 'fleet.toml'), name);
    expect(() => checkFleetFits(wanted, parseTopology(textOf(name, 'topology.toml'), name))).not.toThrow();
    const { tenantMtu, nodes } = parseTopology(textOf(name, 'topology.toml'), name);
    expect(tenantMtu).toBe(wanted.fleet.tenantMtu);
    const names = new Set(nodes.map((node) => node.name));
    for (const { id } of wanted.gateways) expect(names.has(id), id).toBe(true);
  });
});

describe('the topology of IPv6', () => {
  const six = parseTopology(textOf('v6', 'topology.toml'), 'v6');
  const wiring = planWiring(six);
  const provider = six.providers.find(({ name }) => name === 'provider-a') ?? expect.unreachable();

  it('has a line of IPv6 alone, where the provider advertises and names the bootstrap server', () => {
    const lines = renderDnsmasq(six, provider).split('\n');
    const from = lines.indexOf('interface=six');
    expect(lines.slice(from, from + 3)).toEqual([
      'interface=six',
      'dhcp-range=set:six,2001:db8:a6::,ra-stateless,64,3600s',
      'dhcp-option=tag:six,option6:dns-server,[2001:db8:a6::1]',
    ]);
    expect(lines).toContain('enable-ra');
    expect(lines.filter((line) => line.startsWith('dhcp-range=')).length).toBe(2);
    expect(lines.some((line) => line.startsWith('dhcp-option=option6:136,00:29:'))).toBe(true);
    expect(lines).toContain('host-record=controller.branchbox.example,198.51.100.10,2001:db8:a::10');
    // The router itself has no IPv4 there.
    expect(wiring.before.get('provider-a')?.filter((line) => line.endsWith(' dev six'))).toEqual([]);
    expect(wiring.before.get('provider-a')).toContain('address add 2001:db8:a6::1/64 dev six nodad');
  });

  it('has a controller that is reached in both families, and listens in both', () => {
    const controller = six.nodes.find(({ role }) => role === 'controller') ?? expect.unreachable();
    const config = Object.values(controllerFiles(six, controller)).join('');
    expect(config).toContain('addresses = ["198.51.100.10", "2001:db8:a::10"]');
    expect(config).toContain('[listen]\naddress = "::"\n');
    const cable = wiring.cables.find(({ a }) => a.node === 'controller');
    expect(cable?.a.setUp.slice(3)).toEqual([
      'link set dev eth0 up',
      'address add 2001:db8:a::10/64 dev eth0 nodad',
      'route add ::/0 via 2001:db8:a::1',
    ]);
    const others = topology.nodes.find(({ role }) => role === 'controller') ?? expect.unreachable();
    expect(Object.values(controllerFiles(topology, others)).join('')).not.toContain('[listen]');
  });
});

describe('the default topology', () => {
  it('has the names that everybody’s scripts agree on', () => {
    expect(planWiring(topology).nodes).toEqual([
      'provider-a',
      'provider-b',
      'controller',
      'hub',
      'branch1',
      'branch2',
      'branch1-red',
      'branch1-blue',
      'branch2-red',
      'branch2-blue',
      'internet-host',
      'unplugged',
    ]);
  });

  it('hands out the bootstrap server by option 143 and reserves the hub’s addresses', () => {
    const [a, b] = topology.providers.map((provider) => renderDnsmasq(topology, provider));
    const hex = Buffer.from('https://controller.branchbox.example:8443')
      .toString('hex')
      .match(/../g)
      ?.join(':');
    expect(a).toContain(`dhcp-option=143,00:29:${hex}\n`);
    expect(a).toMatch(/dhcp-host=02:[0-9a-f:]+,198\.51\.100\.20\n/);
    expect(b).toMatch(/dhcp-host=02:[0-9a-f:]+,203\.0\.113\.20\n/);
    expect(b).toContain('dhcp-range=set:access,100.64.1.1,100.64.1.254,255.255.0.0,3600s');
  });

  it('encodes option 143 as lengths and URIs (RFC 8572 8.1)', () => {
    expect(encodeBootstrapServers(['ab', 'c'])).toBe('00:02:61:62:00:01:63');
  });

  it('lets nothing into provider B’s access network unasked', () => {
    const [a, b] = topology.providers.map(renderNat);
    expect(a).toBe('');
    expect(b).toContain('ip saddr 100.64.0.0/16 oifname != "access" snat to 203.0.113.1');
    expect(b).toContain('oifname "access" ct state != { established, related } drop');
  });

  it('knows where each uplink can be cut', () => {
    const wiring = planWiring(topology);
    expect(uplinkEndsOf(wiring, 'branch1', 'lte')?.provider).toBe('provider-b');
    expect(uplinkEndsOf(wiring, 'branch1', 'internet')?.provider).toBe('provider-a');
    expect(uplinkEndsOf(wiring, 'branch1', 'satellite')).toBeUndefined();
  });

  it('wants hosts of one segment to reach each other and its app, and nothing across', () => {
    expect(wantedReach(topology, fleet).map(({ from, what }) => `${from}: ${what}`)).toEqual([
      'branch1-red: branch2-red at 10.10.0.12',
      'branch1-red: app red-app at 10.10.0.100',
      'branch1-blue: branch2-blue at 10.10.0.12',
      'branch2-red: app red-app at 10.10.0.100',
    ]);
  });

  it('is told to wait for each gateway, with what it is at', () => {
    const problems = gatewayProblems({ lab: 'x', topology: 'default', nodes: [] }, fleet);
    expect(problems.map(({ path, message }) => `${path} ${message}`)).toEqual([
      'hub is not running',
      'branch1 is not running',
      'branch2 is not running',
    ]);
  });

  it('is not told that a gateway works which says itself that it does not', () => {
    const branch = {
      name: 'branch1',
      role: 'branch' as const,
      running: true,
      bootstrap: 'OPERATIONAL' as const,
      generation: 2,
      uplinks: [],
      paths: [{ id: 'branch1.internet~hub.internet', state: 'up', active: true }],
      segments: ['red', 'blue'].map((id) => ({ id, tenant: id, state: 'up', ports: [] })),
      apps: [{ name: 'red-app', segment: 'red', address: '10.10.0.100/24', state: 'running' }],
    };
    const conditions = [{ code: 'uplink-down', subject: 'lte', sentence: 'Uplink lte has no living path.' }];
    const ofBranch = (health: 'ok' | 'degraded', said: typeof conditions): readonly string[] =>
      gatewayProblems(
        { lab: 'x', topology: 'default', nodes: [{ ...branch, health, conditions: said }] },
        fleet,
      ).flatMap(({ path, message }) => (path === 'branch1' ? [message] : []));
    expect(ofBranch('degraded', conditions)).toEqual(['Uplink lte has no living path.']);
    expect(ofBranch('degraded', [])).toEqual(['is degraded']);
    expect(ofBranch('ok', [])).toEqual([]);
  });
});

it('a node that a topology does not have is refused with those that it has', () => {
  expect(() => specOf(topology, 'nope')).toThrow(
    expect.objectContaining({
      code: 'cli/usage',
      message: 'there is no node nope in this lab',
      mend: expect.stringContaining('provider-a, provider-b, controller, hub, branch1'),
    }),
  );
  expect(specOf(topology, 'hub').role).toBe('hub');
});

describe('a topology file', () => {
  const broken = (change: (text: string) => string): readonly string[] => {
    try {
      parseTopology(change(textOf('default', 'topology.toml')), 'it');
      return [];
    } catch (error) {
      return error instanceof BranchboxError ? error.problems.map(({ path }) => path) : [String(error)];
    }
  };
  it('is refused with the path of what is wrong', () => {
    expect(broken((text) => text.replace('provider-b/access', 'provider-b/nowhere'))).toEqual([
      '$.nodes[2].uplinks[1].network',
    ]);
    expect(broken((text) => text.replace('reserved = "203.0.113.20"', 'reserved = "203.0.114.20"'))).toEqual([
      '$.nodes[1].uplinks[1].reserved',
    ]);
    expect(broken((text) => text.replace('port = "lan2", address', 'port = "lan9", address'))).toEqual([
      '$.nodes[5].lanOf',
    ]);
    const six = { from: 'router = "198.51.100.1/24"', to: 'router6 = "2001:db8::1/64"' };
    expect(broken((text) => text.replace(six.from, six.to))).toEqual([
      '$.providers[0].networks[0].dhcp',
      // Whoever has an address there.
      '$.nodes[0].uplinks[0].address',
      '$.nodes[1].uplinks[0].reserved',
      '$.nodes[8].uplinks[0].address',
    ]);
    expect(broken((text) => text.replace(six.from, `${six.from}\nadvertise = true`))).toEqual([
      '$.providers[0].networks[0].advertise',
    ]);
    expect(broken((text) => text.replace('address = "198.51.100.10"', 'address6 = "2001:db8::10"'))).toEqual([
      '$.nodes[0].uplinks[0].address6',
    ]);
    expect(broken((text) => text.replace('description', 'descripton'))).toEqual([
      '$.description',
      '$.descripton',
    ]);
  });
});

describe('the fleet of a topology', () => {
  it('gets the digests of what the lab built', () => {
    expect(labImagesOf(fleet)).toEqual([{ reference: 'lab/red-app:1', appName: 'red-app' }]);
    const sha256 = 'a'.repeat(64);
    const applied = parseFleet(renderFleet(fleet, new Map([['lab/red-app:1', sha256]])), 'it');
    expect(applied.gateways.flatMap(({ apps }) => apps).map(({ bundle }) => bundle)).toEqual([sha256]);
  });
  it('takes in one more branch, at a free VTEP', () => {
    const mine = branchFor(fleet, { id: 'mine', serial: 'LAB-MINE' });
    const grown = { ...fleet, gateways: [...fleet.gateways, mine] };
    const yours = branchFor(grown, { id: 'yours', serial: 'LAB-YOURS' });
    expect([mine, yours].map(({ id, vtep }) => `${id} ${vtep}`)).toEqual([
      'mine 10.255.0.100',
      'yours 10.255.0.101',
    ]);
    expect(branchFor(grown, { id: 'mine', serial: 'OTHER' })).toEqual({ ...mine, serial: 'OTHER' });
  });
  it('takes in one more where its range ends before .100, until that is full', () => {
    const own = fleet.gateways.map((gateway, i) => ({ ...gateway, vtep: `192.168.7.${i + 1}` }));
    const small = (vtepRange: string) => ({ ...fleet, fleet: { ...fleet.fleet, vtepRange }, gateways: own });
    const mine = { id: 'mine', serial: 'LAB-MINE' };
    expect(branchFor(small('192.168.7.0/29'), mine).vtep).toBe('192.168.7.4');
    expect(() => branchFor(small('192.168.7.0/30'), mine)).toThrow('every VTEP of 192.168.7.0/30 is taken');
  });
});

it('a fleet that names a gateway which no node is is refused, with those that there are', () => {
  const misnamed = textOf('default', 'fleet.toml').replaceAll('"branch2"', '"branch3"');
  try {
    checkFleetFits(parseFleet(misnamed, 'it'), parseTopology(textOf('default', 'topology.toml'), 'it'));
    expect.unreachable();
  } catch (thrown) {
    expect(thrown).toMatchObject({
      code: 'model/invalid',
      problems: [
        {
          path: '$.gateways[2].id',
          message: 'no gateway of the topology is named branch3: it has hub, branch1, branch2',
        },
      ],
    });
  }
});
