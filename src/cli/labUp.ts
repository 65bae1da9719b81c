/**
 * Owns `lab up`, `lab down` and `lab restart`: what is said on the screen, and putting the parts together.
 */
import { ensureIngredients } from '../../image/ingredients.ts';
import { BranchboxError } from '../model/errors.ts';
import { ensureHostTools } from '../lab/hostTools.ts';
import { createNodes } from '../lab/nodes.ts';
import { lockLab } from '../lab/lock.ts';
import { specOf } from '../lab/nodeSpecs.ts';
import { type LabPaths, labPaths } from '../lab/paths.ts';
import { stagePayload } from '../lab/payload.ts';
import { readRecord } from '../lab/record.ts';
import { findRemains, isClean, labsBeside, removeRemains } from '../lab/remains.ts';
import { ensureRootTree } from '../lab/rootTree.ts';
import { renderNextCommands, renderStatus } from '../lab/table.ts';
import {
  type RestartOptions,
  type RunningLab,
  restartNode,
  startBare,
  startFleet,
  wireUp,
} from '../lab/up.ts';
import { createMachines } from '../lab/vm/machineNodes.ts';
import { createLinuxSystem } from '../system/linux/system.ts';
import type { Clock } from '../system/ports.ts';

/** Progress with the seconds since the start. */
function sayer(clock: Clock): (line: string) => void {
  const startMs = clock.monotonicMs();
  return (line) => {
    const seconds = ((clock.monotonicMs() - startMs) / 1000).toFixed(1);
    process.stdout.write(`${seconds.padStart(6)} s  ${line}\n`);
  };
}

/** What `lab up` and the tests on real parts need of this machine, and nothing running. */
export async function labPrepare(): Promise<void> {
  const { runner, clock } = createLinuxSystem({ name: 'lab' });
  const say = sayer(clock);
  await ensureHostTools(runner, say, { forTests: true, forTrees: true, forImage: true });
  // Beside each other: they wait for the mirror and the disk more than they compute.
  const [nodes, { tree }] = await Promise.all([
    ensureRootTree(runner, say),
    ensureIngredients({ runner, say }),
  ]);
  say(`ready: ${nodes}`);
  say(`ready: ${tree}`);
}

export async function labUp(
  lab: string,
  topology: string,
  options: { readonly nodesOnly: boolean },
): Promise<void> {
  const system = createLinuxSystem({ name: 'lab' });
  const say = sayer(system.clock);
  const paths = labPaths(lab);
  await lockLab(paths);
  sayWhenInterrupted(lab);
  const running = await wireUp(system, { paths, topologyName: topology, say });
  if (options.nodesOnly) {
    await startBare(running);
    say(`nodes run: ${running.topology.nodes.map(({ name }) => name).join(', ')}`);
    return;
  }
  const status = await startFleet(system, running, say);
  say(`lab ${lab} works`);
  process.stdout.write(`\n${renderStatus(status)}\n${renderNextCommands(status)}`);
}

/** Whoever stops it half-way is told what is left, and how to remove it. */
function sayWhenInterrupted(lab: string): void {
  for (const [signal, number] of [
    ['SIGINT', 2],
    ['SIGTERM', 15],
  ] as const) {
    process.once(signal, () => {
      process.stderr.write(
        `branchbox: lab ${lab} was not brought up to its end; what stands of it stays\n  mend: branchbox lab down --lab ${lab}, or lab up again: it begins anew\n`,
      );
      // As a shell says it of a process that a signal ended.
      process.exit(128 + number);
    });
  }
}

export async function labDown(lab: string): Promise<void> {
  const paths = labPaths(lab);
  const lock = await lockLab(paths);
  try {
    await removeAll(lab, paths);
  } finally {
    await lock.release();
  }
}

async function removeAll(lab: string, paths: LabPaths): Promise<void> {
  if (isClean(findRemains(paths))) {
    // Nothing of it is left, which is what was asked for; but after a mistyped name the lab that was meant still runs.
    process.stderr.write(`branchbox: ${describeNoLab(lab, labsBeside(paths))}\n`);
    return;
  }
  const { runner, clock } = createLinuxSystem({ name: 'lab' });
  await removeRemains({ runner, clock, paths });
  const left = findRemains(paths);
  if (isClean(left)) return;
  throw new BranchboxError('lab/not-ready', {
    message: `lab ${lab} left something: ${JSON.stringify(left)}`,
  });
}

/** Pure. */
export const describeNoLab = (lab: string, others: readonly string[]): string =>
  `there is no lab ${lab}${others.length === 0 ? ', nor any other' : `; there are: ${others.join(', ')}`}`;

export async function labRestart(
  lab: string,
  node: string,
  options: RestartOptions & { readonly rebuild: boolean },
): Promise<void> {
  const running = await openLab(lab);
  const { machine } = specOf(running.topology, node);
  if (options.rebuild && machine !== undefined) {
    throw new BranchboxError('cli/usage', {
      message: `${node} is a virtual machine: it runs its image, not the checkout`,
      mend: 'npm run image, and the lab again',
    });
  }
  if (options.rebuild) await stagePayload(running.paths);
  await restartNode(running, node, options);
}

/** A lab that is up, by its name. */
export async function openLab(lab: string): Promise<RunningLab> {
  const { runner, clock, files } = createLinuxSystem({ name: 'lab' });
  const paths = labPaths(lab);
  const { record, topology } = await readRecord(files, paths);
  const { tree } = record;
  const machines = createMachines({ runner, clock, files, paths });
  return {
    paths,
    topologyName: record.topology,
    topology,
    tree,
    nodes: createNodes({ runner, clock, paths, tree, machines }),
    machines,
  };
}
