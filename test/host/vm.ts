/**
 * Owns a fresh Debian machine with a kernel of its own: Debian's, so cgroup version 2 alone, and WireGuard in the
 * kernel. Makes the disk from a tree (tree.ts), boots it in QEMU, relays its console. It has no network: what it
 * needs is put on the disk before.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { mkdirSync, readdirSync, rmSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { acceleratorWords } from '../../src/lab/vm/argv.ts';
import { must } from './tree.ts';

/** Of the disk; what is not used takes no place. */
const DISK_BYTES = 16 * 2 ** 30;
/** Three Docker Engines and thirty Node processes fit in four. */
const MEMORY_MIB = 6144;
/** On a kernel that KVM cannot run, QEMU hangs instead of ending. */
const KVM_PROBE_MS = 20_000;

/** What a person does to a machine before it goes off the net. Words of a shell. */
export const PREPARE = `set -eu
cd /root/branchbox
./branchbox lab prepare
export DEBIAN_FRONTEND=noninteractive
apt-get -q update
apt-get -qy install --no-install-recommends linux-image-amd64 systemd-sysv udev
apt-get clean`;

const SERVICE = (parts: readonly string[], patience: number): string => `[Unit]
Description=The README's commands
[Service]
Type=oneshot
TimeoutStartSec=infinity
Environment=HOME=/root LANG=C.UTF-8 BRANCHBOX_LAB_PATIENCE=${patience}
ExecStart=/opt/host/job.sh ${parts.join(' ')}
ExecStopPost=/bin/systemctl --no-block poweroff
StandardOutput=tty
StandardError=tty
TTYPath=/dev/ttyS0
[Install]
WantedBy=multi-user.target
`;

export interface Vm {
  readonly child: ChildProcess;
  readonly accelerator: 'kvm' | 'tcg';
}

/** Boots TREE, which PREPARE ran in; the machine powers off after its job. */
export function bootVm(tree: string, parts: readonly string[]): Vm {
  const boot = (prefix: string): string =>
    join(tree, 'boot', readdirSync(join(tree, 'boot')).find((name) => name.startsWith(prefix)) ?? prefix);
  const kernel = [boot('vmlinuz-'), boot('initrd.img-')] as const;
  const accelerator = kvmRuns(kernel) ? 'kvm' : 'tcg';
  const units = join(tree, 'etc/systemd/system');
  const wants = join(units, 'multi-user.target.wants');
  mkdirSync(wants, { recursive: true });
  writeFileSync(join(units, 'host-job.service'), SERVICE(parts, accelerator === 'kvm' ? 1 : 20));
  symlinkSync('../host-job.service', join(wants, 'host-job.service'));
  symlinkSync('/dev/null', join(units, 'serial-getty@ttyS0.service'));
  // It has no network to wait for, and no clock but the host's.
  for (const name of ['apt-daily.timer', 'apt-daily-upgrade.timer'])
    symlinkSync('/dev/null', join(units, name));
  const disk = `${tree}.img`;
  rmSync(disk, { force: true });
  writeFileSync(disk, '');
  truncateSync(disk, DISK_BYTES);
  must('mke2fs', ['-q', '-F', '-t', 'ext4', '-d', tree, disk]);
  const options = 'root=/dev/vda rw console=ttyS0 quiet mitigations=off systemd.show_status=no';
  const size = ['-smp', '2', '-m', String(MEMORY_MIB)];
  const drive = `file=${disk},format=raw,if=virtio,cache=unsafe,discard=unmap`;
  const args = [
    ...machine(accelerator, kernel),
    ...size,
    '-append',
    options,
    '-serial',
    'stdio',
    '-drive',
    drive,
  ];
  const child = spawn('qemu-system-x86_64', args, { stdio: ['ignore', 'pipe', 'pipe'] });
  child.on('close', () => rmSync(disk, { force: true }));
  return { child, accelerator };
}

function machine(accelerator: Vm['accelerator'], [kernel, initrd]: readonly [string, string]): string[] {
  const bare = [
    '-machine',
    'q35',
    '-nodefaults',
    '-display',
    'none',
    '-monitor',
    'none',
    '-nic',
    'none',
    '-no-reboot',
  ];
  return [...acceleratorWords(accelerator), ...bare, '-kernel', kernel, '-initrd', initrd];
}

/** Whether a real kernel gets as far as looking for a root that is not there. */
function kvmRuns(kernel: readonly [string, string]): boolean {
  const args = [
    ...machine('kvm', kernel),
    '-m',
    '512',
    '-serial',
    'stdio',
    '-append',
    'console=ttyS0 panic=-1 rdinit=/none root=none',
  ];
  const { stdout } = spawnSync('qemu-system-x86_64', args, {
    timeout: KVM_PROBE_MS,
    encoding: 'utf8',
    killSignal: 'SIGKILL',
  });
  return (stdout ?? '').includes('Kernel panic');
}
