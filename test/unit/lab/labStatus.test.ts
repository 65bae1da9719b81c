/** The read-outs of a lab, held against their committed form and gateways that say nothing. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parseEvent } from '../../../src/lab/events.ts';
import { LabInfo } from '../../../src/lab/info.ts';
import { gatherStatus, type LabNodeStatus, LabStatus, mergeGateway } from '../../../src/lab/labStatus.ts';
import { ailmentOf } from '../../../src/lab/readiness.ts';
import { parseTopology, TOPOLOGIES_DIRECTORY } from '../../../src/lab/topology.ts';
import { renderNextCommands, renderStatus } from '../../../src/lab/table.ts';

const bare = {
  running: true,
  conditions: [],
  uplinks: [],
  paths: [],
  segments: [],
  apps: [],
};
const status: LabStatus = {
  lab: 'default',
  topology: 'default',
  nodes: [
    { ...bare, name: 'provider-a', role: 'provider' },
    {
      ...bare,
      name: 'branch1',
      role: 'branch',
      bootstrap: 'OPERATIONAL',
      generation: 3,
      health: 'degraded',
      conditions: [{ code: 'uplink-down', subject: 'lte', sentence: 'Uplink lte has no living path.' }],
      uplinks: [
        { name: 'internet', state: 'up', address: '198.51.100.101/24', faults: [] },
        { name: 'lte', state: 'down', faults: ['in 100', 'out 100'] },
      ],
      paths: [{ id: 'branch1.internet~hub.internet', state: 'up', active: true }],
      segments: [{ id: 'red', tenant: 'red', state: 'up', ports: ['lan1'] }],
      apps: [{ name: 'red-app', segment: 'red', address: '10.10.0.100/24', state: 'running' }],
    },
    { ...bare, name: 'branch2', role: 'branch', running: false },
    { ...bare, name: 'branch1-red', role: 'host' },
  ],
};

describe('the status of a lab', () => {
  it('keeps its committed form', () => {
    expect(LabStatus.parse(JSON.parse(JSON.stringify(status)))).toEqual(status);
    expect(() => LabStatus.parse({ ...status, more: 1 })).toThrow('more');
  });

  it('claims nothing of a gateway that does not run, and tells what one provider cut though the other is dead', async () => {
    const topology = parseTopology(
      readFileSync(join(TOPOLOGIES_DIRECTORY, 'default', 'topology.toml'), 'utf8'),
      'default',
    );
    const asked: (readonly string[])[] = [];
    const { nodes } = await gatherStatus({
      lab: 'default',
      topologyName: 'default',
      topology,
      nodes: {
        pidOf: (node) => (['provider-a', 'controller'].includes(node) ? 1 : undefined),
        ask: async () => undefined,
      },
      faults: {
        list: async (running) => {
          asked.push(running);
          return [{ node: 'branch1', uplink: 'internet', losses: ['in 100'], carrier: true }];
        },
      },
    });
    expect(asked).toEqual([['provider-a']]);
    expect(nodes.find(({ name }) => name === 'branch1')?.uplinks).toEqual([
      { name: 'internet', state: 'unknown', faults: ['in 100'] },
      { name: 'lte', state: 'unknown', faults: [] },
    ]);
    expect(nodes.find(({ name }) => name === 'controller')?.uplinks).toEqual([
      { name: 'internet', state: 'static', address: '198.51.100.10', faults: [] },
    ]);
  });

  it('is a table with a line for each thing of a node', () => {
    expect(renderStatus(status)).toMatchInlineSnapshot(`
      "node         role      state                  uplinks                        paths                               segments        apps
      -----------  --------  ---------------------  -----------------------------  ----------------------------------  --------------  ------------------------------
      provider-a   provider  runs
      branch1      branch    degraded generation 3  internet up 198.51.100.101/24  branch1.internet~hub.internet up *  red up on lan1  red-app running 10.10.0.100/24
                                                    lte down [in 100, out 100]
      branch2      branch    not running
      branch1-red  host      runs
      branch1: uplink-down: Uplink lte has no living path.
      "
    `);
  });

  it('ends with commands that can be typed as they stand', () => {
    expect(renderNextCommands({ ...status, lab: 'mine' })).toMatchInlineSnapshot(`
      "next:
        ./branchbox lab exec --lab mine branch1-red -- curl -s http://10.10.0.100/
        ./branchbox lab exec --lab mine branch1 -- branchbox status
        ./branchbox lab exec --lab mine branch1 -- branchbox plan
        ./branchbox lab cut --lab mine branch1 internet      (and heal)
        ./branchbox lab shell --lab mine branch1
        ./branchbox lab status --lab mine
        ./branchbox lab down --lab mine
      "
    `);
  });

  it('takes what a gateway says of itself, and no more than it knows where it says nothing', () => {
    const base = {
      ...bare,
      name: 'b',
      role: 'branch' as const,
      uplinks: [{ name: 'lte', state: 'unknown', faults: [] }],
    };
    expect(mergeGateway(base, undefined, { nonsense: 1 })).toEqual(base);
    const bootstrap = {
      state: 'ENROLLING',
      sinceMs: 1,
      waitsFor: 'its certificate',
      mend: '-',
      serial: 'S',
      history: [],
      lastProblem: 'refused',
    };
    expect(mergeGateway(base, bootstrap, undefined)).toMatchObject({
      bootstrap: 'ENROLLING',
      bootstrapProblem: 'refused',
    });
  });
});

describe('a node of a lab', () => {
  const gateway = {
    ...bare,
    name: 'branch1',
    role: 'branch',
    bootstrap: 'OPERATIONAL',
    health: 'ok',
  } as const;

  it('is well where it runs, and a gateway where it is in service and says so', () => {
    expect(ailmentOf(gateway)).toBeUndefined();
    expect(ailmentOf({ ...bare, name: 'provider-a', role: 'provider' })).toBeUndefined();
    expect(ailmentOf({ ...bare, name: 'controller', role: 'controller' })).toBeUndefined();
  });

  it.each([
    [{ running: false }, 'is not running'],
    [{ health: undefined }, 'its agent does not answer'],
    [{ health: 'degraded' }, 'is degraded'],
    [{ bootstrap: undefined }, 'its identity process does not answer'],
    [{ bootstrap: 'ENROLLING' }, 'bootstrap is at ENROLLING'],
    [{ bootstrap: undefined, health: undefined }, 'its identity process does not answer'],
  ] as const)('is not well with %o', (change, why) => {
    const node: LabNodeStatus = { ...gateway, ...change };
    expect(ailmentOf(node)).toBe(why);
  });

  it('says in the table that its agent says nothing', () => {
    const { health: _unsaid, ...silent } = gateway;
    expect(renderStatus({ lab: 'l', topology: 't', nodes: [silent] })).toContain('branch1  branch  silent');
  });
});

describe('an event of a lab', () => {
  it('is a line of a supervisor with its node, and half a line is none', () => {
    const line = JSON.stringify({
      time: '2026-11-26T06:00:00.000Z',
      unit: 'a.service',
      state: 'active',
      restarts: 1,
    });
    expect(parseEvent('branch1', line)).toMatchObject({ node: 'branch1', unit: 'a.service', restarts: 1 });
    expect(parseEvent('branch1', line.slice(0, 30))).toBeUndefined();
    expect(parseEvent('branch1', '{}')).toBeUndefined();
  });
});

describe('the info of a lab', () => {
  it('keeps its committed form', () => {
    const endpoint = { url: 'https://controller.branchbox.example:8443', reachableFrom: ['branch1'] };
    const info = {
      lab: 'default',
      nodes: [{ name: 'branch1', role: 'branch', pid: 4711, netns: '/run/netns/bb-default.branch1' }],
      endpoints: { sztp: endpoint, est: endpoint, api: endpoint, mqtt: endpoint, manufacturer: endpoint },
      anchors: { manufacturer: '/a', voucher: '/b', domain: '/c', tls: '/d' },
      adminCredential: '/e',
    };
    expect(LabInfo.parse(info)).toEqual(info);
    expect(() => LabInfo.parse({ ...info, anchors: {} })).toThrow('anchors');
  });
});
