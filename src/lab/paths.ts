/**
 * Owns where a lab keeps things on the host and what they are called, all derived from the lab's name: so a lab
 * is found again after a crash without any record of it. Does not own what is in them.
 */
import { join } from 'node:path';
import { BranchboxError } from '../model/errors.ts';

/** Short enough that a netns name and a cgroup path stay short; nothing that could leave its directory. */
const LAB_NAME = /^[a-z0-9-]{1,16}$/;
/** In the environment of every process that the lab starts on the host: the mark by which remains are found. */
export const LAB_MARK = 'BRANCHBOX_LAB';
export const NODE_MARK = 'BRANCHBOX_NODE';

const NETNS_DIRECTORY = '/run/netns';

export interface LabPaths {
  readonly lab: string;
  /** Gone after a reboot of the host. */
  readonly run: string;
  readonly state: string;
  /** What is bound into each node at /usr/lib/branchbox. */
  readonly payload: string;
  /** Topology and names of this lab, as `lab up` read them. */
  readonly record: string;
  /** Which image its virtual machines run. */
  readonly machineImage: string;
  /** Anchors and credentials for people and tests. */
  readonly access: string;
}

export interface NodePaths {
  /** Name below /run/netns, so that `ip netns exec` knows it too. */
  readonly netnsName: string;
  readonly netns: string;
  readonly run: string;
  /** Host pid of the node's PID 1. */
  readonly pidFile: string;
  /** Upper and work directory of the root overlay, and /var: they outlive a restart of the node. */
  readonly state: string;
  readonly upper: string;
  readonly var: string;
  readonly console: string;
}

export function labPaths(lab: string): LabPaths {
  if (!LAB_NAME.test(lab)) {
    const message = `lab name "${lab}" is not one to sixteen lower-case letters, digits and hyphens`;
    throw new BranchboxError('cli/usage', { message });
  }
  const state = join('/var/lib/branchbox-lab', lab);
  return {
    lab,
    run: join('/run/branchbox-lab', lab),
    state,
    payload: join(state, 'payload'),
    record: join(state, 'lab.json'),
    machineImage: join(state, 'image.json'),
    access: join(state, 'access'),
  };
}

export function nodePaths(paths: LabPaths, node: string): NodePaths {
  const netnsName = netnsNameOf(paths.lab, node);
  const state = join(paths.state, 'nodes', node);
  const run = join(paths.run, node);
  return {
    netnsName,
    netns: join(NETNS_DIRECTORY, netnsName),
    run,
    pidFile: join(run, 'pid'),
    state,
    upper: join(state, 'upper'),
    var: join(state, 'var'),
    console: join(state, 'console.log'),
  };
}

export const netnsNameOf = (lab: string, node: string): string => `bb-${lab}.${node}`;
/** Every netns of a lab, and of no other: a dot is in no lab's name. */
export const netnsPrefixOf = (lab: string): string => `bb-${lab}.`;
/** A namespace without processes that holds the far ends of ports nobody plugged a cable into. */
export const SPARE_NODE = 'unplugged';
