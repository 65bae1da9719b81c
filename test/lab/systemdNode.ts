/**
 * Owns a gateway's userland under a real systemd, in namespaces of its own: the units of the firmware as the box runs
 * them, sandboxes included. No kernel of its own: cgroup limits hold only where the host has version 2.
 */
import { spawn } from 'node:child_process';
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmdirSync,
  rmSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { stagePayload } from '../../src/lab/payload.ts';
import { labPaths } from '../../src/lab/paths.ts';
import { ensureTree, IMAGE_TREE, NODES_TREE, TOOLS_TREE } from '../../image/trees.ts';
import { createRunner } from '../../src/system/linux/runner.ts';
import type { CommandResult } from '../../src/system/ports.ts';

export interface SystemdNode {
  /** Its root as the host sees it. */
  readonly root: string;
  readonly netns: string;
  run(...words: string[]): Promise<CommandResult>;
  /** stdout of a command that must succeed. */
  checked(...words: string[]): Promise<string>;
  /** One property of a unit, as `systemctl show` says it. */
  property(unit: string, name: string): Promise<string>;
  stop(): Promise<void>;
}

const CHECKOUT = join(import.meta.dirname, '../..');

/** `files`: put into its root before it starts, by absolute path; a directory is copied whole. */
export async function startSystemdNode(options: {
  /** Of six characters at most. */
  readonly name: string;
  readonly directories: Readonly<Record<string, string>>;
  /** A Debian package, installed into a Debian 13 that has what it depends on, in the place of the checkout's files. */
  readonly package?: string;
}): Promise<SystemdNode> {
  const runner = createRunner();
  const trees = options.package === undefined ? [NODES_TREE, TOOLS_TREE] : [IMAGE_TREE];
  const lower: string[] = [];
  for (const tree of trees) lower.push(await ensureTree(tree, { runner, say: () => {} }));
  // As short as may be: a lab's name has sixteen characters.
  const name = `bbt-${options.name}-${process.pid.toString(36)}`;
  const directory = mkdtempSync(join(tmpdir(), `${name}-`));
  const paths = { ...labPaths(name), state: directory, payload: join(directory, 'payload') };
  if (options.package === undefined) await stagePayload(paths);
  for (const [path, from] of Object.entries(options.directories)) {
    mkdirSync(join(directory, 'upper', path), { recursive: true });
    cpSync(from, join(directory, 'upper', path), { recursive: true });
  }
  await runner.runChecked('ip', ['netns', 'add', name]);
  const child = spawn('/bin/sh', [join(CHECKOUT, 'test/lab/systemd-node.sh'), 'enter'], {
    stdio: ['ignore', 'ignore', 'inherit'],
    env: {
      ...process.env,
      NODE_DIR: directory,
      NODE_LOWER: lower.join(':'),
      NODE_PACKAGE: options.package ?? '',
      NODE_NAME: name,
      NODE_NETNS: `/run/netns/${name}`,
      NODE_PAYLOAD: paths.payload,
      NODE_BINARY: process.execPath,
    },
  });
  const pid = await pidOfSystemd(child.pid ?? 0);
  const enter = ['-t', String(pid), '-m', '-p', '-n', '-u', '-i', '-C', '-r', '-w', '--'];
  const run = (...words: string[]): Promise<CommandResult> =>
    runner.run('nsenter', [...enter, ...words], { timeoutMs: 60_000 });
  return {
    root: `/proc/${pid}/root`,
    netns: name,
    run,
    checked: (...words) => runner.runChecked('nsenter', [...enter, ...words], { timeoutMs: 60_000 }),
    property: async (unit, property) =>
      (await run('systemctl', 'show', '-p', property, '--value', unit)).stdout.trim(),
    async stop() {
      const ended = new Promise((resolve) => child.once('exit', resolve));
      process.kill(pid, 'SIGKILL');
      await ended;
      await runner.run('ip', ['netns', 'delete', name]);
      removeCgroup(name);
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

/** systemd is the only child of `unshare --fork`, once it is no longer a shell. */
async function pidOfSystemd(parent: number): Promise<number> {
  for (;;) {
    const children = `/proc/${parent}/task/${parent}/children`;
    if (!existsSync(children)) throw new Error('the node did not start');
    const pid = Number(readFileSync(children, 'utf8').trim().split(' ')[0]);
    const isThere = pid > 0 && existsSync(`/proc/${pid}/comm`);
    const isSystemd = isThere && readFileSync(`/proc/${pid}/comm`, 'utf8').trim() === 'systemd';
    if (isSystemd && existsSync(`/proc/${pid}/root/run/systemd/private`)) return pid;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

function removeCgroup(name: string): void {
  const mount = readFileSync('/proc/self/mounts', 'utf8')
    .split('\n')
    .find((line) => line.split(' ')[2] === 'cgroup2')
    ?.split(' ')[1];
  if (mount === undefined) return;
  const remove = (path: string): void => {
    for (const entry of readdirSync(path, { withFileTypes: true })) {
      if (entry.isDirectory()) remove(join(path, entry.name));
    }
    rmdirSync(path);
  };
  const own = join(mount, name);
  if (existsSync(own)) remove(own);
}
