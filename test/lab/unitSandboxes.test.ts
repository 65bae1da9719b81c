/**
 * What the sandboxes of the firmware's units let through, tried from inside under a real systemd: what each is for, its TPM
 * too, and no more.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { BootstrapStatus } from '../../src/model/bootstrap.ts';
import { LocalCheck } from '../../src/model/localStatus.ts';
import { startUnitsNode, type UnitsNode, WAIT } from './unitsNode.ts';

describe('in their sandboxes', () => {
  let units: UnitsNode;
  beforeAll(async () => {
    units = await startUnitsNode('fences');
  });
  afterAll(() => units.remove());

  it('the agent may do in its sandbox what it is for, and no more', async () => {
    for (const unit of ['frr-zebra.service', 'branchbox-agent.service'])
      await expect.poll(() => units.node.property(unit, 'ActiveState'), WAIT).toBe('active');
    const does = (script: string): Promise<string> => units.doesIn('branchbox-agent.service', script);
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
      units.doesIn('branchbox-cloud-identity.service', script, '/image-units');
    // As the partition is: read-only until somebody writes it.
    await units.node.checked('mount', '-t', 'tmpfs', '-o', 'ro', 'factory', '/etc/branchbox/factory');
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
      await units.node.checked('umount', '/etc/branchbox/factory');
    }
  });

  const keysOfAgent = async () => LocalCheck.parse(await units.agent('/check')).keys;
  const keysOfIdentity = async () => {
    const words = ['-sf', '--unix-socket', '/run/branchbox/identity.sock', 'http://identity/bootstrap'];
    const { exitCode, stdout } = await units.node.run('curl', ...words);
    return exitCode === 0 ? BootstrapStatus.parse(JSON.parse(stdout)).keys : undefined;
  };

  it('identity process and agent reach the TPM out of their sandboxes', async () => {
    // A device that is none: it is opened, and does not answer as one. Those that any sandbox has are let through anyway.
    await units.node.checked(
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
      expect(await units.doesIn(unit, 'exec 3<>/dev/tpmrm0'), unit).toBe('done');
    expect(await units.doesIn('branchbox-identity.service', 'exec 3<>/dev/net/tun')).toBe('refused');
  });

  it('with a TPM that answers they hold keys there, started as the box starts them', async () => {
    const where = [
      'DBUS_SESSION_BUS_ADDRESS=unix:path=/run/tpm/bus',
      'TPM2OPENSSL_TCTI=tabrmd:bus_type=session',
    ];
    await units.node.checked(
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
      expect(await units.node.property(unit, 'NRestarts'), unit).toBe('0');
    // In their own sandboxes: a key made, loaded and signed with, by openssl and by Node.
    for (const unit of ['branchbox-identity.service', 'branchbox-agent.service']) {
      const make = `branchbox identity request --serial SN-4 --out /run/tpm/${unit}`;
      expect(await units.doesIn(unit, `export ${where.join(' ')}; ${make}`), unit).toBe('done');
    }
    // What the factory does on the box.
    const request = ['branchbox', 'identity', 'request', '--serial', 'SN-2', '--out', '/run/tpm/factory'];
    expect(await units.node.checked('env', ...where, ...request)).toContain(
      '-----BEGIN CERTIFICATE REQUEST-----',
    );
    expect(await units.node.checked('cat', '/run/tpm/factory/idevid.key')).toContain(
      'BEGIN TSS2 PRIVATE KEY',
    );
    const again = await units.node.run('env', ...where, ...request);
    expect([again.exitCode, again.stderr]).toEqual([2, expect.stringContaining('There is a key at')]);
    const without = await units.node.run(
      'env',
      'TPM2OPENSSL_TCTI=',
      ...request.slice(0, -1),
      '/run/tpm/none',
    );
    expect([without.exitCode, without.stderr]).toEqual([1, expect.stringContaining('This box has no TPM')]);
  });
});
