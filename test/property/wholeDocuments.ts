/**
 * Owns a whole desired state and a whole fleet for documentProblems.test.ts, and what in each may refer to nothing. Does not
 * own what is planted in them.
 */
import type { z } from 'zod';
import { DesiredState } from '../../src/model/desired.ts';
import { Fleet } from '../../src/model/fleet.ts';

export type Path = readonly (string | number)[];

interface Reference {
  readonly path: Path;
  /** Does not fit there. */
  readonly value: unknown;
  /** Where it is told, when not there. */
  readonly told?: Path;
  /** What the rule reads beside `path`; `*` is any element. Nobody can tell whether a reference fits what is wrong itself. */
  readonly reads: readonly Path[];
}

export interface Subject {
  readonly schema: z.ZodType;
  readonly document: unknown;
  readonly references: readonly Reference[];
}

const peer = {
  path: 'branch1.internet~hub.internet',
  gatewayId: 'hub',
  publicKey: `${'A'.repeat(43)}=`,
  endpoint: { address: '198.51.100.20', port: 51_821 },
  tunnelAddress: '10.254.0.1',
  vtep: '10.255.0.1',
  allowed: ['10.255.0.0/16'],
  keepaliveS: 25,
  preference: 1,
  liveness: { intervalMs: 50, multiplier: 3 },
};
const appOf = (name: string, address: string) => ({
  name,
  tenant: 'red',
  image: { reference: 'web:1' },
  command: ['serve', 'all'],
  environment: { LEVEL: 'info' },
  volumes: [
    { name: 'data', path: '/data' },
    { name: 'log', path: '/log' },
  ],
  attachment: { segment: 'red', address, macAddress: `02:00:00:00:00:${address.slice(8, 10)}` },
  limits: { memoryBytes: 64 * 1024 * 1024, cpus: 0.5 },
});

export const desired: Subject = {
  schema: DesiredState,
  document: {
    schema: 1,
    gatewayId: 'branch1',
    epoch: 1,
    generation: 1,
    notBefore: 0,
    spec: {
      role: 'branch',
      site: 'north',
      fleet: { asn: 64_512, tenantMtu: 1390, vtepRange: '10.255.0.0/16', tunnelRange: '10.254.0.0/16' },
      vtep: '10.255.0.11',
      controller: { mqtt: { host: 'c.example', port: 8883 }, device: { host: 'c.example', port: 8446 } },
      uplinks: [
        { name: 'internet', slot: 1, port: 'wan1', colour: 'internet', addressing: { kind: 'dhcp' } },
        {
          name: 'lte',
          slot: 2,
          port: 'wan2',
          vlan: 7,
          colour: 'lte',
          metered: true,
          addressing: { kind: 'static', address: '192.0.2.5/28', gateway: '192.0.2.1', dns: ['192.0.2.1'] },
          addressing6: { kind: 'static', address: '2001:db8:1::5/64', gateway: 'fe80::1' },
        },
      ],
      tunnels: [
        { id: 'a', uplink: 'internet', listenPort: 1000, address: '10.254.0.2/22', peers: [peer] },
        {
          id: 'b',
          uplink: 'lte',
          address: '10.254.4.2/22',
          peers: [{ ...peer, path: 'branch1.lte~hub.internet', preference: 2 }],
        },
      ],
      overlay: {
        reflectors: [{ gatewayId: 'hub', vtep: '10.255.0.1' }],
        clients: [{ gatewayId: 'branch2', vtep: '10.255.0.12', vnis: [1, 2] }],
      },
      segments: [
        { id: 'red', tenant: 'red', vni: 10_010, subnet: '10.10.0.0/24' },
        { id: 'blue', tenant: 'blue', vni: 10_020 },
      ],
      ports: [
        { port: 'lan1', segment: 'red' },
        { port: 'lan2', segment: 'blue' },
      ],
      apps: [appOf('web', '10.10.0.10/24'), appOf('db', '10.10.0.11/24')],
    },
  },
  references: [
    {
      path: ['spec', 'ports', 1, 'segment'],
      value: 'nowhere',
      reads: [['spec', 'segments', '*', 'id']],
    },
    { path: ['spec', 'ports', 1, 'port'], value: 'wan1', reads: [['spec', 'uplinks', 0, 'port']] },
    {
      path: ['spec', 'tunnels', 1, 'uplink'],
      value: 'nowhere',
      reads: [['spec', 'uplinks', '*', 'name']],
    },
    {
      path: ['spec', 'apps', 1, 'attachment', 'segment'],
      value: 'blue',
      reads: [
        ['spec', 'apps', 1, 'tenant'],
        ['spec', 'segments', 1, 'id'],
        ['spec', 'segments', 1, 'tenant'],
      ],
    },
    {
      path: ['spec', 'segments', 1, 'vni'],
      value: 10_010,
      told: ['spec', 'segments', 1],
      reads: [['spec', 'segments', 0, 'vni']],
    },
    {
      path: ['spec', 'tunnels', 1, 'peers', 0, 'preference'],
      value: 1,
      reads: [
        ['spec', 'tunnels', '*', 'peers', 0, 'vtep'],
        ['spec', 'tunnels', 0, 'peers', 0, 'preference'],
      ],
    },
    {
      path: ['spec', 'tunnels', 0, 'peers', 0, 'endpoint', 'address'],
      value: '2001:db8::1',
      reads: [
        ['spec', 'tunnels', 0, 'uplink'],
        ['spec', 'uplinks', 0, 'name'],
        ['spec', 'uplinks', 0, 'addressing', 'kind'],
        ['spec', 'uplinks', 0, 'addressing6'],
      ],
    },
    {
      path: ['spec', 'apps', 1, 'attachment', 'address'],
      value: '10.10.0.10/24',
      reads: [
        ['spec', 'apps', 0, 'attachment', 'address'],
        ['spec', 'apps', '*', 'attachment', 'segment'],
      ],
    },
    { path: ['spec', 'vtep'], value: '10.1.0.1', reads: [['spec', 'fleet', 'vtepRange']] },
    {
      path: ['spec', 'apps', 0, 'volumes', 1, 'path'],
      value: '/data',
      reads: [['spec', 'apps', 0, 'volumes', 0, 'path']],
    },
  ],
};

