/**
 * The image as a box: branch2 is a virtual machine that was switched on with a factory identity and nothing else, held
 * against what a gateway of namespaces does, and against what the image promises of itself.
 */
import { describe, expect, it } from 'vitest';
import { inNode, jsonIn, lab, pings, tryIn, until } from '../lab/mainjob/lab.ts';

const BOX = 'branch2';
const RED_APP = '10.10.0.101';

describe('a box that is the image', () => {
  it('bootstrapped itself and committed what it was told', async () => {
    const status = await jsonIn<{ readonly committed?: { readonly generation: number } }>(
      BOX,
      'branchbox',
      'status',
      '--json',
    );
    expect(status.committed?.generation).toBeGreaterThan(0);
  });

  it('runs from a root that dm-verity checks and nobody can write, and keeps /var apart', async () => {
    const mounts = await inNode(BOX, 'cat', '/proc/mounts');
    expect(mounts).toMatch(/^\S+ \/ erofs ro\b/m);
    expect(mounts).toMatch(/^\S+ \/var ext4 rw\b/m);
    expect(await inNode(BOX, 'cat', '/proc/cmdline')).toMatch(/roothash=[0-9a-f]{64}/);
    expect((await tryIn(BOX, ['touch', '/usr/bin/mine'])).exitCode).not.toBe(0);
    // Whoever starts a shell finds nobody to be: no account has a password.
    const open = (await inNode(BOX, 'cat', '/etc/shadow'))
      .split('\n')
      .filter((line) => line !== '' && !/^[^:]+:[!*]/.test(line));
    expect(open).toEqual([]);
  });

  it('has tunnels of the kernel\u2019s WireGuard to hubs that run it in userspace', async () => {
    const tunnels = await inNode(BOX, 'ip', '-j', '-d', 'link', 'show', 'type', 'wireguard');
    expect(JSON.parse(tunnels).length).toBe(4);
    expect(await inNode('hub', 'sh', '-c', 'ls /run/wireguard')).toContain('.sock');
  });

  it('joins red across sites, ARP answered, in both directions', async () => {
    expect(await pings('branch2-red', '10.10.0.11')).toBe(true);
    expect(await pings('branch1-red', '10.10.0.12')).toBe(true);
  });

  it('runs an app of red that red reaches from either branch', async () => {
    for (const host of ['branch1-red', 'branch2-red'])
      expect(await inNode(host, 'curl', '-s', '--max-time', '20', `http://${RED_APP}/`)).toContain(
        'red-app-vm',
      );
  });

  it('keeps blue out of red: its host behind the box reaches blue, and not what red alone has', async () => {
    expect(await pings('branch2-blue', '10.10.0.11')).toBe(true);
    expect(await pings('branch2-blue', RED_APP)).toBe(false);
  });

  it('has the kernel features that namespaces here lack', async () => {
    const check = await jsonIn<{ readonly features: readonly { feature: string; present: boolean }[] }>(
      BOX,
      'branchbox',
      'check',
      '--json',
    );
    const missing = check.features.filter(({ present }) => !present).map(({ feature }) => feature);
    expect(missing).toEqual([]);
  });

  it('moves to the other uplink when the provider goes dark, and back', async () => {
    await lab('cut', BOX, 'internet');
    await until('red reaches red over lte', () => pings('branch2-red', '10.10.0.11'));
    await lab('heal', BOX, 'internet');
    await until('the paths over internet are up again', async () => {
      const { paths } = await jsonIn<{ readonly paths: readonly { id: string; state: string }[] }>(
        BOX,
        'branchbox',
        'status',
        '--json',
      );
      return paths.every(({ state }) => state === 'up');
    });
    expect(await pings('branch2-red', '10.10.0.11')).toBe(true);
  });
});
