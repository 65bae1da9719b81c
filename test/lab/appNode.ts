/**
 * Owns a bare gateway node with a real Docker Engine in it, started as its unit starts it, for tests of apps.
 */
import { existsSync, readdirSync, readFileSync, rmdirSync } from 'node:fs';
import { join } from 'node:path';
import { createDockerEngine } from '../../src/containers/dockerEngine.ts';
import type { Engine } from '../../src/containers/engine.ts';
import { type BareNode, startBareNode } from './wan/bareNode.ts';

const CHECKOUT = join(import.meta.dirname, '../..');
const CONTROLLERS = ['cpu', 'cpuacct', 'cpuset', 'memory', 'pids', 'devices', 'freezer', 'blkio'];

export interface AppNode {
  readonly node: BareNode;
  readonly engine: Engine;
  /** As the test's own process sees a path of the node. */
  readonly inside: (path: string) => string;
  /** Resolves when the engine answers. */
  engineAnswers(): Promise<void>;
  /** As a power cut does to processes: engine, shims and containers at once; the engine is then started again. */
  killEverything(): Promise<void>;
  stop(): Promise<void>;
}

export async function startAppNode(name: string, tree: string): Promise<AppNode> {
  const node = await startBareNode(name, tree);
  const root = `/proc/${node.pid}/root`;
  const inside = (path: string): string => root + path;
  const cgroup = `/bbt-apps-${process.pid}`;
  await mountCgroups(node);
  // Docker's overlay2 cannot stand on the node's own overlay.
  await node.run('mkdir', '-p', '/var/lib/docker');
  await node.run('mount', '-t', 'tmpfs', 'docker', '/var/lib/docker');
  const engine = createDockerEngine({ socketPath: inside('/run/docker.sock') });
  node.loop('containerd', '/usr/bin/containerd', 'rm -f /run/containerd/containerd.sock');
  while (!existsSync(inside('/run/containerd/containerd.sock'))) await pause();
  node.loop(
    'dockerd',
    `${unitCommand('docker.service')} --cgroup-parent=${cgroup}`,
    'rm -f /run/docker.sock /run/docker.pid',
  );
  const engineAnswers = async (): Promise<void> => {
    for (;;) {
      try {
        await engine.version(AbortSignal.timeout(1000));
        return;
      } catch {
        await pause();
      }
    }
  };
  await engineAnswers();
  return {
    node,
    engine,
    inside,
    engineAnswers,
    async killEverything() {
      const processes = processesOf(inside('/proc'));
      const shims = new Set(
        processes.filter(({ name }) => name.startsWith('containerd-shim')).map(({ pid }) => pid),
      );
      const victims = processes.filter(
        ({ name, parent }) => /^(dockerd|containerd)/.test(name) || shims.has(parent),
      );
      await node.run('sh', '-c', 'kill -9 "$@"', 'sh', ...victims.map(({ pid }) => `${pid}`));
      await engineAnswers();
    },
    async stop() {
      await node.stop();
      for (const controller of [...CONTROLLERS, '']) removeTree(join('/sys/fs/cgroup', controller, cgroup));
    },
  };
}

const pause = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 50));

/** ExecStart of a unit of ours, its continuation lines joined. */
function unitCommand(unit: string): string {
  const text = readFileSync(join(CHECKOUT, 'firmware/units', unit), 'utf8').replaceAll('\\\n', ' ');
  return /^ExecStart=(.*)$/m.exec(text)?.[1]?.replaceAll(/\s+/g, ' ') ?? '';
}

interface NodeProcess {
  readonly pid: number;
  readonly parent: number;
  readonly name: string;
}

function processesOf(proc: string): NodeProcess[] {
  return readdirSync(proc)
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name) => {
      const stat = existsSync(join(proc, name, 'stat')) ? readFileSync(join(proc, name, 'stat'), 'utf8') : '';
      const [, comm = '', parent = '0'] = /^\d+ \((.*)\) \S (\d+)/.exec(stat) ?? [];
      return [{ pid: Number(name), parent: Number(parent), name: comm }];
    });
}

/** Below the node's own /sys, as systemd has them on the box. */
async function mountCgroups(node: BareNode): Promise<void> {
  const at = '/sys/fs/cgroup';
  if (existsSync(join(at, 'cgroup.controllers'))) {
    await node.run('mount', '-t', 'cgroup2', 'cgroup2', at);
    return;
  }
  await node.run('mount', '-t', 'tmpfs', 'cgroup', at);
  for (const controller of CONTROLLERS.filter((name) => existsSync(join(at, name)))) {
    await node.run('mkdir', '-p', join(at, controller));
    await node.run('mount', '-t', 'cgroup', '-o', controller, 'cgroup', join(at, controller));
  }
}

/** Empty cgroups of containers that ended with their node. */
function removeTree(path: string): void {
  if (!existsSync(path)) return;
  for (const entry of readdirSync(path, { withFileTypes: true })) {
    if (entry.isDirectory()) removeTree(join(path, entry.name));
  }
  rmdirSync(path);
}
