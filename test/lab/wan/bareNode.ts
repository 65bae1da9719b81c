/**
 * Owns one bare gateway node for tests of a single domain: namespaces, the image's root tree as root, FRR's daemons
 * each in a loop that does what its unit does. No agent, no identity: the test is the agent.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { NODES_TREE, treeExists, treePath } from '../../../image/trees.ts';
import { createFiles } from '../../../src/system/linux/files.ts';
import { createRunner } from '../../../src/system/linux/runner.ts';
import type { Files, Runner } from '../../../src/system/ports.ts';

const CHECKOUT = join(import.meta.dirname, '../../..');

/** The root tree that `branchbox lab prepare` made; undefined where it did not yet. */
export function rootTree(): string | undefined {
  if (process.env['BRANCHBOX_TREE'] !== undefined) return process.env['BRANCHBOX_TREE'];
  return treeExists(NODES_TREE) ? treePath(NODES_TREE) : undefined;
}

const INIT = `
set -eu
mount --make-rprivate /
mount -t tmpfs -o size=256m tmpfs "$NODE_DIR"
mkdir "$NODE_DIR/upper" "$NODE_DIR/work" "$NODE_DIR/root"
mount -t overlay overlay -o "lowerdir=$NODE_TREE,upperdir=$NODE_DIR/upper,workdir=$NODE_DIR/work" "$NODE_DIR/root"
cd "$NODE_DIR/root"
mount -t proc proc proc; mount -t sysfs sys sys; mount -t tmpfs run run; mount -t tmpfs dev dev
mknod -m 666 dev/null c 1 3; mknod -m 666 dev/zero c 1 5; mknod -m 666 dev/random c 1 8
mknod -m 666 dev/urandom c 1 9; mknod -m 666 dev/tty c 5 0; mkdir dev/net; mknod -m 666 dev/net/tun c 10 200
mkdir -p run/wireguard run/branchbox usr/lib/branchbox var/lib/branchbox/agent
cp "$NODE_CHECKOUT"/firmware/frr-run "$NODE_CHECKOUT"/firmware/frr-load "$NODE_CHECKOUT"/firmware/wait-for-socket usr/lib/branchbox/
cp "$NODE_CHECKOUT/firmware/sysctl/gateway.conf" usr/lib/branchbox/sysctl.conf
cp "$NODE_CHECKOUT/firmware/connection-tracking.nft" usr/lib/branchbox/
for setting in proc/sys/net/bridge/bridge-nf-call-*tables; do [ ! -e "$setting" ] || echo 0 >"$setting"; done
: >etc/frr/frr.conf
exec chroot . /bin/sh -c 'ip link set lo up; sysctl -qep /usr/lib/branchbox/sysctl.conf; echo ready; exec sleep infinity'
`;
const LOOP = `
mkdir -p /run/loops
while :; do $2; $3 >>/var/log/$1.log 2>&1 & echo $! >/run/loops/$1; $4; wait $!; sleep 0.1; done
`;
/** As the units start them. */
const DAEMONS: Readonly<Record<string, string>> = {
  mgmtd: '',
  zebra: '-K 15',
  staticd: '',
  bfdd: '',
  bgpd: '-f /run/frr/bgpd.conf',
};

export interface BareNode {
  readonly netns: string;
  /** Of its PID 1, as the host numbers it. */
  readonly pid: number;
  readonly runner: Runner;
  readonly files: Files;
  /** stdout of a command in the node that must succeed. */
  run(command: string, ...args: string[]): Promise<string>;
  startFrr(): Promise<void>;
  /** A program that is started again when it ends, as a unit with Restart=always. */
  loop(name: string, command: string, before?: string, after?: string): void;
  /** Pid in the node of what a loop runs now. */
  pidOf(name: string): number | undefined;
  stop(): Promise<void>;
}

