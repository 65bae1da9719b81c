/**
 * Owns proving the underlay on real namespaces, WireGuard and FRR: pinned tunnels, failover by bfdd and staticd with
 * no agent, the kernel's floor, and what each killed daemon costs.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { rootTree } from './wan/bareNode.ts';
import { vtepOf } from './wan/fleet.ts';
import { type Network, startNetwork, until } from './wan/network.ts';

const tree = rootTree();

describe.skipIf(tree === undefined)('underlay', () => {
  let network: Network;
  const bfdUp = async (gateway: 'hub' | 'branch1', expected: number): Promise<boolean> =>
    ((await network.nodes[gateway].run('vtysh', '-c', 'show bfd peers brief')).match(/ up /g) ?? [])
      .length === expected;
  /** The device that packets to the hub's VTEP take now. */
  const activeDevice = async (): Promise<string | undefined> =>
    / dev (\S+)/.exec(await network.nodes.branch1.run('ip', 'route', 'get', vtepOf('hub')))?.[1];
  /** At both ends: straight over the first uplink. */
  const carriesFirst = async (): Promise<boolean> => {
    const branch = await network.nodes.branch1.run('ip', 'route', 'get', vtepOf('hub'));
    const hub = await network.nodes.hub.run('ip', 'route', 'get', vtepOf('branch1'));
    return branch.includes('via 10.254.17.1 ') && hub.includes('via 10.254.17.11 ');
  };

  beforeAll(async () => {
    network = await startNetwork(tree ?? '');
    await network.convergeAll();
    await until('four paths a branch', async () => (await bfdUp('branch1', 4)) && (await bfdUp('hub', 8)));
    await until(
      'red reaches red',
      async () => (await network.pingFrom('branch1', 'red', '10.10.0.12', 3)).lost === 0,
    );
  });
  afterAll(() => network?.stop());

  it('plans nothing when all is there: what FRR prints is what was wished for', async () => {
    const report = await network.converge('hub');
    expect(report.applied).toBe(0);
    expect(report.converged).toBe(true);
  });

  it('prefers the first uplink, straight before across, and the same at both ends', async () => {
    expect(await carriesFirst()).toBe(true);
  });

  it('a packet of one uplink never leaves by another', async () => {
    const { branch1 } = network.nodes;
    const first = await branch1.run('ip', 'route', 'get', '192.0.2.1', 'mark', '0x101');
    expect(first).toContain('dev wan1');
    await branch1.run('ip', 'link', 'set', 'wan1', 'down');
    try {
      const gone = await branch1.runner.run('ip', ['route', 'get', '192.0.2.1', 'mark', '0x101']);
      expect(gone.exitCode).not.toBe(0);
      expect(await branch1.run('ip', 'route', 'get', '192.0.2.1', 'mark', '0x102')).toContain('dev wan2');
    } finally {
      await branch1.run('ip', 'link', 'set', 'wan1', 'up');
      await network.converge('branch1');
      await until('all paths are back', () => bfdUp('branch1', 4));
    }
  });

  it('an unknown VTEP and a lost tunnel network end here, not at a provider', async () => {
    const { hub, branch1 } = network.nodes;
    expect((await hub.runner.run('ip', ['route', 'get', '10.255.9.9'])).exitCode).not.toBe(0);
    expect((await branch1.runner.run('ip', ['route', 'get', '10.254.99.1'])).exitCode).not.toBe(0);
    // The negative: anything else does leave.
    expect(await branch1.run('ip', 'route', 'get', '192.0.2.1')).toContain('dev wan1');
  });

  it('goes on by another path within a second when an uplink goes dark, and comes back without loss', async () => {
    // A path of another test's cut may be watched again and not carry yet.
    await until('the first path is active', () => carriesFirst());
    const before = await activeDevice();
    try {
      const during = await network.pinging('branch1', 'red', '10.10.0.12', 600);
      await network.cut('branch1', 0);
      await until('another path is active', async () => (await activeDevice()) !== before);
      const result = await during.ended;
      // At 10 ms a ping, 100 in a row are a second. Something must be lost, else nothing was cut.
      expect(result.lost).toBeGreaterThan(0);
      expect(result.longestRun).toBeLessThan(100);
      const healing = await network.pinging('branch1', 'red', '10.10.0.12', 600);
      await network.heal('branch1', 0);
      await until('the first path is active again', async () => (await activeDevice()) === before);
      expect((await healing.ended).lost).toBe(0);
    } finally {
      // Else each test after this one finds an uplink cut.
      await network.heal('branch1', 0);
    }
  });

  it.each(['zebra', 'staticd', 'bfdd', 'mgmtd'])(
    'loses nothing when %s is killed, and it comes back',
    async (daemon) => {
      for (const gateway of ['branch1', 'hub'] as const) {
        const node = network.nodes[gateway];
        const pid = node.pidOf(daemon);
        const pings = await network.pinging('branch1', 'red', '10.10.0.12', 300);
        await node.run('kill', '-9', String(pid));
        await until(`${daemon} runs again`, async () => node.pidOf(daemon) !== pid);
        expect((await pings.ended).lost).toBe(0);
        await until(`${gateway} watches all paths again`, () => bfdUp(gateway, gateway === 'hub' ? 8 : 4));
        // Everything is there again without the agent: a plan finds nothing to do.
        await until(`${gateway} has all of its configuration`, async () => {
          const { stdout } = await node.runner.run('vtysh', ['-c', 'show running-config']);
          const stored = (await node.files.readText('/etc/frr/frr.conf')) ?? '';
          return [...stored.matchAll(/^ip route .*$/gm)].every(([line]) => stdout.includes(line));
        });
      }
    },
  );

  it('the floor carries while staticd is held dead, and lies below its routes after', async () => {
    const { branch1 } = network.nodes;
    await branch1.run('mv', '/usr/lib/frr/staticd', '/usr/lib/frr/staticd.away');
    await branch1.run('kill', '-9', String(branch1.pidOf('staticd')));
    await until(
      'staticd left no route',
      async () => (await branch1.run('ip', 'route', 'show', 'proto', '196')) === '',
    );
    expect((await network.pingFrom('branch1', 'red', '10.10.0.12', 20)).lost).toBe(0);
    expect(await branch1.run('ip', 'route', 'get', vtepOf('hub'))).toContain('via 10.254.17.1 ');
    await branch1.run('mv', '/usr/lib/frr/staticd.away', '/usr/lib/frr/staticd');
    await until('staticd has its routes again', async () =>
      (await branch1.run('ip', 'route', 'show', 'proto', '196')).includes('10.255.0.0/16'),
    );
  });

  it('a killed wireguard-go costs its own path only', async () => {
    const { branch1 } = network.nodes;
    const device = (await activeDevice()) ?? '';
    const pings = await network.pinging('branch1', 'red', '10.10.0.12', 300);
    await branch1.run('kill', '-9', String(branch1.pidOf(`wireguard-go@${device}.service`)));
    await until('another path is active', async () => (await activeDevice()) !== device);
    expect((await pings.ended).longestRun).toBeLessThan(100);
    await until('the agent has brought it back', async () => (await network.converge('branch1')).converged);
    await until('all paths are back', () => bfdUp('branch1', 4));
  });
});
