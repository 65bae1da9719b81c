/**
 * Owns proving the overlay on real namespaces and FRR: tenants with one subnet that never meet, what a hub takes
 * from a branch, and sessions that come back by themselves.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { renderFrrConfig } from '../../src/net/frrConfig.ts';
import type { FrrLineItem } from '../../src/net/items.ts';
import { type BareNode, rootTree } from './wan/bareNode.ts';
import { vtepOf } from './wan/fleet.ts';
import { type Network, startNetwork, until } from './wan/network.ts';

const tree = rootTree();
const RED_VNI = 10_010;

describe.skipIf(tree === undefined)('overlay', () => {
  let network: Network;
  const reaches = async (tenant: 'red' | 'blue'): Promise<boolean> => {
    await network.forgetNeighbours('branch1', tenant);
    return (await network.pingFrom('branch1', tenant, '10.10.0.12', 3, 0.2)).lost === 0;
  };
  const floodList = async (vni: number): Promise<string> =>
    network.nodes.branch1.run('bridge', 'fdb', 'show', 'dev', `vx-${vni}`);

  beforeAll(async () => {
    network = await startNetwork(tree ?? '');
    await network.convergeAll();
    await until(
      'red and blue reach their own',
      async () => (await reaches('red')) && (await reaches('blue')),
    );
  });
  afterAll(() => network?.stop());

  it('keeps tenants apart that use the same addresses', async () => {
    const macOf = async (tenant: 'red' | 'blue'): Promise<string> => {
      const { branch1 } = network.nodes;
      const dump = await branch1.run(
        'bridge',
        'fdb',
        'show',
        'br',
        tenant === 'red' ? 'br-10010' : 'br-10020',
      );
      return dump;
    };
    const remote = (dump: string): string[] =>
      dump
        .split('\n')
        .filter((line) => line.includes(`dst ${vtepOf('branch2')}`))
        .map((line) => line.split(' ')[0] ?? '')
        .filter((mac) => mac !== '00:00:00:00:00:00');
    const red = remote(await macOf('red'));
    const blue = remote(await macOf('blue'));
    expect(red.length).toBeGreaterThan(0);
    expect(blue.length).toBeGreaterThan(0);
    expect(red.filter((mac) => blue.includes(mac))).toEqual([]);
  });

  it('blue never reaches red: it does where red is mistakenly put on the same segment', async () => {
    const lan = (segments: ('red' | 'blue')[]) =>
      network.converge('branch2', { segments: { branch2: segments } });
    // branch2 without blue: its blue host is on no segment.
    await lan(['red']);
    await until('blue is alone', async () => !(await reaches('blue')));
    expect(await reaches('red')).toBe(true);
    // The negative: with blue's port in red's bridge, branch1's red host is answered by a blue one.
    const { branch2 } = network.nodes;
    await branch2.run('ip', 'link', 'set', 'lan1', 'nomaster');
    await until('red has lost its host', async () => !(await reaches('red')));
    await branch2.run('ip', 'link', 'set', 'lan2', 'mtu', '1390', 'master', 'br-10010', 'up');
    await until('red reaches the blue host', () => reaches('red'));
    await network.converge('branch2');
    await until('all as it was', async () => (await reaches('red')) && (await reaches('blue')));
  });

  it('what a host announces of itself is heard at the other site, as a standby needs that takes an address over', async () => {
    const nobody = '02:00:00:00:00:99';
    // It would ask branch1 by itself whether that is still there, and thereby tell it.
    await network.forgetNeighbours('branch2', 'red');
    await until('branch1 was told better', async () => {
      // Each time anew: the kernel forgets what is not used for a minute.
      await network.mislead('branch1', 'red', '10.10.0.12', nobody);
      await network.announce('branch2', 'red', '10.10.0.12');
      const known = await network.neighbourOf('branch1', 'red', '10.10.0.12');
      return known.includes('lladdr') && !known.includes(nobody);
    });
    expect(await reaches('red')).toBe(true);
  });

  it('a hub takes from a branch only the VNIs it permits, and tells it of no others', async () => {
    await network.converge('hub', { permitted: { branch2: [10_020] } });
    await until(
      'branch1 has nothing of branch2 in red',
      async () => !(await floodList(RED_VNI)).includes(vtepOf('branch2')),
    );
    expect(await reaches('blue')).toBe(true);
    // branch2 has forgotten what branch1 said of red, and keeps what it said of blue.
    const toldOf = async (vni: number): Promise<number> =>
      (await network.nodes.branch2.run('vtysh', '-c', 'show bgp l2vpn evpn')).split(`RT:64512:${vni} ET:8`)
        .length - 1;
    await until('branch2 was told to forget red', async () => (await toldOf(RED_VNI)) === 0);
    expect(await toldOf(10_020)).toBeGreaterThan(0);
    await network.converge('hub');
    await until('red again', () => reaches('red'));
  });

  /** What a stolen branch2, allowed blue alone, may try; each is first shown to work where the hub has no policy. */
  it.each([
    {
      lie: 'hides a forbidden target beside a permitted one',
      set: 'set extcommunity rt 64512:10020 64512:10010',
      taken: 'RT:64512:10010 RT:64512:10020',
    },
    {
      lie: 'speaks of a tenant that is not its own',
      set: 'set extcommunity rt 64512:10010',
      taken: 'RT:64512:10010',
    },
    {
      lie: 'gives the VTEP of another branch as its own',
      set: `set ip next-hop ${vtepOf('branch1')}`,
      taken: `\n                    ${vtepOf('branch1')} `,
    },
  ])('a hub does not take it when a branch $lie', async ({ set, taken }) => {
    const { branch2, hub } = network.nodes;
    const configure = async (node: BareNode, lines: readonly string[]): Promise<void> => {
      await node.files.writeDurable('/run/stolen.conf', `${lines.join('\n')}\n`);
      await node.run('vtysh', '-f', '/run/stolen.conf');
    };
    const inEvpn = (line: string): string[] => [
      'router bgp 64512',
      ' address-family l2vpn evpn',
      `  ${line}`,
      ' exit-address-family',
      'exit',
    ];
    /** Whether the hub holds the lie in what has branch2's own route distinguishers. */
    const hubTook = async (): Promise<boolean> => {
      const routes = await hub.run('vtysh', '-c', 'show bgp l2vpn evpn');
      const parts = routes.split('Route Distinguisher: ');
      return parts.some((part) => part.startsWith(`${vtepOf('branch2')}:`) && part.includes(taken));
    };
    await network.converge('hub', { permitted: { branch2: [10_020] } });
    await configure(branch2, [
      'route-map lie permit 10',
      ` ${set}`,
      'exit',
      ...inEvpn(`neighbor ${vtepOf('hub')} route-map lie out`),
    ]);
    await configure(hub, inEvpn(`no neighbor ${vtepOf('branch2')} route-map from-branch2 in`));
    await until('a hub without policy takes the lie', hubTook);
    await network.converge('hub', { permitted: { branch2: [10_020] } });
    await until('the hub with its policy does not', async () => !(await hubTook()));
    // The hub's word that it is gone takes its own time to branch1.
    await until(
      'branch1 has forgotten it',
      async () => !(await floodList(RED_VNI)).includes(vtepOf('branch2')),
    );
    await network.converge('branch2');
    await network.converge('hub');
    await until('all as it was', async () => (await reaches('red')) && (await reaches('blue')));
  });

  it.each(['branch1', 'hub'] as const)(
    'sessions come back by themselves after bgpd of %s was killed',
    async (gateway) => {
      const node = network.nodes[gateway];
      await node.run('kill', '-9', String(node.pidOf('bgpd')));
      await until('a remote host is known again', async () =>
        (await floodList(RED_VNI)).includes(vtepOf('branch2')),
      );
      await until('red again', () => reaches('red'));
      expect((await network.converge(gateway)).applied).toBe(0);
    },
  );

  it('a hub that runs takes one branch more, and then there is nothing left to do', async () => {
    const joining = { gatewayId: 'branch3', vtep: '10.255.0.13' };
    const grown = await network.converge('hub', { joining });
    expect([...grown.failures].map(([id, { message }]) => `${id}: ${message}`)).toEqual([]);
    expect(grown.applied).toBeGreaterThan(0);
    // A look at everything, not only at what was done.
    expect((await network.converge('hub', { joining })).plan.steps).toEqual([]);
    const back = await network.converge('hub');
    expect(back.converged).toBe(true);
    expect((await network.converge('hub')).applied).toBe(0);
  });

  it('FRR takes the rendered file as it is, and refuses a bad one', async () => {
    const { hub } = network.nodes;
    const lines = network.items('hub').filter((item): item is FrrLineItem => item.kind === 'frr');
    const { text } = renderFrrConfig(lines);
    await hub.files.writeDurable('/run/good.conf', text);
    await hub.files.writeDurable(
      '/run/bad.conf',
      text.replace('match evpn route-type macip', 'match evpn route-type frobnicate'),
    );
    expect((await hub.runner.run('vtysh', ['-C', '-f', '/run/good.conf'])).exitCode).toBe(0);
    expect((await hub.runner.run('vtysh', ['-C', '-f', '/run/bad.conf'])).exitCode).not.toBe(0);
  });
});
