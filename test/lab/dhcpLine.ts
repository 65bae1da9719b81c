/**
 * Owns a line of a provider with a box's port `wan1` at its end, for tests of DHCP clients: a network namespace for each
 * end, and a mount namespace over the userland of a box, where both ends' daemons run. Does not own which daemons those are.
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, rmSync, watch } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const FIRMWARE = join(import.meta.dirname, '../../firmware');

export const sh = (script: string): string =>
  execFileSync('sh', ['-euc', script], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] });

export interface DhcpLine {
  /** Network namespaces. */
  readonly box: string;
  readonly provider: string;
  /** Of this line alone. */
  readonly directory: string;
  /** Words that run a command at that end, over the userland that `start` mounted. */
  at(end: 'box' | 'provider'): string;
  /** Runs `script` until `remove`: in `directory`, where the userland is `root`, with these of firmware's files in it. */
  start(tree: string, files: readonly string[], script: string): void;
  /** Resolves when `script` is over. */
  ended(): Promise<unknown>;
  remove(): Promise<void>;
}

/** `addresses`: of the provider's end, `p0`, each as `ip address add` takes it. */
export function createDhcpLine(name: string, addresses: readonly string[]): DhcpLine {
  const box = `bbt-${name}-${process.pid}`;
  const provider = `${box}-isp`;
  const directory = mkdtempSync(join(tmpdir(), `bbt-${name}-`));
  let node: ChildProcess | undefined;
  let over: Promise<unknown> = Promise.resolve();
  sh(`ip netns add ${box}; ip netns add ${provider}
      ip -n ${box} link add wan1 type veth peer name p0 netns ${provider}
      ${addresses.map((address) => `ip -n ${provider} address add dev p0 ${address}`).join('\n')}
      ip -n ${provider} link set p0 up; ip -n ${provider} link set lo up
      ip -n ${box} link set lo up; ip -n ${box} link set wan1 up`);
  return {
    box,
    provider,
    directory,
    at: (end) => `nsenter --net=/run/netns/${end === 'box' ? box : provider} chroot root`,
    start(tree, files, script) {
      const from = files.map((file) => join(FIRMWARE, file)).join(' ');
      const mounts = `cd ${directory}; mkdir -p upper work root
        mount -t overlay overlay -o lowerdir=${tree},upperdir=upper,workdir=work root
        mount -t proc proc root/proc; mount -t tmpfs run root/run; mount -t tmpfs dev root/dev
        mknod -m 666 root/dev/null c 1 3; mknod -m 666 root/dev/urandom c 1 9
        mkdir -p root/usr/lib/branchbox; cp ${from} root/usr/lib/branchbox/`;
      const words = ['unshare', '--mount', '--propagation', 'private', '--pid', '--fork', '--kill-child'];
      // The host's clock is nobody's here.
      const bounds = ['--bounding-set=-sys_time', '--inh-caps=-sys_time'];
      node = spawn('setpriv', [...bounds, ...words, 'sh', '-euc', `${mounts}\n${script}`], {
        stdio: 'ignore',
      });
      const child = node;
      over = new Promise((resolve) => child.once('exit', resolve));
    },
    ended: () => over,
    async remove() {
      node?.kill('SIGKILL');
      await over;
      sh(`ip netns delete ${box}; ip netns delete ${provider}`);
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

/** Looks at each change in a directory, until there is something. */
export async function untilChanged<T>(place: string, read: () => Promise<T | undefined>): Promise<T> {
  const { promise, resolve } = Promise.withResolvers<T>();
  const look = async (): Promise<void> => {
    const found = await read();
    if (found !== undefined) resolve(found);
  };
  const watcher = watch(place, () => void look());
  void look();
  return promise.finally(() => watcher.close());
}
