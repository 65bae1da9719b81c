/**
 * Owns which files a gateway has at /usr/lib/branchbox and which units it has, and putting them into a directory:
 * taken by the image's root and by the lab's nodes alike.
 * Does not own the Node binary (each puts its own) nor the lab's additions (src/lab/payload.ts).
 */
import { chmod, copyFile, cp, mkdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';

const FIRMWARE = join(import.meta.dirname, '../firmware');

/** Of firmware/, as they are named at /usr/lib/branchbox. */
const FILES: readonly (readonly [from: string, to: string, mode: number])[] = [
  ['sysctl/gateway.conf', 'sysctl.conf', 0o644],
  ['connection-tracking.nft', 'connection-tracking.nft', 0o644],
  ['dhcpcd.conf', 'dhcpcd.conf', 0o644],
  ['dhcpcd6.conf', 'dhcpcd6.conf', 0o644],
  ['containerd.toml', 'containerd.toml', 0o644],
  ['dhcpcd-hook', 'dhcpcd-hook', 0o755],
  ['time-servers', 'time-servers', 0o755],
  ['other-dhcp', 'other-dhcp', 0o755],
  ['pppd.conf', 'pppd.conf', 0o644],
  ['pppd-up', 'pppd-up', 0o755],
  ['pppd-down', 'pppd-down', 0o755],
  ['boot-uplinks', 'boot-uplinks', 0o755],
  ['installer-dhcp', 'installer-dhcp', 0o755],
  ['frr-run', 'frr-run', 0o755],
  ['frr-load', 'frr-load', 0o755],
  ['wait-for-socket', 'wait-for-socket', 0o755],
  ['cloud-identity', 'cloud-identity', 0o755],
  ['medium-read', 'medium-read', 0o755],
  ['installed-medium', 'installed-medium', 0o755],
  ['trial-deadline', 'trial-deadline', 0o755],
  ['model-modules', 'model-modules', 0o755],
  ['console', 'console', 0o755],
  ['consoles', 'consoles', 0o755],
  ['factory-reset', 'factory-reset', 0o755],
  ['installer/branchbox-install', 'branchbox-install', 0o755],
  ['installer/install-target', 'install-target', 0o755],
  ['installer/install-gather', 'install-gather', 0o755],
  ['boot-failed', 'boot-failed', 0o755],
  ['start-next', 'start-next', 0o755],
  ['rescue', 'rescue', 0o755],
  ['reset-button', 'reset-button', 0o755],
  ['tpm-ready', 'tpm-ready', 0o755],
  ['tpm-make-key', 'tpm-make-key', 0o755],
  ['openssl-tpm.cnf', 'openssl-tpm.cnf', 0o644],
  ['sshd_config', 'sshd_config', 0o644],
  ['ssh-host-key', 'ssh-host-key', 0o755],
  ['branchbox.sh', 'branchbox.sh', 0o755],
];

/** The bundle last: what it starts is there already. */
export async function putPayload(bundleDirectory: string, target: string): Promise<void> {
  await mkdir(target, { recursive: true, mode: 0o755 });
  await rm(join(target, 'models'), { recursive: true, force: true });
  await cp(join(FIRMWARE, 'models'), join(target, 'models'), { recursive: true });
  // Chunks are named by their content: a program that runs still finds those it was started with.
  await cp(join(bundleDirectory, 'chunks'), join(target, 'chunks'), { recursive: true });
  for (const [from, to, mode] of FILES) await putFile(join(FIRMWARE, from), join(target, to), mode);
  await putFile(join(bundleDirectory, 'branchbox.mjs'), join(target, 'branchbox.mjs'), 0o644);
}

export async function putUnits(target: string): Promise<void> {
  await rm(target, { recursive: true, force: true });
  await cp(join(FIRMWARE, 'units'), target, { recursive: true });
}

/** By rename: a program that is being started reads the old file or the new one, never half of it. */
export async function putFile(from: string, to: string, mode: number): Promise<void> {
  const part = `${to}.part`;
  await copyFile(from, part);
  await chmod(part, mode);
  await rename(part, to);
}
