/**
 * Owns starting and ending a node: its files, its first process, its cables, and the words to run something in it.
 * Does not own what the lab is made of (topology.ts, wiring.ts) nor its order (up.ts).
 */
import { spawn } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { mkdir, open, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { BranchboxError } from '../model/errors.ts';
import type { Clock, CommandResult, Runner, RunOptions } from '../system/ports.ts';
import { enterWords, NODE_ENVIRONMENT, notRunning, readNodePid } from './enter.ts';
import { askNode } from './localSocket.ts';
import { LAB_MARK, type LabPaths, NODE_MARK, nodePaths } from './paths.ts';
import { patiently } from './patience.ts';
import { NODE_BINARY } from './payload.ts';
import { processesOf } from './processes.ts';
import type { NodeRole } from './topology.ts';
import { isMachine } from './vm/machinePaths.ts';
import type { Machines, MachineSpec } from './vm/machineNodes.ts';
import type { Cable, Wiring } from './wiring.ts';

export interface NodeSpec {
  readonly name: string;
  readonly role: NodeRole;
  /** Words of what tini starts, without spaces in any of them. */
  readonly command: readonly string[];
  /** Files put into the node's root, by absolute path. A machine has of them what belongs to its factory partition. */
  readonly files: Readonly<Record<string, string>>;
  readonly machine?: MachineSpec | undefined;
}

export interface Nodes {
  /** Makes the namespaces and lays the cables of the whole topology. */
  wire(wiring: Wiring): Promise<void>;
  start(spec: NodeSpec): Promise<void>;
  /** As a power cut: everything in it ends at once, cables and all; disk stays. */
  cutPower(node: string, wiring: Wiring): Promise<void>;
  /** The cables of one node again, after cutPower. */
  rewire(node: string, wiring: Wiring): Promise<void>;
  /** Host pid of a node's PID 1; undefined where it is not running. */
  pidOf(node: string): number | undefined;
  exec(node: string, command: readonly string[], options?: RunOptions): Promise<CommandResult>;
  /** The JSON that a process of the node answers over its unix socket; undefined where there is none. */
  ask(node: string, socket: string, path: string): Promise<unknown>;
}

/** A node is mounts and a few forks: 0.3 s; this is for a machine that is busy with eleven at once. */
const START_TIMEOUT_MS = 30_000;
const POLL_MS = 20;
export interface NodesDeps {
  readonly runner: Runner;
  readonly clock: Clock;
  readonly paths: LabPaths;
  readonly tree: string;
  readonly machines: Machines;
}

export function createNodes({ runner, clock, paths, tree, machines }: NodesDeps): Nodes {
  const ipBatch = async (node: string | undefined, lines: readonly string[]): Promise<void> => {
    if (lines.length === 0) return;
    const where = node === undefined ? [] : ['-n', nodePaths(paths, node).netnsName];
    await runner.runChecked('ip', [...where, '-batch', '-'], {
      stdin: `${lines.join('\n')}\n`,
      timeoutMs: 60_000,
    });
  };
  const lay = async (cables: readonly Cable[]): Promise<void> => {
    await ipBatch(
      undefined,
      cables.map((cable) => addLine(paths, cable)),
    );
    const setUps = new Map<string, string[]>();
    for (const end of cables.flatMap(({ a, b }) => [a, b])) {
      setUps.set(end.node, [...(setUps.get(end.node) ?? []), ...end.setUp]);
    }
    // One after the other: each is milliseconds, and a failure names its node.
    for (const [node, lines] of setUps) await ipBatch(node, lines);
  };
  /** Namespaces in front of a machine: what they said of their own would be seen on its cables. */
  const silence = async (node: string): Promise<void> => {
    const settings = ['/proc/sys/net/ipv6/conf/all', '/proc/sys/net/ipv6/conf/default'];
    const script = settings.map((setting) => `echo 1 >${setting}/disable_ipv6`).join('\n');
    const bridged =
      'for s in /proc/sys/net/bridge/bridge-nf-call-*tables; do [ ! -e $s ] || echo 0 >$s; done';
    const { netns } = nodePaths(paths, node);
    await runner.runChecked('nsenter', [`--net=${netns}`, '--', '/bin/sh', '-c', `${script}\n${bridged}`]);
  };
  const cablesOf = (node: string, wiring: Wiring): Cable[] =>
    wiring.cables.filter(({ a, b }) => a.node === node || b.node === node);

  const pidOf = (node: string): number | undefined => readNodePid(paths, node);

  return {
    pidOf,
    async wire(wiring) {
      for (const node of wiring.nodes)
        await runner.runChecked('ip', ['netns', 'add', nodePaths(paths, node).netnsName]);
      for (const node of wiring.silent) await silence(node);
      for (const [node, lines] of wiring.before) await ipBatch(node, lines);
      await lay(wiring.cables);
    },
    async rewire(node, wiring) {
      await runner.runChecked('ip', ['netns', 'add', nodePaths(paths, node).netnsName]);
      if (wiring.silent.includes(node)) await silence(node);
      await ipBatch(node, wiring.before.get(node) ?? []);
      await lay(cablesOf(node, wiring));
    },
    async start(spec) {
      if (spec.machine !== undefined) return machines.start(spec.name, spec.machine, spec.files);
      const own = nodePaths(paths, spec.name);
      for (const [path, content] of Object.entries(spec.files)) {
        const file = path.startsWith('/var/') ? join(own.var, path.slice(5)) : join(own.upper, path);
        await mkdir(dirname(file), { recursive: true });
        // Keys are their owner's alone, as the factory leaves them.
        await writeFile(file, content, { mode: file.endsWith('.key') ? 0o600 : 0o644 });
      }
      await mkdir(own.run, { recursive: true });
      await rm(join(own.run, 'ready'), { force: true });
      const console = await open(own.console, 'a');
      const child = spawn('/bin/sh', [join(import.meta.dirname, 'node-init.sh'), 'enter'], {
        detached: true,
        cwd: '/',
        stdio: ['ignore', console.fd, console.fd],
        env: {
          ...NODE_ENVIRONMENT,
          [LAB_MARK]: paths.lab,
          [NODE_MARK]: spec.name,
          LAB_NETNS: own.netns,
          LAB_RUN: own.run,
          LAB_STATE: own.state,
          LAB_TREE: tree,
          LAB_PAYLOAD: paths.payload,
          LAB_NODE_BINARY: NODE_BINARY,
          LAB_ROLE: spec.role,
          LAB_COMMAND: spec.command.join(' '),
        },
      });
      child.unref();
      await console.close();
      const deadlineMs = clock.monotonicMs() + patiently(START_TIMEOUT_MS);
      while (!isReady(join(own.run, 'ready'))) {
        if (child.exitCode !== null || clock.monotonicMs() > deadlineMs) {
          const words = existsSync(own.console) ? readFileSync(own.console, 'utf8').trim().slice(-500) : '';
          throw notStarted(spec.name, { exitCode: child.exitCode, words, console: own.console });
        }
        await clock.sleep(POLL_MS);
      }
    },
    async cutPower(node, wiring) {
      await killAll(clock, paths.lab, node);
      for (const { a, b } of cablesOf(node, wiring)) {
        // From the far end, which removes both at once; a namespace that dies does it some time later.
        const far = a.node === node ? b : a;
        await runner.run('ip', [
          '-n',
          nodePaths(paths, far.node).netnsName,
          'link',
          'delete',
          'dev',
          far.ifname,
        ]);
      }
      await runner.run('ip', ['netns', 'delete', nodePaths(paths, node).netnsName]);
    },
    async exec(node, command, options) {
      const pid = pidOf(node);
      if (pid === undefined) throw notRunning(paths, node);
      if (isMachine(paths, node)) return machines.exec(node, command, options);
      return runner.run('nsenter', [...enterWords(pid), ...command], options);
    },
    async ask(node, socket, path) {
      const pid = pidOf(node);
      if (pid === undefined) return undefined;
      if (isMachine(paths, node)) return machines.ask(node, socket, path);
      return askNode({ socketPath: `/proc/${pid}/root${socket}` }, path);
    },
  };
}

/** Ends every process of the lab or of one node, and waits until the kernel has let go of them. */
export async function killAll(clock: Clock, lab: string, node?: string): Promise<void> {
  const deadlineMs = clock.monotonicMs() + patiently(START_TIMEOUT_MS);
  for (;;) {
    const pids = processesOf(lab, node);
    if (pids.length === 0) return;
    for (const pid of pids) {
      try {
        process.kill(pid, 'SIGKILL');
      } catch {
        // It ended by itself, or with its PID namespace.
      }
    }
    if (clock.monotonicMs() > deadlineMs) {
      throw new BranchboxError('system/command-timeout', {
        message: `processes do not end: ${pids.join(' ')}`,
        mend: 'run it again, it goes on from here; a machine that is busy or slow is given longer by BRANCHBOX_LAB_PATIENCE=10 (docs/lab.md)',
      });
    }
    await clock.sleep(POLL_MS);
  }
}

/** `exitCode`: null where its time was over. Pure but for the patience that was asked for. */
export function notStarted(
  node: string,
  found: { readonly exitCode: number | null; readonly words: string; readonly console: string },
): BranchboxError {
  const { exitCode, words, console } = found;
  const seconds = patiently(START_TIMEOUT_MS) / 1000;
  const how =
    exitCode === null ? `did not start within ${seconds} s` : `ended with ${exitCode} before it had started`;
  return new BranchboxError('lab/not-ready', {
    message: `node ${node} ${how}, and said ${words === '' ? 'nothing' : `last: ${words}`}`,
    mend:
      exitCode === null
        ? 'a machine that is busy or slow is given longer by BRANCHBOX_LAB_PATIENCE=10 (docs/lab.md)'
        : `${console} has all that it said`,
  });
}

function isReady(file: string): boolean {
  return existsSync(file) && readFileSync(file, 'utf8').startsWith('ready');
}

function addLine(paths: LabPaths, { a, b }: Cable): string {
  const at = (node: string): string => nodePaths(paths, node).netnsName;
  return (
    `link add name ${a.ifname} address ${a.mac} netns ${at(a.node)} type veth ` +
    `peer name ${b.ifname} address ${b.mac} netns ${at(b.node)}`
  );
}
