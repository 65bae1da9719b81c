/**
 * Policy on a real kernel: a hub with an uplink and two tunnels (veths stand for them), and what each end gets through.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createNetDrivers } from '../../src/net/drivers.ts';
import { external, kernelGate } from '../../src/net/itemIds.ts';
import type { NetItem } from '../../src/net/items.ts';
import { renderQuarantine } from '../../src/policy/quarantine.ts';
import { renderPolicy } from '../../src/policy/render.ts';
import { DesiredSpec } from '../../src/model/desired.ts';
import { wireguardOf } from '../../src/model/ids.ts';
import { createReconciler, type Reconciler } from '../../src/reconcile/reconciler.ts';
import { createClock } from '../../src/system/linux/clock.ts';
import { appFacts, appSpec } from './appSpec.ts';
import { type BareNode, rootTree, startBareNode } from './wan/bareNode.ts';
import { silentLog as LOG } from '../fakes/silentLog.ts';
import { noServices } from '../fakes/noServices.ts';

const RED = 10_010;
const BLUE = 10_020;
const signal = new AbortController().signal;
const tree = rootTree();
const TUNNELS = { red: wireguardOf('red'), blue: wireguardOf('blue') };

function hubSpec(vnisOfBlue: number[]): DesiredSpec {
  const tunnel = (id: string, address: string) => ({
    id,
    uplink: 'internet',
    listenPort: 51_820,
    address,
    peers: [],
  });
  return DesiredSpec.parse({
    ...appSpec(),
    role: 'hub',
    vtep: '10.255.0.1',
    apps: [],
    tunnels: [tunnel('red', '10.254.1.1/24'), tunnel('blue', '10.254.2.1/24')],
    overlay: {
      reflectors: [],
      clients: [
        { gatewayId: 'red', vtep: '10.255.0.11', vnis: [RED] },
        { gatewayId: 'blue', vtep: '10.255.0.12', vnis: vnisOfBlue },
      ],
    },
  });
}

describe.skipIf(tree === undefined)('policy on a real kernel', () => {
  let node: BareNode;
  let reconciler: Reconciler<NetItem>;
  const ip = (...args: string[]) => node.run('ip', ...args);
  const inside = (netns: string, ...args: string[]) =>
    node.runner.run('nsenter', [`--net=/run/netns/${netns}`, ...args]);
  const works = async (netns: string, ...args: string[]) => (await inside(netns, ...args)).exitCode === 0;
  const apply = async (spec: DesiredSpec | undefined, quarantined = false): Promise<void> => {
    const items =
      spec === undefined
        ? []
        : [
            ...renderPolicy(spec, appFacts(), 'hub', { quarantined }),
            ...(quarantined ? renderQuarantine() : []),
          ];
    const report = await reconciler.converge(items, signal);
    expect([...report.failures].map(([id, error]) => `${id}: ${error.message}`)).toEqual([]);
    expect(report.plan).toEqual({ steps: [], blocked: [] });
  };
  const vxlan = async (
    netns: string | undefined,
    vni: number,
    local: string,
    remote: string,
    own: string,
  ) => {
    const at = netns === undefined ? [] : ['-n', netns];
    const name = `vx-${vni}`;
    const words = ['id', `${vni}`, 'local', local, 'remote', remote, 'dstport', '4789'];
    await ip(...at, 'link', 'add', name, 'type', 'vxlan', ...words);
    await ip(...at, 'addr', 'add', own, 'dev', name);
    await ip(...at, 'link', 'set', name, 'up');
  };

  beforeAll(async () => {
    node = await startBareNode('policy', tree ?? '');
    // As branchbox-sysctl.service at boot.
    await node.run('nft', '-f', '/usr/lib/branchbox/connection-tracking.nft');
    for (const [netns, ifname, own, peer] of [
      ['provider', 'wan1', '198.51.100.2/24', '198.51.100.1/24'],
      ['red', TUNNELS.red, '10.254.1.1/24', '10.254.1.2/24'],
      ['blue', TUNNELS.blue, '10.254.2.1/24', '10.254.2.2/24'],
    ] as const) {
      await ip('netns', 'add', netns);
      await ip('link', 'add', ifname, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', netns);
      await ip('addr', 'add', own, 'dev', ifname);
      await ip('link', 'set', ifname, 'up');
      await ip('-n', netns, 'link', 'set', 'lo', 'up');
      await ip('-n', netns, 'addr', 'add', peer, 'dev', 'eth0');
      await ip('-n', netns, 'link', 'set', 'eth0', 'up');
      await ip('-n', netns, 'route', 'add', 'default', 'via', own.split('/')[0] ?? '');
    }
    await ip('addr', 'add', '10.255.0.1/32', 'dev', 'lo');
    for (const [netns, vtep, via] of [
      ['red', '10.255.0.11', '10.254.1.2'],
      ['blue', '10.255.0.12', '10.254.2.2'],
    ] as const) {
      await ip('-n', netns, 'addr', 'add', `${vtep}/32`, 'dev', 'lo');
      await ip('route', 'add', `${vtep}/32`, 'via', via);
    }
    await node.run('sysctl', '-qw', 'net.ipv4.ip_forward=1', 'net.ipv4.conf.all.rp_filter=0');
    // Blue's box speaks both VNIs to red's, through the hub; and one to the hub itself.
    await vxlan('red', RED, '10.255.0.11', '10.255.0.12', '192.168.1.1/24');
    await vxlan('blue', RED, '10.255.0.12', '10.255.0.11', '192.168.1.2/24');
    await vxlan('blue', BLUE, '10.255.0.12', '10.255.0.1', '192.168.2.2/24');
    await vxlan(undefined, BLUE, '10.255.0.1', '10.255.0.12', '192.168.2.1/24');
    const system = {
      runner: node.runner,
      files: node.files,
      clock: createClock(),
      log: LOG,
      services: noServices,
    };
    const gates = (['nft-inet', 'nft-bridge'] as const).map((f) => external(kernelGate(f), f));
    reconciler = createReconciler<NetItem>({
      clock: system.clock,
      log: LOG,
      drivers: createNetDrivers(system, { gates: () => gates }),
    });
  });
  afterAll(() => node?.stop());

  test('a sender is held to its VNIs, on the way to another branch', async () => {
    expect(await works('blue', 'ping', '-c1', '-W1', '192.168.1.1')).toBe(true);
    await apply(hubSpec([BLUE]));
    expect(await works('blue', 'ping', '-c1', '-W1', '192.168.1.1')).toBe(false);
    await apply(hubSpec([BLUE, RED]));
    expect(await works('blue', 'ping', '-c1', '-W1', '192.168.1.1')).toBe(true);
  });

  test('a sender is held to its VNIs, on the way to the hub itself', async () => {
    // The hub asks, since no segment may call it: what is judged is the answer's frame.
    const ask = async () => (await node.runner.run('ping', ['-c1', '-W1', '192.168.2.2'])).exitCode === 0;
    await apply(hubSpec([BLUE]));
    expect(await ask()).toBe(true);
    await apply(hubSpec([]));
    expect(await ask()).toBe(false);
  });

  test('an uplink answers pings and tunnels, and nobody else', async () => {
    node.loop('listener', 'socat TCP-LISTEN:5555,fork,reuseaddr SYSTEM:true');
    const call = () =>
      works('provider', 'socat', '-T1', '/dev/null', 'TCP:198.51.100.2:5555,connect-timeout=1');
    await apply(undefined);
    await expect.poll(call, { timeout: 5000 }).toBe(true);
    await apply(hubSpec([BLUE]));
    expect(await call()).toBe(false);
    expect(await works('provider', 'ping', '-c1', '-W1', '198.51.100.2')).toBe(true);
    // Into a tunnel or a segment by way of an uplink: not forwarded.
    expect(await works('provider', 'ping', '-c1', '-W1', '10.254.1.2')).toBe(false);
  });

  test('who waits for an answer when the rules come still gets it', async () => {
    await apply(undefined);
    const answer =
      'read question; touch /run/asked; until [ -e /run/ruled ]; do sleep 0.05; done; echo answer';
    const answering = inside('provider', 'socat', '-T9', 'TCP-LISTEN:5556,reuseaddr', `SYSTEM:${answer}`);
    const question = 'echo question; read word; echo $word >/run/told';
    const asking = node.runner.run('socat', [
      '-T5',
      'TCP:198.51.100.1:5556,retry=50,interval=0.1',
      `SYSTEM:${question}`,
    ]);
    await expect.poll(() => node.files.readText('/run/asked'), { timeout: 5000 }).toBeDefined();
    await apply(hubSpec([BLUE]));
    await node.run('touch', '/run/ruled');
    await asking;
    expect(await node.files.readText('/run/told')).toBe('answer\n');
    await answering;
  });

  test('in quarantine nothing of a tenant passes, and the uplink stays; released, all is as before', async () => {
    await ip('link', 'add', 'br-lan', 'type', 'bridge');
    await ip('link', 'set', 'br-lan', 'up');
    await ip('addr', 'add', '192.168.9.254/24', 'dev', 'br-lan');
    for (const [index, netns] of ['host-a', 'host-b'].entries()) {
      await ip('netns', 'add', netns);
      await ip('link', 'add', `lan${index}`, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', netns);
      await ip('link', 'set', `lan${index}`, 'master', 'br-lan', 'up');
      await ip('-n', netns, 'addr', 'add', `192.168.9.${index + 1}/24`, 'dev', 'eth0');
      await ip('-n', netns, 'link', 'set', 'eth0', 'up');
    }
    const spec = hubSpec([BLUE, RED]);
    const ways = {
      'between ports': () => works('host-a', 'ping', '-c1', '-W1', '192.168.9.2'),
      'from the box into a segment': async () =>
        (await node.runner.run('ping', ['-c1', '-W1', '192.168.9.1'])).exitCode === 0,
      'between branches': () => works('blue', 'ping', '-c1', '-W1', '192.168.1.1'),
      'from a branch': async () =>
        (await node.runner.run('ping', ['-c1', '-W1', '192.168.2.2'])).exitCode === 0,
      'to the box by its uplink': () => works('provider', 'ping', '-c1', '-W1', '198.51.100.2'),
      'from the box by its uplink': async () =>
        (await node.runner.run('ping', ['-c1', '-W1', '198.51.100.1'])).exitCode === 0,
    };
    const open = async (): Promise<readonly string[]> => {
      const found: string[] = [];
      for (const [name, way] of Object.entries(ways)) if (await way()) found.push(name);
      return found;
    };
    await apply(spec);
    expect(await open()).toEqual(Object.keys(ways));
    await apply(spec, true);
    expect(await open()).toEqual(['to the box by its uplink', 'from the box by its uplink']);
    await apply(spec);
    expect(await open()).toEqual(Object.keys(ways));
  });

  test('a lost route to a VTEP leaks nothing by the uplink', async () => {
    const count = ['nft', 'list', 'chain', 'inet', 'seen', 'entry'];
    for (const words of [
      ['add', 'table', 'inet', 'seen'],
      ['add', 'chain', 'inet', 'seen', 'entry', '{ type filter hook prerouting priority 0; }'],
      ['add', 'rule', 'inet', 'seen', 'entry', 'udp dport 4789 counter'],
    ]) {
      expect(await works('provider', 'nft', ...words)).toBe(true);
    }
    await ip('route', 'replace', '10.255.0.12/32', 'via', '198.51.100.1');
    await apply(undefined);
    await node.runner.run('ping', ['-c1', '-W1', '192.168.2.2']);
    const read = async () => (await inside('provider', ...count)).stdout;
    expect(await read()).toMatch(/counter packets [1-9]/);
    await apply(hubSpec([BLUE]));
    // Read only now: until the policy stood, the kernel went on asking for its neighbour.
    const before = await read();
    await node.runner.run('ping', ['-c1', '-W1', '192.168.2.2']);
    expect(await read()).toBe(before);
  });
});
