/**
 * Owns the order in which a lab comes up. Does not own any of its steps.
 */
import { BranchboxError } from '../model/errors.ts';
import type { System } from '../system/ports.ts';
import { ensureHostTools } from './hostTools.ts';
import { createNodes, type Nodes } from './nodes.ts';
import { nodeSpec, providerSpecs } from './nodeSpecs.ts';
import type { LabPaths } from './paths.ts';
import { stagePayload } from './payload.ts';
import { writeRecord } from './record.ts';
import { findRemains, isClean, removeRemains } from './remains.ts';
import { ensureRootTree, rootTreeExists } from './rootTree.ts';
import { readTopology, type Topology } from './topology.ts';
import { planWiring } from './wiring.ts';

export interface RunningLab {
  readonly paths: LabPaths;
  readonly topology: Topology;
  readonly nodes: Nodes;
}

export interface UpOptions {
  readonly paths: LabPaths;
  readonly topologyName: string;
  readonly say: (line: string) => void;
}

/** Nodes, cables and providers; what runs in them is brought to work by controllerNode.ts and readiness.ts. */
export async function bringUp(system: System, { paths, topologyName, say }: UpOptions): Promise<RunningLab> {
  const { runner, clock, files } = system;
  const topology = await readTopology(files, topologyName);
  await ensureHostTools(runner, say, { treeToMake: !rootTreeExists() });
  if (!isClean(findRemains(paths))) {
    say(`removing what an earlier lab ${paths.lab} left`);
    await removeRemains({ runner, clock, paths });
  }
  const tree = await ensureRootTree(runner, say);
  const { sizeBytes } = await stagePayload(paths);
  say(`built: ${Math.round(sizeBytes / 1024)} KiB`);
  await writeRecord(files, paths, {
    lab: paths.lab,
    topology: topologyName,
    tree,
    startedAt: new Date().toISOString(),
  });

  const nodes = createNodes({ runner, clock, paths, tree });
  await nodes.wire(planWiring(topology));
  say('cables are laid');
  await Promise.all(providerSpecs(topology).map((spec) => nodes.start(spec)));
  say(`providers route: ${topology.providers.map(({ name }) => name).join(', ')}`);
  return { paths, topology, nodes };
}

export async function startNodes({ topology, nodes }: RunningLab, names: readonly string[]): Promise<void> {
  const wanted = topology.nodes.filter(({ name }) => names.includes(name));
  await Promise.all(wanted.map((node) => nodes.start(nodeSpec(topology, node))));
}

/** As pulling a box's plug and putting it back: its disk stays, everything else is made anew. */
export async function restartNode({ topology, nodes }: RunningLab, name: string): Promise<void> {
  const wiring = planWiring(topology);
  const spec = [...providerSpecs(topology), ...topology.nodes.map((node) => nodeSpec(topology, node))].find(
    (each) => each.name === name,
  );
  if (spec === undefined)
    throw new BranchboxError('cli/usage', { message: `there is no node ${name} in this lab` });
  await nodes.cutPower(name, wiring);
  await nodes.rewire(name, wiring);
  await nodes.start(spec);
}
