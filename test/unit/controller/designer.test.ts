/** The design of each gateway from a fleet, held against the other end of every path and what must be refused. */
import { describe, expect, it } from 'vitest';
import { allocate, NO_ALLOCATIONS } from '../../../src/controller/allocations.ts';
import { designFleet, designGateway } from '../../../src/controller/designer.ts';
import { BranchboxError } from '../../../src/model/errors.ts';
import type { Fleet } from '../../../src/model/fleet.ts';
import { inputs, specOf } from './designing.ts';
import { branch, fleetOf, hub, publicKey, SMALL_FLEET } from './fixtures.ts';

describe('a branch', () => {
  const spec = specOf('branch1', inputs(SMALL_FLEET));

  it('has one tunnel per path, own uplinks first', () => {
    expect(spec.tunnels.map((t) => [t.id, t.uplink, t.address, t.peers[0]?.path])).toEqual([
      ['internet-hub-internet', 'internet', '10.254.0.2/22', 'branch1.internet~hub.internet'],
      ['internet-hub-lte', 'internet', '10.254.8.2/22', 'branch1.internet~hub.lte'],
      ['lte-hub-internet', 'lte', '10.254.4.2/22', 'branch1.lte~hub.internet'],
      ['lte-hub-lte', 'lte', '10.254.12.2/22', 'branch1.lte~hub.lte'],
    ]);
  });

  it('sends to the public address of the hub uplink, at the port of its own slot', () => {
    expect(spec.tunnels.map((t) => t.peers[0]?.endpoint)).toEqual([
      { address: '198.51.100.20', port: 51_821 },
      { address: '203.0.113.20', port: 51_837 },
      { address: '198.51.100.20', port: 51_822 },
      { address: '203.0.113.20', port: 51_838 },
    ]);
  });

  it('lets the whole VTEP range through the hub and keeps NAT open', () => {
    expect(spec.tunnels[0]?.peers[0]).toMatchObject({ allowed: ['10.255.0.0/16'], keepaliveS: 25 });
  });

  it('peers with the hub and has the segments that its ports use', () => {
    expect(spec.overlay).toEqual({ reflectors: [{ gatewayId: 'hub', vtep: '10.255.0.1' }], clients: [] });
    expect(spec.segments.map((s) => s.id)).toEqual(['blue-lan', 'red-lan']);
  });
});

describe('a hub', () => {
  const spec = specOf('hub', inputs(SMALL_FLEET));

  it('has one interface per own uplink and spoke slot, every spoke a peer there', () => {
    expect(spec.tunnels.map((t) => [t.id, t.listenPort, t.address, t.peers.length])).toEqual([
      ['internet-slot1', 51_821, '10.254.0.1/22', 2],
      ['internet-slot2', 51_822, '10.254.4.1/22', 2],
      ['lte-slot1', 51_837, '10.254.8.1/22', 2],
      ['lte-slot2', 51_838, '10.254.12.1/22', 2],
    ]);
  });

  it('permits each branch the VNIs that it uses, and has no segment of its own', () => {
    expect(spec.overlay.clients.map((c) => [c.gatewayId, c.vnis])).toEqual([
      ['branch1', [10_010, 10_020]],
      ['branch2', [10_010, 10_020]],
    ]);
    expect(spec.segments).toEqual([]);
  });

  it('peers with no other hub, to which no tunnel leads; a branch peers with both', () => {
    const second = {
      ...hub('hub2', '10.255.0.2'),
      uplinks: [{ name: 'internet', port: 'wan1', publicAddress: '198.51.100.21' }],
    };
    const two = inputs(fleetOf([hub('hub', '10.255.0.1'), second, branch('branch1', '10.255.0.11')]));
    const peersOf = (gateway: string): string[] =>
      specOf(gateway, two).overlay.reflectors.map(({ gatewayId }) => gatewayId);
    expect(peersOf('hub')).toEqual([]);
    expect(peersOf('hub2')).toEqual([]);
    expect(peersOf('branch1')).toEqual(['hub', 'hub2']);
  });
});

