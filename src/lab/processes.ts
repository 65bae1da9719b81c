/**
 * Owns finding a lab's processes by what the kernel says of them: the mark in their environment, or their network
 * namespace. No record is kept, so the processes of a lab that crashed are found as well.
 */
import { existsSync, readdirSync, readFileSync, readlinkSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { LAB_MARK, NODE_MARK, netnsPrefixOf } from './paths.ts';

const NETNS_DIRECTORY = '/run/netns';

/** Host pids, this process excepted. */
export function processesOf(lab: string, node?: string): readonly number[] {
  const marks = [`${LAB_MARK}=${lab}`, ...(node === undefined ? [] : [`${NODE_MARK}=${node}`])];
  const namespaces = new Set(netnsInodesOf(lab, node));
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => pid !== process.pid && (isMarked(pid, marks) || namespaces.has(netnsOf(pid))));
}

/** Files of the lab's network namespaces below /run/netns. */
export function netnsNames(lab: string): readonly string[] {
  if (!existsSync(NETNS_DIRECTORY)) return [];
  return readdirSync(NETNS_DIRECTORY).filter((name) => name.startsWith(netnsPrefixOf(lab)));
}

function netnsInodesOf(lab: string, node?: string): string[] {
  return netnsNames(lab)
    .filter((name) => node === undefined || name === `${netnsPrefixOf(lab)}${node}`)
    .map((name) => `net:[${statSync(join(NETNS_DIRECTORY, name)).ino}]`);
}

function isMarked(pid: number, marks: readonly string[]): boolean {
  try {
    const environment = readFileSync(`/proc/${pid}/environ`, 'latin1').split('\0');
    return marks.every((mark) => environment.includes(mark));
  } catch {
    // Ended meanwhile, or a kernel thread.
    return false;
  }
}

function netnsOf(pid: number): string {
  try {
    return readlinkSync(`/proc/${pid}/ns/net`);
  } catch {
    return '';
  }
}
