/**
 * Owns what a lab says of itself: schema of `lab status --json`, and gathering it from the kernel and from each
 * gateway's own processes. Does not own how it is printed (table.ts) nor when it is good (readiness.ts).
 */
import { z } from 'zod';
import { BOOTSTRAP_STATES, BootstrapStatus } from '../model/bootstrap.ts';
import { GatewayStatus } from '../model/status.ts';
import type { Faults } from './faults.ts';
import type { Nodes } from './nodes.ts';
import { isGateway, type Topology } from './topology.ts';

export const LabNodeStatus = z.strictObject({
  name: z.string(),
  role: z.enum(['controller', 'hub', 'branch', 'host', 'provider']),
  running: z.boolean(),
  /** Of a gateway: how far it is on its way into service. */
  bootstrap: z.enum(BOOTSTRAP_STATES).optional(),
  bootstrapProblem: z.string().optional(),
  generation: z.int().optional(),
  health: z.enum(['ok', 'degraded', 'failed']).optional(),
  conditions: z.array(z.strictObject({ code: z.string(), subject: z.string(), sentence: z.string() })),
  uplinks: z.array(
    z.strictObject({
      name: z.string(),
      state: z.string(),
      address: z.string().optional(),
      /** What the lab did to it: `in 100`, `no carrier`. */
      faults: z.array(z.string()),
    }),
  ),
  paths: z.array(z.strictObject({ id: z.string(), state: z.string(), active: z.boolean() })),
  segments: z.array(
    z.strictObject({ id: z.string(), tenant: z.string(), state: z.string(), ports: z.array(z.string()) }),
  ),
  apps: z.array(
    z.strictObject({ name: z.string(), segment: z.string(), address: z.string(), state: z.string() }),
  ),
});
export type LabNodeStatus = z.output<typeof LabNodeStatus>;

export const LabStatus = z.strictObject({
  lab: z.string(),
  topology: z.string(),
  nodes: z.array(LabNodeStatus),
});
export type LabStatus = z.output<typeof LabStatus>;

/** The parts of a gateway's status that are shown; a box of another version may say more. */
const ShownStatus = z.object({
  committed: GatewayStatus.shape.committed,
  trial: GatewayStatus.shape.trial,
  health: GatewayStatus.shape.health,
  uplinks: GatewayStatus.shape.uplinks,
  paths: GatewayStatus.shape.paths,
  segments: GatewayStatus.shape.segments,
  apps: GatewayStatus.shape.apps,
});

export interface LabStatusDeps {
  readonly lab: string;
  readonly topologyName: string;
  readonly topology: Topology;
  readonly nodes: Pick<Nodes, 'pidOf' | 'ask'>;
  readonly faults: Pick<Faults, 'list'>;
}

export async function gatherStatus(deps: LabStatusDeps): Promise<LabStatus> {
  const { topology, nodes } = deps;
  const providers = topology.providers.map(({ name }) => name);
  const cut = await deps.faults.list(providers.filter((name) => nodes.pidOf(name) !== undefined));
  const faultsOf = (node: string, uplink: string): string[] =>
    cut
      .filter((fault) => fault.node === node && fault.uplink === uplink)
      .flatMap(({ losses, carrier }) => [...losses, ...(carrier ? [] : ['no carrier'])]);
  const all = [
    ...topology.providers.map(({ name }) => ({ name, role: 'provider' as const, uplinks: [] })),
    ...topology.nodes,
  ];
  const gathered = all.map(async (node): Promise<LabNodeStatus> => {
    const pid = nodes.pidOf(node.name);
    const base: LabNodeStatus = {
      name: node.name,
      role: node.role,
      running: pid !== undefined,
      conditions: [],
      uplinks: node.uplinks.map(({ name, address, address6 }) => ({
        name,
        // A gateway's address is its own business, and it alone says how it has come by it.
        state: isGateway(node) ? 'unknown' : 'static',
        ...addressOf(address, address6),
        faults: faultsOf(node.name, name),
      })),
      paths: [],
      segments: [],
      apps: [],
    };
    if (pid === undefined || !isGateway(node)) return base;
    const [bootstrap, status] = await Promise.all([
      nodes.ask(node.name, '/run/branchbox/identity.sock', '/bootstrap'),
      nodes.ask(node.name, '/run/branchbox/agent.sock', '/status'),
    ]);
    return mergeGateway(base, bootstrap, status);
  });
  return { lab: deps.lab, topology: deps.topologyName, nodes: await Promise.all(gathered) };
}

/** Of an uplink with both families IPv4's. */
function addressOf(four: string | undefined, six: string | undefined): { readonly address?: string } {
  const address = four ?? six;
  return address === undefined ? {} : { address };
}

/** What the identity process and the agent of a gateway answered, put onto what the lab knows. Pure. */
export function mergeGateway(
  base: LabNodeStatus,
  bootstrapAnswer: unknown,
  statusAnswer: unknown,
): LabNodeStatus {
  const bootstrap = BootstrapStatus.safeParse(bootstrapAnswer).data;
  const status = ShownStatus.safeParse(statusAnswer).data;
  const begun: LabNodeStatus = {
    ...base,
    ...(bootstrap === undefined ? {} : { bootstrap: bootstrap.state }),
    ...(bootstrap?.lastProblem === undefined ? {} : { bootstrapProblem: bootstrap.lastProblem }),
  };
  if (status === undefined) return begun;
  return {
    ...begun,
    ...(status.committed === undefined ? {} : { generation: status.committed.generation }),
    health: status.health.state,
    conditions: status.health.conditions.map(({ code, subject, sentence }) => ({ code, subject, sentence })),
    uplinks: begun.uplinks.map((uplink) => {
      const own = status.uplinks.find(({ name }) => name === uplink.name);
      if (own === undefined) return uplink;
      return { ...uplink, state: own.state, ...addressOf(own.address, own.address6) };
    }),
    paths: status.paths.map(({ id, state, active }) => ({ id, state, active })),
    segments: status.segments.map(({ id, tenant, state, ports }) => ({ id, tenant, state, ports })),
    apps: status.apps.map(({ name, segment, address, state }) => ({ name, segment, address, state })),
  };
}