describe('both ends of a path', () => {
  it('name it alike, prefer it alike, and hold each other as peer in one network', () => {
    const from = inputs(SMALL_FLEET);
    const spokeEnds = ['branch1', 'branch2'].flatMap((id) =>
      specOf(id, from).tunnels.flatMap((t) => t.peers.map((p) => ({ id, address: t.address, peer: p }))),
    );
    const hubEnds = specOf('hub', from).tunnels.flatMap((t) =>
      t.peers.map((p) => ({ address: t.address, peer: p })),
    );
    expect(hubEnds.length).toBe(spokeEnds.length);
    for (const { id, address, peer } of spokeEnds) {
      const other = hubEnds.find((end) => end.peer.path === peer.path);
      expect(other?.peer).toMatchObject({
        gatewayId: id,
        preference: peer.preference,
        tunnelAddress: address.split('/')[0],
      });
      expect(other?.address.split('/')[0]).toBe(peer.tunnelAddress);
    }
  });

  it('have preferences unique per VTEP', () => {
    const spec = specOf('hub', inputs(SMALL_FLEET));
    const seen = spec.tunnels.flatMap((t) => t.peers.map((p) => `${p.vtep} ${p.preference}`));
    expect(new Set(seen).size).toBe(seen.length);
  });

  it('appear only once the other key is known', () => {
    const from = inputs(SMALL_FLEET, { publicKeys: new Map([['branch1', publicKey(2)]]) });
    expect(specOf('branch1', from).tunnels.map((t) => t.peers)).toEqual([[], [], [], []]);
    const atHub = specOf('hub', from).tunnels.flatMap((t) => t.peers.map((p) => p.gatewayId));
    expect(new Set(atHub)).toEqual(new Set(['branch1']));
  });
});

describe('an app', () => {
  const withApp = (change: object) =>
    fleetOf([
      hub('hub', '10.255.0.1'),
      {
        ...branch('branch1', '10.255.0.11'),
        ports: [],
        apps: [
          {
            name: 'red-app',
            tenant: 'red',
            segment: 'red-lan',
            address: '10.10.0.100',
            image: 'branchbox/hello:1',
            memoryMiB: 64,
            cpus: 0.5,
            ...change,
          },
        ],
      },
    ]);

  it('gets its address with the length of its subnet and brings its segment', () => {
    const spec = specOf('branch1', inputs(withApp({})));
    expect(spec.apps[0]).toMatchObject({
      attachment: { segment: 'red-lan', address: '10.10.0.100/24' },
      limits: { memoryBytes: 67_108_864, cpus: 0.5, pids: 256 },
    });
    expect(spec.segments.map((s) => s.id)).toEqual(['red-lan']);
  });

  it('keeps its volumes, and is sent no word of them where it has none', () => {
    const volumes = [{ name: 'data', path: '/data' }];
    expect(specOf('branch1', inputs(withApp({ volumes }))).apps[0]?.volumes).toEqual(volumes);
    expect(specOf('branch1', inputs(withApp({}))).apps[0]).not.toHaveProperty('volumes');
  });

  it('names an uploaded bundle with its size, and an unknown one is refused by path', () => {
    const bundle = 'a'.repeat(64);
    const known = inputs(withApp({ bundle }), { bundleSizes: new Map([[bundle, 4096]]) });
    expect(specOf('branch1', known).apps[0]?.image.bundle).toEqual({ sha256: bundle, sizeBytes: 4096 });
    expect(() => designFleet(inputs(withApp({ bundle })))).toThrow(
      expect.objectContaining({
        problems: [{ path: '$.gateways[1].apps[0].bundle', message: 'no such bundle was uploaded' }],
      }),
    );
  });
});

it('ports of two uplinks that overlap are refused by path', () => {
  const one = hub('hub', '10.255.0.1');
  const clash = fleetOf([{ ...one, uplinks: one.uplinks.map((u) => ({ ...u, listenPort: 40_000 })) }]);
  expect(() => designFleet(inputs(clash))).toThrow(
    expect.objectContaining({
      problems: [expect.objectContaining({ path: '$.gateways[0].uplinks[1].listenPort' })],
    }),
  );
});

it('a gateway may have the name of something that every object has', () => {
  const fleet = fleetOf([hub('hub', '10.255.0.1'), branch('constructor', '10.255.0.11')]);
  const allocations = allocate(fleet, NO_ALLOCATIONS);
  expect(allocations.spokeNumbers).toEqual({ constructor: 2 });
  expect(specOf('constructor', inputs(fleet)).tunnels[0]?.address).toBe('10.254.0.2/22');
  expect(allocate(fleet, allocations)).toEqual(allocations);
});

