/**
 * The units of the firmware under a real systemd, sandboxes and watchdog included: they come up, each does what it is for,
 * and none is less hardened than is said here. What their sandboxes let through: unitSandboxes.test.ts.
 */
import { readdirSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { LocalCheck, LocalStatus } from '../../src/model/localStatus.ts';
import { OF_THE_IMAGE, startUnitsNode, UNITS, type UnitsNode, WAIT } from './unitsNode.ts';

/**
 * Exposure by systemd-analyze, 0 to 10; none may be above. containerd and docker: what they are given is given to
 * tenants' containers too, whose own profile the engine sets (docker.service says more).
 */
const EXPOSURE: Readonly<Record<string, number>> = {
  'containerd.service': 9.5,
  'docker.service': 9.5,
  'branchbox-agent.service': 4.6,
  // Makes partitions, unlocks, repairs, and installs from a stick, before anything else of the system is there.
  'branchbox-disk.service': 9.5,
  'branchbox-cloud-identity.service': 4,
  // It reads file systems of anybody, and mounts them for that.
  'branchbox-medium@.service': 4.4,
  'branchbox-installed-medium.service': 4.4,
  'frr-zebra.service': 3.8,
  'dhcpcd@.service': 3.7,
  'dhcpcd6@.service': 3.7,
};
const USUAL_EXPOSURE = 3.5;

describe('the units under systemd', () => {
  let units: UnitsNode;
  const servicesIn = (directory: string): readonly string[] =>
    readdirSync(directory).filter((name) => name.endsWith('.service'));
  const services = servicesIn(UNITS);
  const imageServices = servicesIn(OF_THE_IMAGE);

  beforeAll(async () => {
    units = await startUnitsNode('units');
  });
  afterAll(() => units.remove());

  it('say nothing that systemd does not understand', async () => {
    const words = readdirSync(UNITS).map((name) => `/usr/lib/systemd/system/${name.replace('@.', '@wan1.')}`);
    const verified = await units.node.run(
      'systemd-analyze',
      'verify',
      '--man=no',
      '--recursive-errors=no',
      ...words,
    );
    const ours = verified.stderr
      .split('\n')
      .filter((line) => readdirSync(UNITS).some((name) => line.includes(name)));
    expect(ours).toEqual([]);
  });

  it.each([...services, ...imageServices])('%s is no more exposed than is said', async (name) => {
    const path = imageServices.includes(name) ? `/image-units/${name}` : `/usr/lib/systemd/system/${name}`;
    const text = (await units.node.run('systemd-analyze', 'security', '--offline=true', '--no-pager', path))
      .stdout;
    const exposure = Number(/Overall exposure level for .*: ([\d.]+)/.exec(text)?.[1]);
    expect(exposure).toBeLessThanOrEqual(EXPOSURE[name] ?? USUAL_EXPOSURE);
  });

  it('come up, and none had to be started twice', async () => {
    const wanted = (await units.node.checked('ls', '/etc/systemd/system/branchbox-gateway.target.wants'))
      .trim()
      .split('\n');
    expect(wanted.length).toBeGreaterThan(8);
    for (const unit of wanted) {
      // One whose condition does not hold is not to be started: a reset that nothing interrupted.
      const state = async (): Promise<string> =>
        (await units.node.property(unit, 'ConditionResult')) === 'no'
          ? 'skipped'
          : units.node.property(unit, 'ActiveState');
      await expect.poll(state, { ...WAIT, message: unit }).toMatch(/^(active|skipped)$/);
    }
    const restarts: string[] = [];
    for (const unit of wanted) restarts.push(`${unit} ${await units.node.property(unit, 'NRestarts')}`);
    expect(restarts.filter((line) => !line.endsWith(' 0') && !line.endsWith(' '))).toEqual([]);
  });

  it('agent and identity process are in the group for which the data partition keeps room', async () => {
    const group = (await units.node.checked('getent', 'group', 'operator')).split(':')[2];
    // As var.mount says it, by number.
    expect(group).toBe('37');
    for (const unit of ['branchbox-agent.service', 'branchbox-identity.service']) {
      const status = await units.node.checked(
        'cat',
        `/proc/${await units.node.property(unit, 'MainPID')}/status`,
      );
      expect(/^Groups:\s*(.*?)\s*$/m.exec(status)?.[1]?.split(' '), unit).toContain(group);
    }
  });

  it('dhcpcd gets an address and its hook tells it', async () => {
    const read = async () =>
      LocalStatus.parse(await units.agent('/status')).facts.leases.map(({ ifname }) => ifname);
    await expect.poll(read, WAIT).toEqual(['wan1']);
    // What the agent makes of it in its own sandbox: rules and routes of the uplink.
    await expect
      .poll(async () => (await units.node.run('ip', 'route', 'show', 'table', '101')).stdout, WAIT)
      .toContain('default via 198.51.100.1 dev wan1');
  });

  it('the page for an installer is served out of its sandbox, and no key can be seen there', async () => {
    const words = ['curl', '-sS', '--max-time', '5', 'http://172.31.254.1/'];
    const page = async (): Promise<string> => (await units.far(...words)).stdout;
    // Of both processes, over the sockets that are there for it.
    await expect.poll(page, WAIT).toMatch(/<dd>SN-1<\/dd>[^]*>lan1 \(LAN\)<.*seen, you are here/);
    const own = ['branchbox-installer-page', 'branchbox-installer-dhcp@lan1:172.31.254.1'];
    for (const unit of own) {
      await expect.poll(() => units.node.property(`${unit}.service`, 'ActiveState'), WAIT).toBe('active');
      expect(await units.node.property(`${unit}.service`, 'NRestarts')).toBe('0');
    }
    const pid = await units.node.property('branchbox-installer-page.service', 'MainPID');
    expect((await units.node.checked('stat', '-c', '%u', `/proc/${pid}`)).trim()).not.toBe('0');
    // A look around with its eyes.
    const inside = ['nsenter', '-t', pid, '-m', '-r', '-w', '--setuid', '65534', '--setgid', '65534', '--'];
    const sees = async (path: string): Promise<boolean> =>
      (await units.node.run(...inside, 'ls', path)).exitCode === 0;
    expect(await sees('/run/branchbox/installer/agent.sock')).toBe(true);
    for (const hidden of [
      '/run/branchbox/agent.sock',
      '/run/branchbox/identity.sock',
      '/etc/branchbox/factory',
      '/var/lib/branchbox/identity',
    ]) {
      expect(await sees(hidden), hidden).toBe(false);
    }
  });

  it('the agent finds in its sandbox what the kernel can do', async () => {
    const found = LocalCheck.parse(await units.agent('/check')).features.flatMap(({ feature, present }) =>
      present ? [feature] : [],
    );
    expect(found).toEqual(expect.arrayContaining(['tun', 'vxlan', 'bridge', 'nft-inet', 'nft-bridge']));
  });

  it('the console draws its screen on a terminal, in its sandbox', async () => {
    // A terminal whose far end is a file; hanging up would end it.
    await units.node.checked(
      'sh',
      '-c',
      'systemd-run --quiet --unit=terminal script -qfc "tty >/tmp/tty; exec sleep infinity" /tmp/screen && ' +
        'until [ -s /tmp/tty ]; do sleep 0.05; done; ln -s "$(cat /tmp/tty)" /dev/ttyT0 && ' +
        'mkdir -p /run/systemd/system/branchbox-console@.service.d && ' +
        'printf "[Service]\\nTTYVHangup=no\\nStandardInput=tty-force\\n" >/run/systemd/system/branchbox-console@.service.d/test.conf && ' +
        'systemctl daemon-reload',
    );
    await units.node.checked('systemctl', 'start', 'branchbox-console@ttyT0.service');
    const screen = async (): Promise<string> => (await units.node.run('cat', '/tmp/screen')).stdout;
    await expect
      .poll(screen, WAIT)
      .toMatch(/serial SN-1 {3}model lab[^]*Uplink {6}wan1[^]*r and Enter: factory reset/);
    expect(await units.node.property('branchbox-console@ttyT0.service', 'NRestarts')).toBe('0');
  });

  /** Of the agent, instead of the unit's. */
  const waitFor = (seconds: number): Promise<string> =>
    units.node.checked(
      'sh',
      '-c',
      'mkdir -p /run/systemd/system/branchbox-agent.service.d && ' +
        `printf "[Service]\\nWatchdogSec=${seconds}s\\n" >/run/systemd/system/branchbox-agent.service.d/watchdog.conf && ` +
        'systemctl daemon-reload && systemctl restart branchbox-agent.service',
    );

  it('an agent is left alone whose start takes longer than the watchdog waits', async () => {
    // What it finds once a boot: as slow as on a machine that is emulated, and busy.
    await units.node.checked(
      'sh',
      '-c',
      'printf "#!/bin/sh\\nsleep 30\\nexec /usr/bin/unshare \\"\\$@\\"\\n" >/usr/local/sbin/unshare && ' +
        'chmod 755 /usr/local/sbin/unshare && rm /run/branchbox/agent-boot.json',
    );
    await waitFor(15);
    const pid = await units.node.property('branchbox-agent.service', 'MainPID');
    const found = async (): Promise<number> =>
      (await units.node.run('test', '-e', '/run/branchbox/agent-boot.json')).exitCode;
    await expect.poll(found, WAIT).toBe(0);
    expect(await units.node.property('branchbox-agent.service', 'MainPID')).toBe(pid);
    await units.node.checked('rm', '/usr/local/sbin/unshare');
  });

  it('an agent that turns is left alone, and one that hangs is started again', async () => {
    await waitFor(20);
    const fed = (): Promise<string> =>
      units.node.property('branchbox-agent.service', 'WatchdogTimestampMonotonic');
    const first = await fed();
    await expect.poll(fed, WAIT).not.toBe(first);
    const restarts = Number(await units.node.property('branchbox-agent.service', 'NRestarts'));
    const pid = await units.node.property('branchbox-agent.service', 'MainPID');
    await units.node.checked('kill', '-STOP', pid);
    await expect
      .poll(async () => Number(await units.node.property('branchbox-agent.service', 'NRestarts')), WAIT)
      .toBe(restarts + 1);
    await expect
      .poll(
        async () => (await units.node.run('journalctl', '-u', 'branchbox-agent', '-o', 'cat')).stdout,
        WAIT,
      )
      .toContain('Watchdog timeout');
  });
});