const fleetApp = (name: string, address: string) => ({
  name,
  tenant: 'red',
  segment: 'red',
  address,
  image: 'web:1',
  memoryMiB: 64,
  cpus: 0.5,
});

export const fleet: Subject = {
  schema: Fleet,
  document: {
    fleet: { name: 'acme', asn: 64_512, tenantMtu: 1150, liveness: { intervalMs: 50, multiplier: 3 } },
    tenants: [{ name: 'red' }, { name: 'blue' }],
    segments: [
      { id: 'red', tenant: 'red', vni: 10_010, subnet: '10.10.0.0/24' },
      { id: 'blue', tenant: 'blue', vni: 10_020, subnet: '10.10.0.0/24' },
    ],
    gateways: [
      {
        id: 'hub',
        role: 'hub',
        site: 'centre',
        vtep: '10.255.0.1',
        uplinks: [
          {
            name: 'internet',
            port: 'wan1',
            static: { address: '198.51.100.20/24', gateway: '198.51.100.1' },
            publicAddress: '198.51.100.20',
          },
        ],
      },
      {
        id: 'branch1',
        serial: 'SN-1',
        role: 'branch',
        site: 'north',
        vtep: '10.255.0.11',
        uplinks: [
          { name: 'internet', port: 'wan1' },
          { name: 'lte', port: 'wan2', ipv4: 'none', ipv6: 'auto', metered: true },
        ],
        ports: [
          { port: 'lan1', segment: 'red' },
          { port: 'lan2', segment: 'blue' },
        ],
        apps: [fleetApp('web', '10.10.0.10'), fleetApp('db', '10.10.0.11')],
      },
    ],
    rules: [
      { name: 'north', match: { serial: 'SN-12345678*' }, action: 'approve', place: { site: 'north' } },
    ],
  },
  references: [
    { path: ['segments', 1, 'tenant'], value: 'nobody', reads: [['tenants', '*', 'name']] },
    { path: ['gateways', 1, 'ports', 0, 'segment'], value: 'nowhere', reads: [['segments', '*', 'id']] },
    {
      path: ['gateways', 1, 'ports', 1, 'port'],
      value: 'wan2',
      reads: [['gateways', 1, 'uplinks', 1, 'port']],
    },
    {
      path: ['gateways', 1, 'uplinks', 1, 'name'],
      value: 'internet',
      reads: [['gateways', 1, 'uplinks', 0, 'name']],
    },
    { path: ['gateways', 1, 'vtep'], value: '10.1.0.1', reads: [['fleet', 'vtepRange']] },
    {
      path: ['gateways', 1, 'apps', 1, 'address'],
      value: '10.20.0.1',
      reads: [
        ['gateways', 1, 'apps', 1, 'segment'],
        ['segments', 0, 'id'],
        ['segments', 0, 'subnet'],
      ],
    },
    {
      path: ['gateways', 1, 'id'],
      value: 'hub',
      told: ['gateways', 1],
      reads: [['gateways', 0, 'id']],
    },
    {
      path: ['rules', 0, 'match', 'serial'],
      value: '*',
      reads: [['rules', 0, 'action']],
    },
  ],
};
