/** The Debian package on a Debian 13 that has what it depends on, under a real systemd: installs, starts, leaves. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { buildDisk } from '../../image/disk.ts';
import { makePackage } from '../../image/package.ts';
import { LocalStatus } from '../../src/model/localStatus.ts';
import { createRunner } from '../../src/system/linux/runner.ts';
import { type SystemdNode, startSystemdNode } from './systemdNode.ts';

const BRANCHBOX = join(import.meta.dirname, '../../branchbox');
const RESOLV_CONF = '# by Debian\nnameserver 192.0.2.53\n';
const WAIT = { timeout: 120_000, interval: 250 };

describe('the Debian package', () => {
  const runner = createRunner();
  let scratch: string;
  let node: SystemdNode;

  beforeAll(async () => {
    const making = { runner, say: () => {} };
    const deb = await makePackage(await buildDisk({}, making), making);
    scratch = mkdtempSync(join(tmpdir(), 'bbt-package-'));
    const state = join(scratch, 'manufacturer');
    const factory = join(scratch, 'factory');
    const manufacturer = (...words: string[]) =>
      runner.runChecked(BRANCHBOX, ['manufacturer', ...words], { timeoutMs: 60_000 });
    await manufacturer('init', '--state', state, '--name', 'manufacturer.test', '--address', '198.51.100.1');
    await manufacturer('identity', '--state', state, '--serial', 'SN-1', '--model', 'lab', '--out', factory);
    const etc = join(scratch, 'etc');
    mkdirSync(etc);
    writeFileSync(join(etc, 'resolv.conf'), RESOLV_CONF);
    node = await startSystemdNode({
      name: 'deb',
      directories: { '/etc': etc, '/etc/branchbox/factory': factory },
      package: deb,
    });
  }, 1_200_000);
  afterAll(async () => {
    await node.stop();
    rmSync(scratch, { recursive: true });
  });

  it('starts a gateway with the machine, in the place of Debian’s own daemons', async () => {
    for (const unit of ['branchbox-agent', 'branchbox-identity', 'frr-zebra', 'frr-bgpd', 'docker']) {
      await expect.poll(() => node.property(`${unit}.service`, 'ActiveState'), WAIT).toBe('active');
    }
    for (const unit of ['frr.service', 'docker.socket', 'mosquitto.service', 'ssh.service', 'ssh.socket']) {
      expect(await node.property(unit, 'LoadState'), unit).toBe('masked');
    }
    // Whoever holds a Debian's network: ifupdown as its installer leaves it, networkd as its cloud images do, a desktop's.
    for (const unit of [
      'networking.service',
      'ifup@eth0.service',
      'systemd-networkd.service',
      'systemd-networkd.socket',
      'NetworkManager.service',
      'dhcpcd.service',
    ]) {
      expect(await node.property(unit, 'LoadState'), unit).toBe('masked');
    }
    expect(await node.checked('readlink', '/etc/resolv.conf')).toBe('/run/branchbox/resolv.conf\n');
    expect(await node.property('docker.service', 'FragmentPath')).toBe('/etc/systemd/system/docker.service');
    const status = await node.checked('branchbox', 'status', '--json');
    expect(LocalStatus.safeParse(JSON.parse(status)).success).toBe(true);
  });

  it('has all that it says it needs, and every file of the right owner', async () => {
    expect(await node.checked('dpkg', '--audit')).toBe('');
    // By pppoe@.service, where an uplink is PPPoE; by branchbox-ssh.service, where SSH is opened; by the agent for modems.
    expect(await node.checked('dpkg-query', '-W', '-f', '${Recommends}', 'branchbox')).toMatch(
      /^ppp, openssh-server, modemmanager, /,
    );
    // No older Debian takes it: it would lose its network to daemons that are not there.
    expect(await node.checked('dpkg-query', '-W', '-f', '${Depends}', 'branchbox')).toContain(
      'systemd (>= 257)',
    );
    expect(await node.checked('id', '-Gn', 'branchbox-look')).toBe('branchbox-look systemd-journal\n');
    expect(await node.checked('getent', 'shadow', 'branchbox-look')).toMatch(/^branchbox-look:\*:/);
    expect(await node.checked('cat', '/usr/share/doc/branchbox/copyright')).toContain('Apache-2.0');
    expect(await node.checked('cat', '/usr/lib/branchbox/licences.txt')).toMatch(/^fastify \d.*: MIT$/m);
    expect(await node.checked('find', '/usr/lib/branchbox', '!', '-user', 'root')).toBe('');
    expect(await node.checked('find', '/usr/lib/branchbox', '-perm', '-o+w', '!', '-type', 'l')).toBe('');
  });

  it('gives Debian’s units back when it is removed, and leaves with its state when it is purged', async () => {
    await node.checked('dpkg', '--remove', 'branchbox');
    expect(await node.property('docker.service', 'FragmentPath')).toMatch(/^\/usr\/lib\/systemd\/system\//);
    expect(await node.property('frr.service', 'LoadState')).toBe('loaded');
    expect(await node.property('systemd-networkd.service', 'LoadState')).toBe('loaded');
    expect(await node.checked('cat', '/etc/resolv.conf')).toBe(RESOLV_CONF);
    expect((await node.run('ls', '/etc/resolv.conf.before-branchbox')).exitCode).not.toBe(0);
    await node.checked('dpkg', '--purge', 'branchbox');
    expect(await node.property('branchbox-agent.service', 'ActiveState')).toBe('inactive');
    expect((await node.run('ls', '/var/lib/branchbox', '/usr/lib/branchbox/node')).exitCode).not.toBe(0);
  });
});
