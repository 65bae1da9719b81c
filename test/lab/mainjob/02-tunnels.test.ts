/** The paths of the default topology: one interface each, pinned, monitored, with a floor below, keys on the box. */
import { describe, expect, it } from 'vitest';
import { inNode, jsonIn } from './lab.ts';

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
    const key = (await inNode('branch1', 'cat', '/var/lib/branchbox/agent/wireguard.key')).trim();
    const found = await inNode(
      'controller',
      'sh',
      '-c',
      'grep -rl -F -f - /var/lib/branchbox 2>/dev/null | wc -l',
    ).catch(() => '0');
    expect(key.length).toBeGreaterThan(40);
    expect(found.trim()).toBe('0');
  });

  it('leave no default route in the main table and no VXLAN outside a tunnel', async () => {
    const main = await jsonIn<{ dst: string }[]>('branch1', 'ip', '-j', 'route', 'show', 'table', 'main');
    expect(main.some((route) => route.dst === 'default')).toBe(false);
  });
});
