/**
 * Owns that a lab leaves nothing: processes, namespaces, mounts, cgroups, files, found by name and mark alone, so
 * that what a crashed lab left goes too. Does not touch anything of another lab or of the host.
 */
import { existsSync, readdirSync, readFileSync, rmdirSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Clock, Runner } from '../system/ports.ts';
import { killAll } from './nodes.ts';
import type { LabPaths } from './paths.ts';
import { netnsNames, processesOf } from './processes.ts';

export interface RemainsDeps {
  readonly runner: Runner;
  readonly clock: Clock;
  readonly paths: LabPaths;
}

export interface Remains {
  readonly processes: number;
  readonly namespaces: readonly string[];
  readonly mounts: readonly string[];
  readonly cgroups: readonly string[];
  readonly files: readonly string[];
}

export function findRemains(paths: LabPaths): Remains {
  return {
    processes: processesOf(paths.lab).length,
    namespaces: netnsNames(paths.lab),
    mounts: mountsOf(paths),
    cgroups: cgroupsOf(paths.lab),
    files: [paths.run, paths.state].filter(existsSync),
  };
}

export const isClean = (remains: Remains): boolean =>
  remains.processes +
    remains.namespaces.length +
    remains.mounts.length +
    remains.cgroups.length +
    remains.files.length ===
  0;

/** Labs that have files here, up or crashed, in order of their names. */
export function labsBeside({ run, state }: Pick<LabPaths, 'run' | 'state'>): readonly string[] {
  const names = [dirname(run), dirname(state)].flatMap((shared) =>
    existsSync(shared) ? readdirSync(shared) : [],
  );
  return [...new Set(names)].toSorted();
}

/** A cgroup can be removed only some time after its last process. */
const CGROUP_TRIES = 100;
const CGROUP_PAUSE_MS = 20;

export async function removeRemains({ runner, clock, paths }: RemainsDeps): Promise<void> {
  await killAll(clock, paths.lab);
  // Nothing is mounted for the host to see; this is for a start that died half-way in an older version.
  for (const path of mountsOf(paths)) await runner.run('umount', ['--lazy', path]);
  for (const name of netnsNames(paths.lab)) await runner.runChecked('ip', ['netns', 'delete', name]);
  for (let tries = 0; tries < CGROUP_TRIES && cgroupsOf(paths.lab).length > 0; tries += 1) {
    for (const path of cgroupsOf(paths.lab)) removeCgroup(path);
    if (cgroupsOf(paths.lab).length > 0) await clock.sleep(CGROUP_PAUSE_MS);
  }
  await rm(paths.run, { recursive: true, force: true });
  await rm(paths.state, { recursive: true, force: true });
  for (const shared of [join(paths.run, '..'), join(paths.state, '..'), ...cgroupParents()])
    removeIfEmpty(shared);
}

function mountsOf(paths: LabPaths): string[] {
  return readFileSync('/proc/self/mounts', 'utf8')
    .split('\n')
    .map((line) => line.split(' ')[1] ?? '')
    .filter((at) => [paths.run, paths.state].some((own) => at.startsWith(`${own}/`)));
}

/** Where each cgroup hierarchy of this host keeps the labs. */
function cgroupParents(): string[] {
  return readFileSync('/proc/self/mounts', 'utf8')
    .split('\n')
    .map((line) => line.split(' '))
    .filter(([, , type]) => type === 'cgroup' || type === 'cgroup2')
    .map(([, at]) => join(at ?? '', 'branchbox-lab'))
    .filter(existsSync);
}

const cgroupsOf = (lab: string): string[] =>
  cgroupParents()
    .map((parent) => join(parent, lab))
    .filter(existsSync);

/** From the leaves: a cgroup's files are the kernel's, only directories can be removed. */
function removeCgroup(path: string): void {
  if (!existsSync(path)) return;
  for (const entry of readdirSync(path, { withFileTypes: true })) {
    if (entry.isDirectory()) removeCgroup(join(path, entry.name));
  }
  removeIfEmpty(path);
}

function removeIfEmpty(path: string): void {
  try {
    rmdirSync(path);
  } catch {
    // Not empty (another lab's, or a process is just leaving), or gone.
  }
}
