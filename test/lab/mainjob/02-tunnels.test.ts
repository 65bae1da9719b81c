/** The paths of the default topology: one interface each, pinned, monitored, with a floor below, keys on the box. */
import { describe, expect, it } from 'vitest';
import { inNode, jsonIn, pings, tryIn } from './lab.ts';

interface Rule {
  readonly priority: number;
  readonly fwmark?: string;
  readonly table?: string;
  readonly action?: string;
}

describe('tunnels', () => {
  it('are one WireGuard interface for each path of a branch, each with a handshake', async () => {
    const dump = (await inNode('branch1', 'wg', 'show', 'all', 'latest-handshakes')).trim().split('\n');
    expect(dump).toHaveLength(4);
    for (const line of dump) expect(Number(line.split('\t')[2])).toBeGreaterThan(0);
  });

  it('are pinned: the mark of an uplink finds its own table or nothing', async () => {
    const marks = new Set(
      (await inNode('branch1', 'wg', 'show', 'all', 'fwmark'))
        .trim()
        .split('\n')
        .map((line) => line.split('\t')[1]),
    );
    expect([...marks].toSorted((a, b) => String(a).localeCompare(String(b)))).toEqual(['0x101', '0x102']);
    const rules = await jsonIn<Rule[]>('branch1', 'ip', '-j', 'rule');
    for (const mark of marks) {
      const own = rules.filter((rule) => rule.fwmark === mark).sort((a, b) => a.priority - b.priority);
      expect(own.map((rule) => rule.action ?? 'lookup')).toEqual(['lookup', 'unreachable']);
    }
  });

  it('are one interface for each own uplink and spoke slot at the hub, each with both branches', async () => {
    const peers = (await inNode('hub', 'wg', 'show', 'all', 'peers'))
      .trim()
      .split('\n')
      .map((line) => line.split('\t')[0]);
    expect(new Set(peers).size).toBe(4);
    expect(peers).toHaveLength(8);
  });

  it('carry BFD sessions that staticd monitors, and below them the kernel floor', async () => {
    const sessions = await jsonIn<{ status: string }[]>('branch1', 'vtysh', '-c', 'show bfd peers json');
    expect(sessions).toHaveLength(4);
    for (const session of sessions) expect(session.status).toBe('up');
    const routes = await jsonIn<{ dst: string; protocol?: string; metric?: number }[]>(
      'branch1',
      'ip',
      '-j',
      'route',
      'show',
      '10.255.0.1',
    );
    expect(routes.some((route) => (route.metric ?? 0) >= 4_261_412_864)).toBe(true);
  });

  it('keep private keys on the box: readable by root alone, and nowhere at the controller', async () => {
    expect(
      (await inNode('branch1', 'stat', '-c', '%a', '/var/lib/branchbox/agent/wireguard.key')).trim(),
    ).toBe('600');
    // Keys are read from standard input: in the words of a command each process of the node could read them.
    const filesAtController = (key: string) =>
      tryIn('controller', ['grep', '-r', '-l', '-F', '-f', '-', '/var/lib/branchbox', '/etc', '/run'], key);
    const key = (await inNode('branch1', 'cat', '/var/lib/branchbox/agent/wireguard.key')).trim();
    expect(key).toMatch(/^[A-Za-z0-9+/]{43}=$/);
    expect((await filesAtController(key)).stdout).toBe('');

    // The same look finds what is there: the public key, which the box did tell.
    const publicKey = (await tryIn('branch1', ['wg', 'pubkey'], key)).stdout.trim();
    expect((await filesAtController(publicKey)).stdout).toContain('/var/lib/branchbox/');
  });

  it('leave no default route in the main table', async () => {
    const main = await jsonIn<{ dst: string }[]>('branch1', 'ip', '-j', 'route', 'show', 'table', 'main');
    expect(main.some((route) => route.dst === 'default')).toBe(false);
    // The same question finds one in the table of an uplink.
    const own = await jsonIn<{ dst: string }[]>('branch1', 'ip', '-j', 'route', 'show', 'table', 'all');
    expect(own.some((route) => route.dst === 'default')).toBe(true);
  });

  it('carry every VXLAN packet: none leaves by an uplink as it is', async () => {
    const tunnels = (await inNode('branch1', 'wg', 'show', 'interfaces')).trim().split(/\s+/);
    const set = (names: readonly string[]) => `{ ${names.map((name) => `"${name}"`).join(', ')} }`;
    const probe = [
      'table inet probe {',
      '  counter in_tunnel {}',
      '  counter on_uplink {}',
      '  chain out {',
      '    type filter hook postrouting priority 300;',
      `    oifname ${set(tunnels)} udp dport 4789 counter name in_tunnel`,
      `    oifname ${set(['wan1', 'wan2'])} udp dport 4789 counter name on_uplink`,
      '  }',
      '}',
    ].join('\n');
    expect((await tryIn('branch1', ['nft', '-f', '-'], probe)).exitCode).toBe(0);
    try {
      expect(await pings('branch1-red', '10.10.0.12')).toBe(true);
      const text = await inNode('branch1', 'nft', 'list', 'counters', 'table', 'inet', 'probe');
      const packets = (counter: string) =>
        Number(new RegExp(`counter ${counter} \\{\\s*packets (\\d+)`).exec(text)?.[1]);
      expect(packets('in_tunnel')).toBeGreaterThan(0);
      expect(packets('on_uplink')).toBe(0);
    } finally {
      await inNode('branch1', 'nft', 'delete', 'table', 'inet', 'probe');
    }
  });
});
