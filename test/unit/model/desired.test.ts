/**
 * Decoding of desired states, versions, kernel names and prefixes, held against what must be refused, all at
 * once.
 */
import { describe, expect, it } from 'vitest';
import { contains, networkOf, overlaps } from '../../../src/model/addresses.ts';
import { tryDecode } from '../../../src/model/decode.ts';
import { compareVersions, DesiredState } from '../../../src/model/desired.ts';
import { appLinkOf, macOf, wireguardOf } from '../../../src/model/ids.ts';

const spec = {
  role: 'branch',
  site: 'north',
  fleet: { asn: 64512, tenantMtu: 1390, vtepRange: '10.255.0.0/16', tunnelRange: '10.254.0.0/16' },
  vtep: '10.255.0.11',
  controller: { mqtt: { host: 'c.example', port: 8883 }, device: { host: 'c.example', port: 8446 } },
  uplinks: [{ name: 'internet', slot: 1, port: 'wan1', colour: 'internet', addressing: { kind: 'dhcp' } }],
  tunnels: [],
  overlay: { reflectors: [], clients: [] },
  segments: [{ id: 'red', tenant: 'red', vni: 10010 }],
  ports: [{ port: 'lan1', segment: 'red' }],
  apps: [],
};
const state = { schema: 1, gatewayId: 'branch1', epoch: 1, generation: 1, notBefore: 0, spec };

function pathsOf(input: unknown): string[] {
  const decoded = tryDecode(DesiredState, input);
  return decoded.ok ? [] : decoded.problems.map((problem) => problem.path);
}

describe('decoding a desired state', () => {
  it('takes a sound one', () => {
    expect(pathsOf(state)).toEqual([]);
  });

  it('names every problem by path, not only the first', () => {
    const broken = {
      ...state,
      epoch: 0,
      extra: 1,
      spec: { ...spec, vtep: '010.255.0.11', segments: [{ id: 'Red!', tenant: 'red', vni: 0 }] },
    };
    expect(pathsOf(broken).sort()).toEqual([
      '$.epoch',
      '$.extra',
      // The port names a segment whose own name is off: both are said.
      '$.spec.ports[0].segment',
      '$.spec.segments[0].id',
      '$.spec.segments[0].vni',
      '$.spec.vtep',
    ]);
  });

  const app = (memoryMiB: number, more: object = {}) => ({
    name: 'web',
    tenant: 'red',
    image: { reference: 'web:1' },
    attachment: { segment: 'red', address: '10.10.0.100/24' },
    limits: { memoryBytes: memoryMiB * 1024 * 1024, cpus: 0.5 },
    ...more,
  });
  const pathsOfApp = (one: unknown): string[] => pathsOf({ ...state, spec: { ...spec, apps: [one] } });

  it('refuses two paths of one name, and two of one preference to one VTEP, but not to two', () => {
    const peer = (path: string, vtep: string, preference: number) => ({
      path,
      gatewayId: 'hub',
      publicKey: `${'A'.repeat(43)}=`,
      tunnelAddress: '10.254.0.1',
      vtep,
      allowed: [],
      keepaliveS: 25,
      preference,
      liveness: { intervalMs: 50, multiplier: 3 },
    });
    const tunnel = (id: string, ...peers: readonly unknown[]) => ({
      id,
      uplink: 'internet',
      address: '10.254.0.2/22',
      peers,
    });
    const tunnels = [
      tunnel('one', peer('a', '10.255.0.1', 1), peer('b', '10.255.0.2', 1)),
      tunnel('two', peer('c', '10.255.0.1', 1), peer('b', '10.255.0.2', 2)),
    ];
    expect(pathsOf({ ...state, spec: { ...spec, tunnels } })).toEqual([
      '$.spec.tunnels[1].peers[1].path',
      '$.spec.tunnels[1].peers[0].preference',
    ]);
  });

  it('holds addresses of uplinks and endpoints of tunnels to one family', () => {
    const [uplink] = spec.uplinks;
    const withUplink = (more: object, address = '2001:db8::20') => ({
      ...state,
      spec: {
        ...spec,
        uplinks: [{ ...uplink, ...more }],
        tunnels: [
          {
            id: 'internet-hub-internet',
            uplink: 'internet',
            address: '10.254.0.2/22',
            peers: [
              {
                path: 'branch1.internet~hub.internet',
                gatewayId: 'hub',
                publicKey: `${'A'.repeat(43)}=`,
                endpoint: { address, port: 51_821 },
                tunnelAddress: '10.254.0.1',
                vtep: '10.255.0.1',
                allowed: [],
                keepaliveS: 25,
                preference: 1,
                liveness: { intervalMs: 50, multiplier: 3 },
              },
            ],
          },
        ],
      },
    });
    const auto = { addressing6: { kind: 'auto' } };
    const none = { addressing: { kind: 'none' } };
    const endpoint = '$.spec.tunnels[0].peers[0].endpoint.address';
    expect(pathsOf(withUplink(auto))).toEqual([]);
    expect(pathsOf(withUplink({ ...auto, ...none }))).toEqual([]);
    expect(pathsOf(withUplink({}))).toEqual([endpoint]);
    expect(pathsOf(withUplink({ ...auto, ...none }, '198.51.100.20'))).toEqual([endpoint]);
    expect(pathsOf(withUplink(none))).toEqual(['$.spec.uplinks[0].addressing', endpoint]);
    const static6 = { kind: 'static', address: '2001:db8:1::5/64', gateway: '2001:db8:2::1' };
    expect(pathsOf(withUplink({ addressing6: static6 }))).toEqual(['$.spec.uplinks[0].addressing6.gateway']);
    const static4 = { kind: 'static', address: '192.0.2.5/28', gateway: '192.0.2.17' };
    expect(pathsOf(withUplink({ addressing: static4 }, '198.51.100.20'))).toEqual([
      '$.spec.uplinks[0].addressing.gateway',
    ]);
  });

  it('refuses an app so little memory that its runtime could not start it', () => {
    expect(pathsOfApp(app(20))).toEqual([]);
    expect(pathsOfApp(app(19))).toEqual(['$.spec.apps[0].limits.memoryBytes']);
  });

  it('refuses apps what two members of a segment, or none, may have', () => {
    const one = (name: string, attachment: object) =>
      app(20, { name, attachment: { segment: 'red', ...attachment } });
    const apps = (...list: object[]) => pathsOf({ ...state, spec: { ...spec, apps: list } });
    const macAddress = '02:00:00:00:00:01';
    const first = one('a', { address: '10.10.0.100/24', macAddress });
    expect(apps(first, one('b', { address: '10.10.0.101/24' }))).toEqual([]);
    expect(apps(first, one('b', { address: '10.10.0.100/24', macAddress }))).toEqual([
      '$.spec.apps[1].attachment.address',
      '$.spec.apps[1].attachment.macAddress',
    ]);
    expect(apps(one('a', { address: '10.10.0.0/24' }), one('b', { address: '10.10.0.255/24' }))).toEqual([
      '$.spec.apps[0].attachment.address',
      '$.spec.apps[1].attachment.address',
    ]);
    expect(pathsOfApp(app(20, { command: ['a\0'] }))).toEqual(['$.spec.apps[0].command[0]']);
  });

  it('refuses an app a volume that is no plain directory of its own', () => {
    const withVolumes = (...volumes: object[]) => pathsOfApp(app(20, { volumes }));
    const data = { name: 'data', path: '/data' };
    expect(withVolumes(data, { name: 'more', path: '/var/lib/more' })).toEqual([]);
    for (const path of ['/', 'data', '/a/../b', '/./a', '/a b', '/a:ro'])
      expect(withVolumes({ ...data, path }), path).toEqual(['$.spec.apps[0].volumes[0].path']);
    for (const name of ['a.b', '../x', ''])
      expect(withVolumes({ ...data, name }), name).toContain('$.spec.apps[0].volumes[0].name');
    expect(withVolumes(data, data)).toEqual([
      '$.spec.apps[0].volumes[1].name',
      '$.spec.apps[0].volumes[1].path',
    ]);
  });

  it('holds references against each other', () => {
    const broken = {
      ...state,
      spec: {
        ...spec,
        vtep: '192.0.2.1',
        uplinks: [...spec.uplinks, { ...spec.uplinks[0], name: 'lte' }],
        ports: [{ port: 'wan1', segment: 'green' }],
      },
    };
    expect(pathsOf(broken).sort()).toEqual([
      '$.spec.ports[0].port',
      '$.spec.ports[0].segment',
      '$.spec.uplinks[1]',
      '$.spec.uplinks[1]',
      '$.spec.vtep',
    ]);
  });
});

