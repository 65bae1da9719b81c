/**
 * Owns proving an underlay of IPv6 on real namespaces, dhcpcd, WireGuard and FRR: a tunnel over a line that has nothing
 * else, its address from a router's advertisement; what the line carries, and that nothing of it gets onto another line.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { wireguardOf } from '../../src/model/ids.ts';
import { rootTree } from './wan/bareNode.ts';
import { until } from './wan/network.ts';
import { type Box, HOST, HUB, NARROW, type Network6, startNetwork6, TENANT_MTU } from './wan/network6.ts';

const tree = rootTree();
const OVER_SIX = wireguardOf('internet-hub-internet');
const OVER_FOUR = wireguardOf('lte-hub-internet');
const AT_HUB = wireguardOf('internet-slot1');

describe.skipIf(tree === undefined)('underlay of IPv6', () => {
  let network: Network6;
  const run = (box: Box, line: string): Promise<string> => {
    const [command = '', ...args] = line.split(' ');
    return network.nodes[box].run(command, ...args);
  };
  const bfdUp = async (box: Box, expected: number): Promise<boolean> =>
    ((await network.nodes[box].run('vtysh', '-c', 'show bfd peers brief')).match(/ up /g) ?? []).length ===
    expected;
  const allUp = async (): Promise<boolean> => (await bfdUp('branch1', 2)) && (await bfdUp('hub', 3));
  /** What the line gave the first uplink of the branch. */
  const ownAddress = async (): Promise<string> =>
    /inet6 (2001:db8:a:\S+)\/64/.exec(
      await run('branch1', 'ip -6 address show dev wan1 scope global'),
    )?.[1] ?? '';
  const endpointsOf = async (box: Box, link: string): Promise<string[]> =>
    (await run(box, `wg show ${link} endpoints`))
      .trim()
      .split('\n')
      .map((line) => (line.split('\t')[1] ?? '').replace(/:\d+$/, ''))
      .sort();
  const activeDevice = async (): Promise<string | undefined> =>
    / dev (\S+)/.exec(await run('branch1', 'ip route get 10.255.0.1'))?.[1];
  /** Once it has settled: a path that is left or taken up just now costs a few. */
  const loseNothing = (packetBytes?: number): Promise<void> =>
    until(
      'nothing is lost',
      async () => (await network.pingFrom('branch1', HOST.branch2, 20, packetBytes)) === 0,
    );

  beforeAll(async () => {
    network = await startNetwork6(tree ?? '');
    await network.convergeAll();
    await until('two paths of branch 1 and one of branch 2', allUp);
    await loseNothing();
  });
  afterAll(() => network?.stop());

  it('plans nothing when all is there', async () => {
    for (const box of ['hub', 'branch1'] as const) {
      const report = await network.converge(box);
      expect([report.applied, report.converged], box).toEqual([0, true]);
    }
  });

  it('calls the hub by IPv6 where the line has nothing else, and by IPv4 where it has both', async () => {
    expect(await run('branch1', 'ip -4 address show dev wan1')).toBe('');
    expect(await endpointsOf('branch1', OVER_SIX)).toEqual([`[${HUB.six}]`]);
    expect(await endpointsOf('branch1', OVER_FOUR)).toEqual([HUB.four]);
    // Branches of either family are peers of one interface, each where it called from.
    expect(await endpointsOf('hub', AT_HUB)).toEqual(['198.51.100.112', `[${await ownAddress()}]`]);
  });

  it('carries the largest packet of a tenant uncut, by the first line', async () => {
    expect(await activeDevice()).toBe(OVER_SIX);
    const cut = async (): Promise<string | undefined> =>
      /^Ip6FragCreates\s+(\d+)/m.exec(await run('branch1', 'cat /proc/net/snmp6'))?.[1];
    const before = await cut();
    await loseNothing(TENANT_MTU);
    expect(await cut()).toBe(before);
    // The negative: the interface would take more, and one byte more than fits is cut.
    await run('branch1', `ip link set dev ${OVER_SIX} mtu 1500`);
    try {
      await network.nodes.branch1.runner.run('ping', ['-c', '1', '-W', '1', '-s', '1393', '10.255.0.1']);
      expect(await cut()).not.toBe(before);
    } finally {
      await network.converge('branch1');
    }
  });

  it('learns of a narrow line by ICMPv6, and lets nobody call in', async () => {
    const address = await ownAddress();
    const route = `ip -6 route get ${NARROW.host} from ${address}`;
    expect(await run('branch1', route)).toContain('dev wan1');
    expect(await run('branch1', route)).not.toContain(`mtu ${NARROW.mtu}`);
    const probe = ['-6', '-c', '1', '-W', '1', '-M', 'do', '-s', '1452', '-I', address, NARROW.host];
    await network.nodes.branch1.runner.run('ping', probe);
    expect(await run('branch1', route)).toContain(`mtu ${NARROW.mtu}`);
    // bgpd listens there. Dropped, a call is not answered at all; timeout(1) says 124.
    const call = async (words: string): Promise<number> =>
      (await network.nodes.isp.runner.run('timeout', ['2', 'bash', '-c', `exec 3<>/dev/tcp/${words}`]))
        .exitCode;
    expect(await run('branch1', 'ss -ltnH sport = :179')).toContain('[::]:179');
    expect(await call(`${address}/179`)).toBe(124);
    expect((await network.nodes.isp.runner.run('ping', ['-6', '-c', '1', '-W', '2', address])).exitCode).toBe(
      0,
    );
  });

  it('keeps to its line: without it, its packets end, and traffic goes on by the other', async () => {
    const { branch1, isp } = network.nodes;
    const port = network
      .spec('branch1')
      .tunnels.find(({ uplink }) => uplink === 'internet')
      ?.peers.at(0)?.endpoint?.port;
    const marked = ['-6', 'route', 'get', HUB.six, 'mark', '0x101'];
    await branch1.run(
      'sh',
      '-ec',
      `nft add table inet watch
       nft add counter inet watch leaked
       nft 'add chain inet watch out { type filter hook postrouting priority 500; }'
       nft add rule inet watch out oifname wan2 udp dport ${port} counter name leaked`,
    );
    const leaked = async (): Promise<number> =>
      Number(/packets (\d+)/.exec(await run('branch1', 'nft list counter inet watch leaked'))?.[1]);
    const traffic = async (): Promise<void> =>
      void (await branch1.runner.run('ping', ['-c', '8', '-W', '1', '-I', OVER_SIX, '10.254.0.1']));
    expect(await branch1.run('ip', ...marked)).toContain('dev wan1');
    await isp.run('ip', 'link', 'set', 'p0-branch1', 'down');
    try {
      await until('the other line is active', async () => (await activeDevice()) === OVER_FOUR);
      await loseNothing();
      await until('its packets end', async () => (await branch1.runner.run('ip', marked)).exitCode !== 0);
      // The other line leads there, too: whatever is not pinned takes it.
      expect(await branch1.run('ip', '-6', 'route', 'get', HUB.six)).toContain('dev wan2');
      await traffic();
      expect(await leaked()).toBe(0);
      // The negative: the one rule gone, WireGuard calls by the other line at once.
      await run('branch1', 'ip -6 rule del pref 1201');
      await until('it leaks', async () => {
        await traffic();
        return (await leaked()) > 0;
      });
      await until('the box mends its rule', async () => {
        await network.converge('branch1');
        return (await branch1.runner.run('ip', marked)).exitCode !== 0;
      });
    } finally {
      await isp.run('ip', 'link', 'set', 'p0-branch1', 'up');
    }
    await until('the line has its address, and the box its way out', async () => {
      const { converged, plan } = await network.converge('branch1');
      return converged && plan.blocked.length === 0;
    });
    await until('all paths are back', allUp);
    await until('the first is active', async () => (await activeDevice()) === OVER_SIX);
    await loseNothing();
  });
});