export async function startBareNode(name: string, tree: string): Promise<BareNode> {
  const host = createRunner();
  const netns = `bbt-wan-${process.pid}-${name}`;
  const directory = mkdtempSync(join(tmpdir(), `${netns}-`));
  await host.runChecked('ip', ['netns', 'add', netns]);
  const child = spawn(
    'nsenter',
    [`--net=/run/netns/${netns}`, 'unshare', '-m', '-p', '-u', '--fork', '--kill-child', 'sh', '-c', INIT],
    {
      stdio: ['ignore', 'pipe', 'inherit'],
      env: { ...process.env, NODE_DIR: directory, NODE_TREE: tree, NODE_CHECKOUT: CHECKOUT },
    },
  );
  await ready(child);
  const pid = await childOf(child.pid ?? 0);
  const enter = ['-t', String(pid), '-m', '-n', '-p', '-u', '-r', '-w', '--'];
  const runner: Runner = {
    run: (command, args, options) => host.run('nsenter', [...enter, command, ...args], options),
    runChecked: (command, args, options) => host.runChecked('nsenter', [...enter, command, ...args], options),
    follow: (command, args, onLine, signal) =>
      host.follow('nsenter', [...enter, command, ...args], onLine, signal),
  };
  const loops: ChildProcess[] = [];
  const real = createFiles();
  const inside = (path: string): string => `/proc/${pid}/root${path}`;
  const node: BareNode = {
    netns,
    pid,
    runner,
    files: {
      readText: (path, maxBytes) => real.readText(inside(path), maxBytes),
      readBytes: (path, maxBytes) => real.readBytes(inside(path), maxBytes),
      writeDurable: (path, content, mode) => real.writeDurable(inside(path), content, mode),
      // Values of /proc/sys/net are the writer's namespace's: from inside.
      writeKernel: async (path, content) => void (await runner.runChecked('tee', [path], { stdin: content })),
      remove: (path) => real.remove(inside(path)),
      list: (path) => real.list(inside(path)),
      watch: (path, onChange, signal) => real.watch(inside(path), onChange, signal),
    },
    run: (command, ...args) => runner.runChecked(command, args),
    loop(loopName, command, before = ':', after = ':') {
      const words = [
        ...enter,
        'sh',
        '-c',
        LOOP.replaceAll('$1', loopName).replace('$2', before).replace('$3', command).replace('$4', after),
      ];
      loops.push(spawn('nsenter', words, { stdio: 'ignore' }));
    },
    pidOf(loopName) {
      const path = inside(`/run/loops/${loopName}`);
      return existsSync(path) ? Number(readFileSync(path, 'utf8')) : undefined;
    },
    async startFrr() {
      for (const [daemon, options] of Object.entries(DAEMONS)) {
        node.loop(
          daemon,
          `/usr/lib/branchbox/frr-run ${daemon} -A 127.0.0.1 -P 0 --log stdout --log-level warnings ${options}`,
          undefined,
          `/usr/lib/branchbox/frr-load ${daemon}`,
        );
        while (!existsSync(inside(`/run/frr/${daemon}.vty`))) await new Promise((r) => setTimeout(r, 20));
      }
    },
    async stop() {
      child.kill('SIGKILL');
      for (const loop of loops) loop.kill('SIGKILL');
      await host.run('ip', ['netns', 'delete', netns]);
      rmSync(directory, { recursive: true, force: true });
    },
  };
  return node;
}

function ready(child: ChildProcess): Promise<void> {
  return new Promise((resolve, reject) => {
    child.stdout?.on('data', (data: Buffer) => data.toString().includes('ready') && resolve());
    child.on('exit', (code) => reject(new Error(`the node ended with ${code} before it was ready`)));
  });
}

/** unshare's only child is PID 1 of the node. */
async function childOf(pid: number): Promise<number> {
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim();
  const first = Number(children.split(' ')[0]);
  if (!(first > 1)) throw new Error(`process ${pid} has no child`);
  return first;
}
