/**
 * Owns how something is run in a node from the host: which process a node is, and the words that enter it.
 * Imports next to nothing: `lab exec` is called all the time and pays for each module.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { BranchboxError } from '../model/errors.ts';
import { LAB_MARK, type LabPaths, NODE_MARK, nodePaths } from './paths.ts';

export const NODE_ENVIRONMENT: Readonly<Record<string, string>> = {
  PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
  HOME: '/root',
  LANG: 'C.UTF-8',
};

/** `nsenter`'s words for all namespaces of a node; what follows them is the command. */
export function enterWords(pid: number): string[] {
  const own = ['--mount', '--uts', '--ipc', '--net', '--pid', '--cgroup'];
  return [
    '--target',
    String(pid),
    ...own,
    '--root',
    '--wdns=/',
    '--',
    '/usr/bin/env',
    '-i',
    ...environmentWords(),
  ];
}

const environmentWords = (): string[] =>
  Object.entries(NODE_ENVIRONMENT).map(([name, value]) => `${name}=${value}`);

export function readNodePid(paths: LabPaths, node: string): number | undefined {
  const { pidFile } = nodePaths(paths, node);
  if (!existsSync(pidFile)) return undefined;
  const pid = Number(readFileSync(pidFile, 'utf8').trim());
  // The number may be somebody else's by now: only a process with this lab's mark is the node.
  return Number.isInteger(pid) && pid > 1 && hasMark(pid, paths.lab, node) ? pid : undefined;
}

function hasMark(pid: number, lab: string, node: string): boolean {
  try {
    const environment = readFileSync(`/proc/${pid}/environ`, 'latin1').split('\0');
    return environment.includes(`${LAB_MARK}=${lab}`) && environment.includes(`${NODE_MARK}=${node}`);
  } catch {
    return false;
  }
}

/** `known`: those that the lab has. */
export function noSuchNode(node: string, known: readonly string[]): BranchboxError {
  return new BranchboxError('cli/usage', {
    message: `there is no node ${node} in this lab`,
    mend: `name one of ${known.join(', ')}`,
  });
}

/** Why a node cannot be entered: there is no such lab, no such node, or it does not run. */
export function notRunning(paths: LabPaths, node: string): BranchboxError {
  const directory = join(paths.state, 'nodes');
  const known = existsSync(directory) ? readdirSync(directory).toSorted() : [];
  if (known.length > 0 && !known.includes(node)) {
    return noSuchNode(node, known);
  }
  return new BranchboxError('lab/not-running', {
    message:
      known.length === 0 ? `no lab ${paths.lab} is up` : `node ${node} of lab ${paths.lab} is not running`,
    mend:
      known.length === 0
        ? `branchbox lab up --lab ${paths.lab}`
        : `branchbox lab restart --lab ${paths.lab} ${node}`,
  });
}
