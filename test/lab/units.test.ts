/**
 * The units of the firmware under a real systemd, sandboxes and watchdog included: they come up, each does in its
 * sandbox what it is for, and none is less hardened than is said here.
 */
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { BootstrapStatus } from '../../src/model/bootstrap.ts';
import { LocalCheck, LocalStatus } from '../../src/model/localStatus.ts';
import { createRunner } from '../../src/system/linux/runner.ts';
import { type SystemdNode, startSystemdNode } from './systemdNode.ts';

const UNITS = join(import.meta.dirname, '../../firmware/units');
/** What only a box with a disk of its own has. */
const OF_THE_IMAGE = join(import.meta.dirname, '../../firmware/root/usr/lib/systemd/system');
const BRANCHBOX = join(import.meta.dirname, '../../branchbox');
const WAIT = { timeout: 90_000, interval: 250 };

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
  const runner = createRunner();
  let node: SystemdNode;
  let scratch: string;
  let isp: string;

  const agent = async (path: string): Promise<unknown> =>
    JSON.parse(
      await node.checked('curl', '-sf', '--unix-socket', '/run/branchbox/agent.sock', `http://agent${path}`),
    );
  const servicesIn = (directory: string): readonly string[] =>
    readdirSync(directory).filter((name) => name.endsWith('.service'));
  const services = servicesIn(UNITS);
  const imageServices = servicesIn(OF_THE_IMAGE);

  beforeAll(async () => {
    scratch = mkdtempSync(join(tmpdir(), 'bbt-factory-'));
    const state = join(scratch, 'manufacturer');
    const factory = join(scratch, 'factory');
    await runner.runChecked(
      BRANCHBOX,
      ['manufacturer', 'init', '--state', state, '--name', 'manufacturer.test', '--address', '198.51.100.1'],
      { timeoutMs: 60_000 },
    );
    await runner.runChecked(
      BRANCHBOX,
      ['manufacturer', 'identity', '--state', state, '--serial', 'SN-1', '--model', 'lab', '--out', factory],
      { timeoutMs: 60_000 },
    );
    node = await startSystemdNode({
      name: 'units',
      directories: { '/etc/branchbox/factory': factory, '/image-units': OF_THE_IMAGE },
    });
    // A provider: the far end of wan1, in a namespace of its own.
    isp = `${node.netns}-isp`;
    const ip = (...words: string[]) => runner.runChecked('ip', words);
    await ip('netns', 'add', isp);
    const far = `link add name wan1 netns ${node.netns} type veth peer name isp0 netns ${isp}`;
    await ip(...far.split(' '));
    await ip('-n', isp, 'address', 'add', '198.51.100.1/24', 'dev', 'isp0');
    await ip('-n', isp, 'link', 'set', 'dev', 'isp0', 'up');
    // And an installer's device on lan1, in the same far namespace.
    const lan = `link add name lan1 netns ${node.netns} type veth peer name lan0 netns ${isp}`;
    await ip(...lan.split(' '));
    await ip('-n', isp, 'address', 'add', '172.31.254.2/28', 'dev', 'lan0');
    await ip('-n', isp, 'link', 'set', 'dev', 'lan0', 'up');
    await runner.runChecked('nsenter', [
      `--net=/run/netns/${isp}`,
      'chroot',
      node.root,
      'dnsmasq',
      '--conf-file=/dev/null',
      '--port=0',
      '--interface=isp0',
      '--bind-interfaces',
      '--dhcp-range=198.51.100.100,198.51.100.199',
      '--dhcp-leasefile=/tmp/isp.leases',
      '--pid-file=/tmp/isp.pid',
    ]);
  });
  afterAll(async () => {
    await runner.run('nsenter', [
      `--net=/run/netns/${isp}`,
      'sh',
      '-c',
      `kill $(cat ${node.root}/tmp/isp.pid)`,
    ]);
    await node.stop();
    await runner.run('ip', ['netns', 'delete', isp]);
    rmSync(scratch, { recursive: true });
  });

  it('say nothing that systemd does not understand', async () => {
    const words = readdirSync(UNITS).map((name) => `/usr/lib/systemd/system/${name.replace('@.', '@wan1.')}`);
    const verified = await node.run(
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
    const text = (await node.run('systemd-analyze', 'security', '--offline=true', '--no-pager', path)).stdout;
    const exposure = Number(/Overall exposure level for .*: ([\d.]+)/.exec(text)?.[1]);
    expect(exposure).toBeLessThanOrEqual(EXPOSURE[name] ?? USUAL_EXPOSURE);
  });

  it('come up, and none had to be started twice', async () => {
    const wanted = (await node.checked('ls', '/etc/systemd/system/branchbox-gateway.target.wants'))
      .trim()
      .split('\n');
    expect(wanted.length).toBeGreaterThan(8);
    for (const unit of wanted) {
      // One whose condition does not hold is not to be started: a reset that nothing interrupted.
      const state = async (): Promise<string> =>
        (await node.property(unit, 'ConditionResult')) === 'no'
          ? 'skipped'
          : node.property(unit, 'ActiveState');
      await expect.poll(state, { ...WAIT, message: unit }).toMatch(/^(active|skipped)$/);
    }
    const restarts: string[] = [];
    for (const unit of wanted) restarts.push(`${unit} ${await node.property(unit, 'NRestarts')}`);
    expect(restarts.filter((line) => !line.endsWith(' 0') && !line.endsWith(' '))).toEqual([]);
  });

  it('agent and identity process are in the group for which the data partition keeps room', async () => {
    const group = (await node.checked('getent', 'group', 'operator')).split(':')[2];
    // As var.mount says it, by number.
    expect(group).toBe('37');
    for (const unit of ['branchbox-agent.service', 'branchbox-identity.service']) {
      const status = await node.checked('cat', `/proc/${await node.property(unit, 'MainPID')}/status`);
      expect(/^Groups:\s*(.*?)\s*$/m.exec(status)?.[1]?.split(' '), unit).toContain(group);
    }
  });

  it('dhcpcd gets an address and its hook tells it', async () => {
    const read = async () =>
      LocalStatus.parse(await agent('/status')).facts.leases.map(({ ifname }) => ifname);
    await expect.poll(read, WAIT).toEqual(['wan1']);
    // What the agent makes of it in its own sandbox: rules and routes of the uplink.
    await expect
      .poll(async () => (await node.run('ip', 'route', 'show', 'table', '101')).stdout, WAIT)
      .toContain('default via 198.51.100.1 dev wan1');
  });

  it('the page for an installer is served out of its sandbox, and no key can be seen there', async () => {
    const words = ['curl', '-sS', '--max-time', '5', 'http://172.31.254.1/'];
    const page = async (): Promise<string> =>
      (await runner.run('nsenter', [`--net=/run/netns/${isp}`, 'chroot', node.root, ...words])).stdout;
    // Of both processes, over the sockets that are there for it.
    await expect.poll(page, WAIT).toMatch(/<dd>SN-1<\/dd>[^]*>lan1 \(LAN\)<.*seen, you are here/);
    const units = ['branchbox-installer-page', 'branchbox-installer-dhcp@lan1:172.31.254.1'];
    for (const unit of units) {
      await expect.poll(() => node.property(`${unit}.service`, 'ActiveState'), WAIT).toBe('active');
      expect(await node.property(`${unit}.service`, 'NRestarts')).toBe('0');
    }
    const pid = await node.property('branchbox-installer-page.service', 'MainPID');
    expect((await node.checked('stat', '-c', '%u', `/proc/${pid}`)).trim()).not.toBe('0');
    // A look around with its eyes.
    const inside = ['nsenter', '-t', pid, '-m', '-r', '-w', '--setuid', '65534', '--setgid', '65534', '--'];
    const sees = async (path: string): Promise<boolean> =>
      (await node.run(...inside, 'ls', path)).exitCode === 0;
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
    const found = LocalCheck.parse(await agent('/check')).features.flatMap(({ feature, present }) =>
      present ? [feature] : [],
    );
    expect(found).toEqual(expect.arrayContaining(['tun', 'vxlan', 'bridge', 'nft-inet', 'nft-bridge']));
  });

  /** Whether a unit's sandbox lets a script through: a copy of the unit runs it. */
  async function doesIn(
    unit: string,
    script: string,
    directory = '/usr/lib/systemd/system',
  ): Promise<string> {
    await node.checked(
      'sh',
      '-c',
      `sed -e 's/^Type=.*/Type=oneshot/' -e 's/^Restart.*//' -e 's/^WatchdogSec.*//' -e 's/^RuntimeDir.*//' \
         -e 's/^Condition.*//' -e 's/^RemainAfterExit.*//' -e 's/^StandardOutput.*//' \
         -e "s|^ExecStart=.*|ExecStart=/bin/sh /probe|" ${directory}/${unit} \
         >/run/systemd/system/probe.service; cat >/probe <<'END'\n${script}\nEND\nsystemctl daemon-reload`,
    );
    const result = await node.run('systemctl', 'start', 'probe.service');
    return result.exitCode === 0 ? 'done' : 'refused';
  }

  it('the agent may do in its sandbox what it is for, and no more', async () => {
    const does = (script: string): Promise<string> => doesIn('branchbox-agent.service', script);
    expect(
      await does(
        'set -e; nsenter --net=/proc/1/ns/net ip link show lo; unshare --net ip link add type dummy || unshare --net true',
      ),
    ).toBe('done');
    expect(await does('echo x >/etc/frr/frr.conf.new && rm /etc/frr/frr.conf.new')).toBe('done');
    expect(await does('echo 1 >/proc/sys/net/ipv4/ip_forward')).toBe('done');
    expect(await does('mkdir /run/branchbox/esp && mount -t tmpfs x /run/branchbox/esp')).toBe('done');
    expect(await does('systemctl is-active frr-zebra.service')).toBe('done');
    expect(await does('vtysh -d zebra -c "show version"')).toBe('done');
    expect(await does('touch /usr/bin/x')).toBe('refused');
    expect(await does('touch /var/lib/docker/x')).toBe('refused');
    expect(await does('unshare --user true')).toBe('refused');
    expect(await does('date -s 2030-01-01')).toBe('refused');
  });

  it('what looks for an instance’s identity may read a disk, ask over one port and write that identity, and no more', async () => {
    const does = (script: string): Promise<string> =>
      doesIn('branchbox-cloud-identity.service', script, '/image-units');
    // As the partition is: read-only until somebody writes it.
    await node.checked('mount', '-t', 'tmpfs', '-o', 'ro', 'factory', '/etc/branchbox/factory');
    try {
      expect(await does('cd "$(mktemp -d -p /run)" && mkdir d && mount -t tmpfs x d && umount d')).toBe(
        'done',
      );
      expect(
        await does(
          'set -e; ip route replace 169.254.169.254/32 dev lo; ip route del 169.254.169.254/32 dev lo; curl -s --interface lo --max-time 1 http://127.0.0.1:9/ || [ $? = 7 ]',
        ),
      ).toBe('done');
      expect(
        await does(
          'set -e; cd /etc/branchbox/factory; mount -o remount,rw .; install -m 0600 /etc/os-release x; sync -f .; rm x; mount -o remount,ro .',
        ),
      ).toBe('done');
      expect(await does('blkid -l -o device -t LABEL=cidata || [ $? = 2 ]')).toBe('done');
      for (const refused of [
        'touch /usr/bin/x',
        'ls /var/lib/branchbox/identity',
        'echo 1 >/proc/sys/net/ipv4/ip_forward',
        'date -s 2030-01-01',
        'unshare --user true',
        'mknod /run/x c 1 3',
      ]) {
        expect(await does(refused), refused).toBe('refused');
      }
    } finally {
      await node.checked('umount', '/etc/branchbox/factory');
    }
  });

  const keysOfAgent = async () => LocalCheck.parse(await agent('/check')).keys;
  const keysOfIdentity = async () => {
    const words = ['-sf', '--unix-socket', '/run/branchbox/identity.sock', 'http://identity/bootstrap'];
    const { exitCode, stdout } = await node.run('curl', ...words);
    return exitCode === 0 ? BootstrapStatus.parse(JSON.parse(stdout)).keys : undefined;
  };

  it('identity process and agent reach the TPM out of their sandboxes', async () => {
    // A device that is none: it is opened, and does not answer as one. Those that any sandbox has are let through anyway.
    await node.checked(
      'sh',
      '-c',
      'mknod -m 660 /dev/tpmrm0 c 10 200 && systemctl restart branchbox-identity.service branchbox-agent.service',
    );
    const opened = expect.stringMatching(/^There is a TPM, but it cannot be used: tcti:/);
    await expect
      .poll(() => keysOfAgent().catch(() => undefined), WAIT)
      .toMatchObject({ next: 'software', why: opened });
    await expect
      .poll(keysOfIdentity, WAIT)
      .toMatchObject({ next: 'software', why: opened, idevid: 'software' });
    for (const unit of ['branchbox-identity.service', 'branchbox-agent.service'])
      expect(await doesIn(unit, 'exec 3<>/dev/tpmrm0'), unit).toBe('done');
    expect(await doesIn('branchbox-identity.service', 'exec 3<>/dev/net/tun')).toBe('refused');
  });

  it('with a TPM that answers they hold keys there, started as the box starts them', async () => {
    const where = [
      'DBUS_SESSION_BUS_ADDRESS=unix:path=/run/tpm/bus',
      'TPM2OPENSSL_TCTI=tabrmd:bus_type=session',
    ];
    await node.checked(
      'sh',
      '-euc',
      `mkdir -p /run/tpm/state && cd /run/tpm && rm /dev/tpmrm0
       bus='<busconfig><type>session</type><listen>unix:path=/run/tpm/bus</listen><policy context="default">'
       echo "$bus<allow send_destination='*'/><allow receive_sender='*'/><allow own='*'/></policy></busconfig>" >bus.conf
       run() { systemd-run --quiet --service-type=exec --setenv=$WHERE "$@"; }
       WHERE=${where[0] ?? ''}
       run swtpm socket --tpm2 --tpmstate dir=/run/tpm/state --server type=unixio,path=/run/tpm/tpm \
         --ctrl type=unixio,path=/run/tpm/tpm.ctrl --flags not-need-init,startup-clear
       run dbus-daemon --config-file=/run/tpm/bus.conf --nofork
       until [ -S tpm ] && [ -S bus ]; do sleep 0.05; done
       run tpm2-abrmd --session --allow-root --max-transients=3 --tcti=swtpm:path=/run/tpm/tpm
       export $WHERE
       until dbus-send --session --print-reply --dest=org.freedesktop.DBus / org.freedesktop.DBus.NameHasOwner \
         string:com.intel.tss2.Tabrmd | grep -q true; do sleep 0.05; done
       for unit in agent identity; do
         mkdir -p /run/systemd/system/branchbox-$unit.service.d
         printf '[Service]\nEnvironment=${where.join(' ')}\n' >/run/systemd/system/branchbox-$unit.service.d/tpm.conf
       done
       systemctl daemon-reload && systemctl restart branchbox-identity.service branchbox-agent.service`,
    );
    const held = { next: 'tpm', why: expect.stringContaining('provider tpm2 1.'), unusedTpm: false };
    await expect.poll(() => keysOfAgent().catch(() => undefined), WAIT).toEqual(held);
    await expect.poll(keysOfIdentity, WAIT).toEqual({ ...held, idevid: 'software' });
    for (const unit of ['branchbox-identity.service', 'branchbox-agent.service'])
      expect(await node.property(unit, 'NRestarts'), unit).toBe('0');
    // In their own sandboxes: a key made, loaded and signed with, by openssl and by Node.
    for (const unit of ['branchbox-identity.service', 'branchbox-agent.service']) {
      const make = `branchbox identity request --serial SN-4 --out /run/tpm/${unit}`;
      expect(await doesIn(unit, `export ${where.join(' ')}; ${make}`), unit).toBe('done');
    }
    // What the factory does on the box.
    const request = ['branchbox', 'identity', 'request', '--serial', 'SN-2', '--out', '/run/tpm/factory'];
    expect(await node.checked('env', ...where, ...request)).toContain('-----BEGIN CERTIFICATE REQUEST-----');
    expect(await node.checked('cat', '/run/tpm/factory/idevid.key')).toContain('BEGIN TSS2 PRIVATE KEY');
    const again = await node.run('env', ...where, ...request);
    expect([again.exitCode, again.stderr]).toEqual([2, expect.stringContaining('There is a key at')]);
    const without = await node.run('env', 'TPM2OPENSSL_TCTI=', ...request.slice(0, -1), '/run/tpm/none');
    expect([without.exitCode, without.stderr]).toEqual([1, expect.stringContaining('This box has no TPM')]);
  });

  it('the console draws its screen on a terminal, in its sandbox', async () => {
    // A terminal whose far end is a file; hanging up would end it.
    await node.checked(
      'sh',
      '-c',
      'systemd-run --quiet --unit=terminal script -qfc "tty >/tmp/tty; exec sleep infinity" /tmp/screen && ' +
        'until [ -s /tmp/tty ]; do sleep 0.05; done; ln -s "$(cat /tmp/tty)" /dev/ttyT0 && ' +
        'mkdir -p /run/systemd/system/branchbox-console@.service.d && ' +
        'printf "[Service]\\nTTYVHangup=no\\nStandardInput=tty-force\\n" >/run/systemd/system/branchbox-console@.service.d/test.conf && ' +
        'systemctl daemon-reload',
    );
    await node.checked('systemctl', 'start', 'branchbox-console@ttyT0.service');
    const screen = async (): Promise<string> => (await node.run('cat', '/tmp/screen')).stdout;
    await expect
      .poll(screen, WAIT)
      .toMatch(/serial SN-1 {3}model lab[^]*Uplink {6}wan1[^]*r and Enter: factory reset/);
    expect(await node.property('branchbox-console@ttyT0.service', 'NRestarts')).toBe('0');
  });

  /** Of the agent, instead of the unit's. */
  const waitFor = (seconds: number): Promise<string> =>
    node.checked(
      'sh',
      '-c',
      'mkdir -p /run/systemd/system/branchbox-agent.service.d && ' +
        `printf "[Service]\\nWatchdogSec=${seconds}s\\n" >/run/systemd/system/branchbox-agent.service.d/watchdog.conf && ` +
        'systemctl daemon-reload && systemctl restart branchbox-agent.service',
    );

  it('an agent is left alone whose start takes longer than the watchdog waits', async () => {
    // What it finds once a boot: as slow as on a machine that is emulated, and busy.
    await node.checked(
      'sh',
      '-c',
      'printf "#!/bin/sh\\nsleep 30\\nexec /usr/bin/unshare \\"\\$@\\"\\n" >/usr/local/sbin/unshare && ' +
        'chmod 755 /usr/local/sbin/unshare && rm /run/branchbox/agent-boot.json',
    );
    await waitFor(15);
    const pid = await node.property('branchbox-agent.service', 'MainPID');
    const found = async (): Promise<number> =>
      (await node.run('test', '-e', '/run/branchbox/agent-boot.json')).exitCode;
    await expect.poll(found, WAIT).toBe(0);
    expect(await node.property('branchbox-agent.service', 'MainPID')).toBe(pid);
    await node.checked('rm', '/usr/local/sbin/unshare');
  });

  it('an agent that turns is left alone, and one that hangs is started again', async () => {
    await waitFor(20);
    const fed = (): Promise<string> => node.property('branchbox-agent.service', 'WatchdogTimestampMonotonic');
    const first = await fed();
    await expect.poll(fed, WAIT).not.toBe(first);
    const restarts = Number(await node.property('branchbox-agent.service', 'NRestarts'));
    const pid = await node.property('branchbox-agent.service', 'MainPID');
    await node.checked('kill', '-STOP', pid);
    await expect
      .poll(async () => Number(await node.property('branchbox-agent.service', 'NRestarts')), WAIT)
      .toBe(restarts + 1);
    await expect
      .poll(async () => (await node.run('journalctl', '-u', 'branchbox-agent', '-o', 'cat')).stdout, WAIT)
      .toContain('Watchdog timeout');
  });
});
