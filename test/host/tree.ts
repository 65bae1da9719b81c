/**
 * Owns the disk of a fresh Debian machine: what is installed on it, this machine's own network settings, and a clean
 * clone of the checkout. Does not own entering it (machine-init.sh) nor what runs there (job.sh).
 */
import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { aptSources, mirrorLines } from '../../image/trees.ts';

export const RELEASES = ['bookworm', 'trixie'] as const;
export type Release = (typeof RELEASES)[number];

const CHECKOUT = join(import.meta.dirname, '../..');
/** Beside minbase, which has util-linux and mount, but neither iproute2, procps, curl nor git. */
const INSTALLED = ['nodejs', 'npm', 'ca-certificates'];

/** Runs a program on the screen; throws where it fails. */
export function must(command: string, args: readonly string[]): void {
  const { status, error } = spawnSync(command, args, { stdio: ['ignore', 'inherit', 'inherit'] });
  if (status !== 0)
    throw new Error(`${command} ${args.join(' ')}: ${error?.message ?? `ended with ${status}`}`);
}

/** A directory with the whole machine; made anew from a base that is kept. */
export function makeTree(release: Release, directory: string, name: string): string {
  const base = join(directory, `base-${release}`);
  const tree = join(directory, name);
  mkdirSync(directory, { recursive: true });
  if (!existsSync(base)) {
    const part = `${base}.part`;
    rmSync(part, { recursive: true, force: true });
    const list = join(directory, `${release}.list`);
    const lines = mirrorLines(aptSources(), release);
    if (lines.length > 0) writeFileSync(list, `${lines.join('\n')}\n`);
    const options = ['--variant=minbase', `--include=${INSTALLED.join(',')}`, '--quiet'];
    must('mmdebstrap', [...options, release, part, ...(lines.length > 0 ? [list] : [])]);
    renameSync(part, base);
  }
  rmSync(tree, { recursive: true, force: true });
  must('cp', ['-a', '--reflink=auto', base, tree]);
  copySettings(tree);
  writeFileSync(join(tree, 'etc/hostname'), 'fresh\n');
  writeFileSync(join(tree, 'etc/hosts'), '127.0.0.1 localhost\n127.0.1.1 fresh\n');
  must('git', ['clone', '--quiet', '--no-hardlinks', CHECKOUT, join(tree, 'root/branchbox')]);
  mkdirSync(join(tree, 'opt/host'), { recursive: true });
  cpSync(join(import.meta.dirname, 'job.sh'), join(tree, 'opt/host/job.sh'));
  return tree;
}

/** How this machine reaches its mirrors: resolver, authorities of its own, proxies, npm's settings. */
function copySettings(tree: string): void {
  cpSync('/etc/resolv.conf', join(tree, 'etc/resolv.conf'), { dereference: true });
  const own = '/usr/local/share/ca-certificates';
  if (existsSync(own) && readdirSync(own).length > 0) {
    cpSync(own, join(tree, own), { recursive: true });
    must('chroot', [tree, 'update-ca-certificates']);
  }
  const words = (command: string, ...args: string[]): string =>
    spawnSync(command, args, { encoding: 'utf8' }).stdout ?? '';
  const apt = words('apt-config', 'dump')
    .split('\n')
    .filter((line) => /^Acquire::(https?::|Check-)/.test(line));
  writeFileSync(join(tree, 'etc/apt/apt.conf.d/50this-machine'), `${apt.join('\n')}\n`);
  const npm = ['globalconfig', 'userconfig']
    .map((key) => words('npm', 'config', 'get', key).trim())
    .filter((file) => existsSync(file))
    .map((file) => words('cat', file));
  // May hold a registry's credential: root's alone, and gone with the machine.
  writeFileSync(join(tree, 'root/.npmrc'), npm.join('\n'), { mode: 0o600 });
}