it('what no gateway alone is to blame for is told once, at what the author wrote', () => {
  const hubs = Array.from({ length: 10 }, (_, i) => ({
    ...hub(`hub${i}`, `10.255.0.${i + 1}`),
    uplinks: [{ name: 'internet', port: 'wan1', publicAddress: `198.51.100.${i + 1}` }],
  }));
  const branches = [branch('branch1', '10.255.0.11'), branch('branch2', '10.255.0.12')];
  expect(() => designFleet(inputs(fleetOf([...hubs, ...branches])))).toThrow(
    expect.objectContaining({
      problems: [
        { path: '$.gateways', message: expect.stringContaining('(overlay.reflectors of a gateway)') },
      ],
    }),
  );
});

it('the same inputs give the same bytes, in whatever order people list things', () => {
  const shuffled: Fleet = {
    ...SMALL_FLEET,
    segments: [...SMALL_FLEET.segments].reverse(),
    gateways: [...SMALL_FLEET.gateways].reverse().map((g) => ({ ...g, ports: [...g.ports].reverse() })),
  };
  const allocations = allocate(SMALL_FLEET, NO_ALLOCATIONS);
  for (const gateway of SMALL_FLEET.gateways) {
    const other = shuffled.gateways.find((g) => g.id === gateway.id) ?? gateway;
    expect(JSON.stringify(designGateway(inputs(shuffled, { allocations }), other))).toBe(
      JSON.stringify(designGateway(inputs(SMALL_FLEET, { allocations }), gateway)),
    );
  }
});

describe('firmware', () => {
  const firmware = new Map([
    ['1.1.0', 'a.b.c'],
    ['1.2.0', 'd.e.f'],
  ]);
  const window = { start: '01:00', end: '04:00' };
  const wanting = (ofFleet: object | undefined, ofBranch1: object | undefined): Fleet => ({
    ...SMALL_FLEET,
    fleet: { ...SMALL_FLEET.fleet, ...(ofFleet === undefined ? {} : { firmware: ofFleet }) },
    gateways: SMALL_FLEET.gateways.map((gateway) =>
      gateway.id === 'branch1' && ofBranch1 !== undefined ? { ...gateway, firmware: ofBranch1 } : gateway,
    ),
  });

  it('is what the fleet says, but where a gateway says otherwise', () => {
    const fleet = wanting(
      { version: '1.1.0', window, rateLimitKbps: 4000 },
      { version: '1.2.0', allowDowngrade: true },
    );
    const from = inputs(fleet, { firmware });
    expect(specOf('branch2', from).firmware).toEqual({
      version: '1.1.0',
      manifest: 'a.b.c',
      rateLimitKbps: 4000,
      window,
      allowDowngrade: false,
    });
    expect(specOf('branch1', from).firmware).toEqual({
      version: '1.2.0',
      manifest: 'd.e.f',
      rateLimitKbps: 4000,
      window,
      allowDowngrade: true,
    });
    expect(specOf('branch1', inputs(SMALL_FLEET, { firmware })).firmware).toBeUndefined();
    // Words without a version are for whoever names one.
    expect(
      specOf('hub', inputs(wanting({ window }, { version: '1.2.0' }), { firmware })).firmware,
    ).toBeUndefined();
  });

  it('that was not uploaded is a problem at the place that names it', () => {
    const problems = (fleet: Fleet) => {
      try {
        designFleet(inputs(fleet, { firmware }));
        return [];
      } catch (thrown) {
        return thrown instanceof BranchboxError ? thrown.problems.map(({ path }) => path) : [];
      }
    };
    expect(problems(wanting(undefined, { version: '9' }))).toEqual(['$.gateways[1].firmware.version']);
    expect(new Set(problems(wanting({ version: '9' }, undefined)))).toEqual(
      new Set(['$.fleet.firmware.version']),
    );
  });
});

describe('SSH', () => {
  const ssh = {
    keys: [`ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI${'A'.repeat(43)} ada`],
    from: ['203.0.113.0/24'],
  };

  it('is opened at the gateway that says so, and at no other', () => {
    const from = inputs(
      fleetOf([
        hub('hub', '10.255.0.1'),
        { ...branch('branch1', '10.255.0.11'), ssh },
        branch('branch2', '10.255.0.12'),
      ]),
    );
    expect(specOf('branch1', from).ssh).toEqual(ssh);
    expect([specOf('hub', from), specOf('branch2', from)].filter((spec) => 'ssh' in spec)).toEqual([]);
  });
});
