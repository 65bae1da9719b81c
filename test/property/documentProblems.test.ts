/**
 * A document that is wrong in form at one place and refers to nothing at another is refused with both, and one that is
 * wrong in form alone with nothing that only follows from it: every place of a desired state and of a fleet, with every
 * form of wrong value, against every reference.
 */
import { describe, expect, it } from 'vitest';
import type { z } from 'zod';
import { renderPath, tryDecode } from '../../src/model/decode.ts';
import { DesiredState } from '../../src/model/desired.ts';
import { Fleet } from '../../src/model/fleet.ts';

type Path = readonly (string | number)[];

interface Reference {
  readonly path: Path;
  /** Does not fit there. */
  readonly value: unknown;
  /** Where it is told, when not there. */
  readonly told?: Path;
  /** What the rule reads beside `path`; `*` is any element. Nobody can tell whether a reference fits what is wrong itself. */
  readonly reads: readonly Path[];
}

interface Subject {
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

const desired: Subject = {
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

const fleet: Subject = {
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

/** Every place of a document but its root. */
function placesOf(value: unknown, at: Path = []): Path[] {
  const own = at.length === 0 ? [] : [at];
  if (typeof value !== 'object' || value === null) return own;
  const parts = Array.isArray(value) ? [...value.keys()] : Object.keys(value);
  return [...own, ...parts.flatMap((part) => placesOf(Reflect.get(value, part), [...at, part]))];
}

const at = (document: unknown, path: Path): unknown =>
  path.reduce((holder, part) => Reflect.get(Object(holder), part), document);

function set(document: unknown, path: Path, value: unknown): void {
  const holder: unknown = at(document, path.slice(0, -1));
  Reflect.set(Object(holder), path.at(-1) ?? '', value);
}

/** What fits nowhere where that stands. */
function wrongFormsOf(value: unknown): readonly unknown[] {
  switch (typeof value) {
    case 'number':
      // Where any number fits, this is none: the schema says so.
      return ['text', null, value + 0.25];
    case 'boolean':
      return ['text', null];
    case 'string':
      return [5, null, {}];
    default:
      return [5, 'text', null];
  }
}

function withPlanted(document: unknown, plants: readonly { readonly path: Path; readonly value: unknown }[]) {
  // Not structuredClone: what two places share would stay shared.
  const copy: unknown = JSON.parse(JSON.stringify(document));
  for (const { path, value } of plants) set(copy, path, value);
  return copy;
}

function pathsOf(schema: z.ZodType, document: unknown): readonly string[] {
  const decoded = tryDecode(schema, document);
  return decoded.ok ? [] : decoded.problems.map(({ path }) => path);
}

/** Whether `path` is `place` or holds it. */
const holds = (path: Path, place: Path): boolean =>
  path.length <= place.length && path.every((part, i) => part === place[i] || place[i] === '*');

const isAtOrBelow = (problem: string, path: Path): boolean => {
  const place = renderPath(path);
  return problem === place || problem.startsWith(`${place}.`) || problem.startsWith(`${place}[`);
};

function wrongForms({ schema, document }: Subject) {
  return placesOf(document)
    .flatMap((path) => wrongFormsOf(at(document, path)).map((value) => ({ path, value })))
    .filter((plant) => pathsOf(schema, withPlanted(document, [plant])).length > 0);
}

describe.each([
  ['a desired state', desired],
  ['a fleet', fleet],
])('%s', (_name, subject) => {
  const { schema, document, references } = subject;

  it('is sound before anything is planted, and each reference alone is told', () => {
    expect(pathsOf(schema, document)).toEqual([]);
    for (const reference of references) {
      expect(pathsOf(schema, withPlanted(document, [reference]))).toContain(
        renderPath(reference.told ?? reference.path),
      );
    }
  });

  it('that is wrong in form says that, and nothing that follows from it', () => {
    const plants = wrongForms(subject);
    expect(plants.length).toBeGreaterThan(100);
    const more = plants.flatMap((plant) =>
      pathsOf(schema, withPlanted(document, [plant]))
        .filter((problem) => !isAtOrBelow(problem, plant.path))
        .map((problem) => ({ ...plant, problem })),
    );
    expect(more).toEqual([]);
  });

  it('that is wrong in form says what refers to nothing elsewhere too', () => {
    // One form a place, and that is the hardest: of a number a fraction.
    const plants = [...new Map(wrongForms(subject).map((plant) => [renderPath(plant.path), plant])).values()];
    const hidden = references.flatMap((reference) =>
      plants
        .filter(({ path }) => ![reference.path, ...reference.reads].some((place) => holds(path, place)))
        .filter((plant) => {
          const problems = pathsOf(schema, withPlanted(document, [reference, plant]));
          return !(
            problems.includes(renderPath(reference.told ?? reference.path)) &&
            problems.some((problem) => isAtOrBelow(problem, plant.path))
          );
        })
        .map(({ path, value }) => ({ reference: renderPath(reference.path), path: renderPath(path), value })),
    );
    expect(hidden).toEqual([]);
  });
});