describe('versions', () => {
  it('order by epoch first, then generation', () => {
    expect(compareVersions({ epoch: 2, generation: 1 }, { epoch: 1, generation: 99 })).toBeGreaterThan(0);
    expect(compareVersions({ epoch: 1, generation: 1 }, { epoch: 1, generation: 2 })).toBeLessThan(0);
  });
});

describe('names for the kernel', () => {
  it('fit in 15 bytes and differ', () => {
    const long = wireguardOf('internet-hub-of-the-north-lte');
    expect(long.length).toBeLessThanOrEqual(15);
    expect(long).not.toBe(wireguardOf('internet-hub-of-the-south-lte'));
    expect(appLinkOf({ name: 'red-app' })).toBe('app-red-app');
  });

  it('give a locally administered unicast MAC that is stable', () => {
    expect(macOf('branch1/red-app')).toMatch(/^02(:[0-9a-f]{2}){5}$/);
    expect(macOf('branch1/red-app')).toBe(macOf('branch1/red-app'));
    expect(macOf('branch1/red-app')).not.toBe(macOf('branch2/red-app'));
  });
});

describe('prefixes', () => {
  it('know their network, members and overlaps', () => {
    expect(networkOf('10.10.0.77/24')).toBe('10.10.0.0/24');
    expect(contains('10.255.0.0/16', '10.255.3.4')).toBe(true);
    expect(contains('10.255.0.0/16', '10.254.3.4')).toBe(false);
    expect(overlaps('10.0.0.0/8', '10.255.0.0/16')).toBe(true);
    expect(overlaps('10.254.0.0/16', '10.255.0.0/16')).toBe(false);
  });
});
