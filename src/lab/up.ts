/**
 * Owns the order in which a lab comes up. Does not own any of its steps.
 */
import { readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { BranchboxError } from '../model/errors.ts';
import type { System } from '../system/ports.ts';
import { controllerFiles, createControllerNode, FACTORY_DIRECTORY, factoryFiles } from './controllerNode.ts';
import { createFaults } from './faults.ts';
import { checkFleetFits, readFleet } from './fleetFile.ts';
import { ensureHostTools } from './hostTools.ts';
import { gatherStatus, type LabStatus } from './labStatus.ts';
import { hardwareModelOf } from './nodePorts.ts';
import { createNodes, type Nodes } from './nodes.ts';
import { nodeSpec, providerSpecs, specOf } from './nodeSpecs.ts';
import { type LabPaths, type NodePaths, nodePaths } from './paths.ts';
import { patiently } from './patience.ts';
import { stagePayload } from './payload.ts';
import { awaitWorking } from './readiness.ts';
import { writeRecord } from './record.ts';
import { findRemains, isClean, removeRemains } from './remains.ts';
import { ensureRootTree } from './rootTree.ts';
import { isGateway, readTopology, type Topology } from './topology.ts';
import type { Accelerator } from './vm/argv.ts';
import { lastWords } from './vm/lastWords.ts';
import { noteImage, prepareImage } from './vm/image.ts';
import { createMachines, type Machines } from './vm/machineNodes.ts';
import { machinePaths } from './vm/machinePaths.ts';
import { followStages } from './vm/stages.ts';
import { planWiring } from './wiring.ts';

/** `lab up` must end within 3 minutes; a fleet that is not in service by then has a reason to be told. */
const WORKING_TIMEOUT_MS = 150_000;
/** A machine boots first: a minute on hardware's speed, several where every instruction is emulated. */
const MACHINE_TIMEOUT_MS: Readonly<Record<Accelerator, number>> = { kvm: 240_000, tcg: 900_000 };

export interface RunningLab {
  readonly paths: LabPaths;
  readonly topologyName: string;
  readonly topology: Topology;
  readonly tree: string;
  readonly nodes: Nodes;
  readonly machines: Machines;
}

export interface UpOptions {
  readonly paths: LabPaths;
  readonly topologyName: string;
  readonly say: (line: string) => void;
}

/** Cables and providers. */
export async function wireUp(system: System, { paths, topologyName, say }: UpOptions): Promise<RunningLab> {
  const { runner, clock, files } = system;
  const topology = await readTopology(files, topologyName);
  // Before anything is made: a fleet that cannot be would be found when all of it stands.
  const fleet = await readFleet(files, topologyName);
  if (fleet !== undefined) checkFleetFits(fleet, topology);
  await ensureHostTools(runner, say);
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

  const machines = createMachines({ runner, clock, files, paths });
  if (topology.nodes.some(({ machine }) => machine === 'vm'))
    await noteImage(files, paths, await prepareImage({ runner, say }));
  const nodes = createNodes({ runner, clock, paths, tree, machines });
  await nodes.wire(planWiring(topology));
  say('cables are laid');
  await Promise.all(providerSpecs(topology).map((spec) => nodes.start(spec)));
  say(`providers route: ${topology.providers.map(({ name }) => name).join(', ')}`);
  return { paths, topologyName, topology, tree, nodes, machines };
}

/** Every node, none of it configured. */
export async function startBare({ topology, nodes }: RunningLab): Promise<void> {
  await Promise.all(topology.nodes.map((node) => nodes.start(nodeSpec(topology, node))));
}

/** The controller, then gateways as they come from the factory, then the fleet; ends when all of it works. */
export async function startFleet(
  system: System,
  lab: RunningLab,
  say: (line: string) => void,
): Promise<LabStatus> {
  const { topology, nodes, paths, topologyName } = lab;
  const fleet = await readFleet(system.files, topologyName);
  const controllerNode = topology.nodes.find(({ role }) => role === 'controller');
  if (fleet === undefined || controllerNode === undefined) {
    await startBare(lab);
    return gather(lab);
  }
  const others = topology.nodes.filter((node) => node !== controllerNode && !isGateway(node));
  const spec = nodeSpec(topology, controllerNode);
  await Promise.all([
    nodes.start({ ...spec, files: { ...spec.files, ...controllerFiles(topology, controllerNode) } }),
    ...others.map((node) => nodes.start(nodeSpec(topology, node))),
  ]);
  say('controller and hosts run');
  const controller = createControllerNode({ ...system, paths, nodes, node: controllerNode.name });
  await controller.ready();
  say('controller, signer and manufacturer listen');
  const serials = new Map(fleet.gateways.map(({ id, serial }) => [id, serial ?? `LAB-${id.toUpperCase()}`]));
  await controller.makeKnown([...serials.values()]);
  await controller.applyFleet(fleet, lab.tree);
  say(`fleet is described: ${fleet.gateways.map(({ id }) => id).join(', ')}`);
  const accelerator = await machineAccelerator(lab, say);
  for (const gateway of topology.nodes.filter(isGateway)) {
    const identity = await controller.makeIdentity(
      serials.get(gateway.name) ?? `LAB-${gateway.name.toUpperCase()}`,
      hardwareModelOf(gateway),
    );
    const own = nodeSpec(topology, gateway);
    await nodes.start({ ...own, files: { ...own.files, ...factoryFiles(identity) } });
    say(`${gateway.name} is switched on, with a factory identity and nothing else`);
  }
  const { clock } = system;
  const timeoutMs = patiently(
    accelerator === undefined ? WORKING_TIMEOUT_MS : MACHINE_TIMEOUT_MS[accelerator],
  );
  const working = new AbortController();
  const emulated = topology.nodes
    .filter(({ machine }) => machine === 'vm')
    .map(({ name }) => ({ name, files: machinePaths(paths, name) }));
  const followed = emulated.map(({ name, files }) =>
    followStages(clock, {
      serialLog: files.serialLog,
      onStage: (stage) => say(`${name}: ${stage}`),
      signal: working.signal,
    }),
  );
  try {
    const deadlineMs = clock.monotonicMs() + timeoutMs;
    return await awaitWorking({ clock, nodes, topology, fleet, say, gather: () => gather(lab), deadlineMs });
  } catch (error) {
    // Whoever reads this in a log later has no machine to look into any more.
    for (const { name, files } of emulated)
      for (const line of await lastWords(files)) say(`${name} said: ${line}`);
    throw error;
  } finally {
    working.abort();
    await Promise.all(followed);
  }
}

/** undefined where no node is a virtual machine. */
async function machineAccelerator(
  { topology, machines }: RunningLab,
  say: (line: string) => void,
): Promise<Accelerator | undefined> {
  const names = topology.nodes.filter(({ machine }) => machine === 'vm').map(({ name }) => name);
  if (names.length === 0) return undefined;
  const { accelerator, reason } = await machines.accelerator();
  say(`virtual machines (${names.join(', ')}) run by ${accelerator}: ${reason}`);
  return accelerator;
}

export function gather({ paths, topologyName, topology, nodes, machines }: RunningLab): Promise<LabStatus> {
  const faults = createFaults({ nodes, machines, wiring: planWiring(topology) });
  return gatherStatus({ lab: paths.lab, topologyName, topology, nodes, faults });
}

export interface RestartOptions {
  /** As the factory left it: what the box learnt and made since is gone, its factory identity is not. */
  readonly factory: boolean;
  /** Of a machine: until the next start. Data that are sealed to the TPM do not open without it. */
  readonly withoutTpm: boolean;
}

/** As pulling a box's plug and putting it back: its disk stays, everything else is made anew. */
export async function restartNode(
  { topology, nodes, machines, paths }: RunningLab,
  name: string,
  options: RestartOptions,
): Promise<void> {
  const wiring = planWiring(topology);
  const spec = specOf(topology, name);
  if (options.factory && spec.role !== 'hub' && spec.role !== 'branch') {
    throw new BranchboxError('cli/usage', { message: `${name} is no gateway: it has no factory state` });
  }
  if (options.withoutTpm && spec.machine === undefined) {
    throw new BranchboxError('cli/usage', { message: `${name} is no virtual machine: it has no TPM` });
  }
  await nodes.cutPower(name, wiring);
  const { machine } = spec;
  const kept = options.factory && machine === undefined ? await wipeDisk(nodePaths(paths, name)) : {};
  if (options.factory && machine !== undefined) await machines.resetDisk(name);
  await nodes.rewire(name, wiring);
  await nodes.start({
    ...spec,
    files: { ...spec.files, ...kept },
    machine: machine === undefined ? undefined : { ...machine, tpm: machine.tpm && !options.withoutTpm },
  });
}

/** Empties a node's disk; what the factory put on it is returned, to be put back. */
async function wipeDisk(own: NodePaths): Promise<Readonly<Record<string, string>>> {
  const directory = join(own.upper, FACTORY_DIRECTORY);
  const names = await readdir(directory);
  const files = await Promise.all(
    names.map(
      async (name): Promise<[string, string]> => [
        join(FACTORY_DIRECTORY, name),
        await readFile(join(directory, name), 'utf8'),
      ],
    ),
  );
  for (const part of [own.upper, own.var]) await rm(part, { recursive: true, force: true });
  return Object.fromEntries(files);
}
