/**
 * A virtual machine that boots the image, from power on to a tenant's traffic: nothing was put into it but a factory
 * identity and the debug shell through which these tests look.
 */
import { readFileSync, statSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { publish, rowOf } from '../bench/result.ts';
import { inNode, jsonIn, lab, pings, root, tryIn, until } from '../lab/mainjob/lab.ts';
import { stageTimes, UP_LOG } from './upLog.ts';

const BOX = 'branch2';
/** What goes over a line for an update, as the disk for who downloads that. */
const MOST_DOWNLOADED_BYTES = 250_000_000;
const RED_APP = '10.10.0.100';
const RED_APP_OF_BOX = '10.10.0.101';
const inBox = (script: string): Promise<string> => inNode(BOX, 'sh', '-c', script);
const fetches = async (from: string, address: string): Promise<boolean> =>
  (await tryIn(from, ['curl', '-s', '-f', '-o', '/dev/null', '--max-time', '5', `http://${address}/`]))
    .exitCode === 0;

describe('a box of the image', () => {
  it('went from power on to work; the time of each stage is written down', async () => {
    const times = stageTimes(readFileSync(UP_LOG, 'utf8'), BOX);
    const stages = times.map(({ stage }) => stage);
    for (const wanted of [
      'kernel runs',
      'root is verified',
      'data partition is there',
      'multi-user',
      'in service',
    ])
      expect(stages).toContain(wanted);
    publish(
      'vm-boot',
      times.map(({ stage, sinceSwitchedOnMs }) =>
        rowOf(BOX, stage, 'since-power-on', 'ms', [sinceSwitchedOnMs]),
      ),
    );
    const bootstrap = await jsonIn<{ state: string; history: { state: string }[] }>(
      BOX,
      'branchbox',
      'bootstrap',
      'status',
      '--json',
    );
    expect(bootstrap.state).toBe('OPERATIONAL');
    expect(bootstrap.history.map(({ state }) => state)).toEqual(
      expect.arrayContaining(['FACTORY', 'PROVISIONAL', 'ENROLLING', 'STRICT', 'OPERATIONAL']),
    );
    const status = await jsonIn<{ readonly committed?: { readonly generation: number } }>(
      BOX,
      'branchbox',
      'status',
      '--json',
    );
    expect(status.committed?.generation).toBeGreaterThan(0);
  });

  it('runs the signed image: Secure Boot, a root that is verified and read-only', async () => {
    const variable = '/sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c';
    expect((await inBox(`tail -c 1 ${variable} | od -An -tu1`)).trim()).toBe('1');
    expect(await inBox('cat /proc/mounts')).toMatch(/^\/dev\/mapper\/root \/ erofs ro,/m);
    expect(await inBox('cat /proc/cmdline')).toMatch(/roothash=[0-9a-f]{64}/);
    expect((await tryIn(BOX, ['touch', '/usr/x'])).exitCode).not.toBe(0);
    const { version } = JSON.parse(readFileSync(`${root}package.json`, 'utf8')) as { version: string };
    expect(await inBox('cat /usr/lib/os-release')).toContain(`IMAGE_VERSION=${version}`);
    // Whoever starts a shell finds nobody to be: no account has a password.
    const accounts = (await inBox('cat /etc/shadow')).trim().split('\n');
    expect(accounts.filter((line) => !/^[^:]+:[!*]/.test(line))).toEqual([]);
    // Its desired state opens no SSH: a server is there, and does not run.
    expect(await inBox('ls /usr/sbin/sshd')).toBe('/usr/sbin/sshd\n');
    expect(await inBox('ss -Hltn "sport = :22"')).toBe('');
    expect(await inBox('ls /var/lib/branchbox')).not.toMatch(/^ssh$/m);
  });

  it('is no more for a line, as an update, than 250 MB', () => {
    const { version } = JSON.parse(readFileSync(`${root}package.json`, 'utf8')) as { version: string };
    const sizes = ['root', 'verity', 'efi'].map(
      (part) => statSync(`${root}out/image/branchbox-${version}.${part}`).size,
    );
    expect(sizes.reduce((sum, size) => sum + size, 0)).toBeLessThanOrEqual(MOST_DOWNLOADED_BYTES);
  });

  it('keeps its data encrypted to its TPM', async () => {
    expect(await inBox('cat /proc/mounts')).toMatch(/^\/dev\/mapper\/data \/var ext4/m);
    const header = await inBox('cryptsetup luksDump "$(blkid -t TYPE=crypto_LUKS -o device)"');
    expect(header).toContain('systemd-tpm2');
    // One key slot, the TPM's: nobody's passphrase opens it.
    expect(header.match(/^ {2}\d+: luks2$/gm)).toHaveLength(1);
    const token = await inBox(
      'cryptsetup token export --token-id 0 "$(blkid -t TYPE=crypto_LUKS -o device)"',
    );
    expect(JSON.parse(token)).toMatchObject({ type: 'systemd-tpm2', 'tpm2-pcrs': [7, 15] });
    expect((await inBox('cat /run/branchbox/boot/data-protection')).trim()).toBe('tpm2');
  });

  it('asks the time server that its line names beside the pool', async () => {
    // Written and handed on from within the sandbox of the DHCP client.
    expect(await inBox('cat /run/chrony-dhcp/enp0s16.ipv4.sources')).toBe('server 198.51.100.1 minpoll 5\n');
    expect(await inBox('chronyc -n sources')).toContain(' 198.51.100.1 ');
  });

  it('looks whether its root is whole', async () => {
    await inBox('systemctl start branchbox-root-check.service');
    expect(await inBox('cat /run/branchbox/boot/root-state')).toBe('verified\n');
    expect(await inBox('systemctl is-active branchbox-root-check.timer')).toBe('active\n');
  });

  it('keeps room on its data partition that apps cannot take', async () => {
    const [free = 0, toApps = 0] = (await inBox('stat -f -c "%f %a" /var')).trim().split(' ').map(Number);
    // 64 MiB in blocks of 4 KiB; what ext4 sets aside for its own work are 4,096 at most.
    expect(free - toApps).toBeGreaterThanOrEqual(16_384);
    expect(await inBox('cat /proc/mounts')).toMatch(/ \/var ext4 \S*resgid=37/);
  });

  it('has its own key in its TPM, by the kernel', async () => {
    expect(await inBox('head -n 1 /var/lib/branchbox/identity/ldevid.key')).toBe(
      '-----BEGIN TSS2 PRIVATE KEY-----\n',
    );
    const { keys } = JSON.parse(await inBox('branchbox bootstrap status --json'));
    expect(keys).toMatchObject({ next: 'tpm', unusedTpm: false, ldevid: 'tpm', idevid: 'software' });
  });

  it('has a TPM that opens it once a start, and for nobody after that', async () => {
    // As open-data did a minute ago, by the same program on the same TPM, as root.
    const again =
      'systemd-cryptsetup attach again "$(blkid -t TYPE=crypto_LUKS -o device)" - tpm2-device=auto,headless=1,readonly';
    const tried = await tryIn(BOX, ['sh', '-c', again]);
    expect(tried.exitCode).not.toBe(0);
    expect(await inBox('ls /dev/mapper')).not.toContain('again');
    expect((await inBox('cat /sys/class/tpm/tpm0/pcr-sha256/15')).trim()).toMatch(/[1-9A-F]/i);
  });

  it('joins hosts of red across branches, and no host of blue to red', async () => {
    expect(await pings('branch2-red', '10.10.0.11')).toBe(true);
    expect(await pings('branch1-red', '10.10.0.12')).toBe(true);
    expect(await pings('branch2-blue', '10.10.0.11')).toBe(true);
    for (const address of [RED_APP, RED_APP_OF_BOX]) {
      expect(await pings('branch2-blue', address)).toBe(false);
      expect(await fetches('branch2-red', address)).toBe(true);
    }
  });

  it('runs an app of red by the image alone', async () => {
    expect(await fetches('branch1-red', RED_APP_OF_BOX)).toBe(true);
    const status = await jsonIn<{ apps: { name: string; state: string }[] }>(
      BOX,
      'branchbox',
      'status',
      '--json',
    );
    expect(status.apps).toEqual([expect.objectContaining({ name: 'red-app-vm', state: 'running' })]);
  });

  it('speaks by its kernel’s WireGuard to others’ wireguard-go, and by FRR 10 to their FRR 10', async () => {
    expect((await inBox('ip -br link show type wireguard')).trim().split('\n').length).toBeGreaterThan(1);
    expect((await tryIn(BOX, ['pgrep', 'wireguard-go'])).exitCode).toBe(1);
    expect(await inNode('hub', 'pgrep', '-c', 'wireguard-go')).not.toBe('0\n');
    const handshakes = (await inBox('wg show all latest-handshakes')).trim().split('\n');
    expect(handshakes.filter((line) => !line.endsWith('\t0'))).toHaveLength(4);
    for (const node of [BOX, 'hub'])
      expect(await inNode(node, 'vtysh', '-c', 'show version')).toMatch(/^FRRouting 10\./);
  });

  it('has in its kernel what the namespaces’ may lack', async () => {
    const script = readFileSync(new URL('features.sh', import.meta.url), 'utf8');
    const tried = await inNode(BOX, 'unshare', '--net', 'sh', '-c', script);
    expect(tried.trim().split('\n')).toEqual([
      'vrf ok',
      'vlan ok',
      'bridge-vlan-filtering ok',
      'vxlan-vnifilter ok',
      'wireguard ok',
      'prp ok',
      'hsr ok',
      'netem ok',
      'cake ok',
      'flowtable ok',
      'dummy ok',
    ]);
    const check = await jsonIn<{ readonly features: readonly { feature: string; present: boolean }[] }>(
      BOX,
      'branchbox',
      'check',
      '--json',
    );
    expect(check.features.filter(({ present }) => !present)).toEqual([]);
  });

  it('sees a cable that is pulled, and goes on over the other uplink', async () => {
    const carrier = 'cat /sys/class/net/enp0s16/carrier';
    await lab('cut', BOX, 'internet', '--carrier');
    try {
      await until('the box sees no carrier', async () => (await inBox(carrier)).trim() === '0');
      await until('red goes over lte', () => pings('branch2-red', '10.10.0.11', 1));
    } finally {
      await lab('heal', BOX, 'internet');
    }
    await until('the box sees the carrier again', async () => (await inBox(carrier)).trim() === '1');
  });

  it('moves to the other uplink when the provider goes dark, and back', async () => {
    await lab('cut', BOX, 'internet');
    try {
      await until('red reaches red over lte', () => pings('branch2-red', '10.10.0.11'));
    } finally {
      await lab('heal', BOX, 'internet');
    }
    await until('the paths over internet are up again', async () => {
      const { paths } = await jsonIn<{ readonly paths: readonly { id: string; state: string }[] }>(
        BOX,
        'branchbox',
        'status',
        '--json',
      );
      return paths.every(({ state }) => state === 'up');
    });
  });
});

describe('a command in a machine', () => {
  it('has its own exit code, outputs and input, byte for byte', async () => {
    const ended = await tryIn(BOX, ['sh', '-c', 'cat; echo err >&2; exit 7'], 'a\0b\u00fc\r\n\u0003');
    expect(ended).toEqual({ exitCode: 7, stdout: 'a\0b\u00fc\r\n\u0003', stderr: 'err\n' });
  });

  it('runs beside others', async () => {
    const echoed = await Promise.all(['1', '2', '3'].map((word) => inNode(BOX, 'echo', word)));
    expect(echoed).toEqual(['1\n', '2\n', '3\n']);
  });
});
