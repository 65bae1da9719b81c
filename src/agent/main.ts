/**
 * Owns the agent's composition: which machine it runs on, what is made from what, who hears of what, and what runs until its
 * end. Parts of it: what it stands on (ground.ts), its side towards the box (boxSide.ts) and towards the fleet
 * (fleetSide.ts). No decision is made here.
 */
import type { DesiredSpec } from '../model/desired.ts';
import { createClock } from '../system/linux/clock.ts';
import { createLinuxSystem } from '../system/linux/system.ts';
import { watchLiveness } from '../telemetry/read.ts';
import { createBoxSide } from './boxSide.ts';
import { createFleetSide } from './fleetSide.ts';
import { createGround } from './ground.ts';
import { createHolding } from './holding.ts';
import { followDeadLeases } from './otherDhcp.ts';
import { createCostMeter } from './ownCost.ts';
import { AGENT_PATHS } from './paths.ts';
import { serveSockets } from './sockets.ts';
import { linksOfUplinks } from './uplinkChoice.ts';
import { followWakeups, wakeupsOf } from './wakeups.ts';

export interface AgentOptions {
  readonly version: string;
  /** The line of firmware/tpm-ready. */
  readonly tpmTold: string | undefined;
  /** Ends the agent; what it made stays. It also ends by itself, to be started again, where its TPM did not answer. */
  readonly signal: AbortSignal;
}

export async function runAgent({ version, tpmTold, signal: outer }: AgentOptions): Promise<void> {
  const ending = new AbortController();
  const signal = AbortSignal.any([outer, ending.signal]);
  const cost = createCostMeter(createClock());
  const system = createLinuxSystem({ name: 'agent', onSpawn: cost.countChild });
  const { runner, files, clock, log } = system;
  const ground = await createGround({
    system,
    paths: AGENT_PATHS,
    version,
    tpmTold,
    busyMs: () => holding.busyMs(),
    end: () => ending.abort(),
    signal,
  });
  const { paths, watchdog, turn, engine, engineSocket, facts, identity } = ground;

  // The parts below know each other only through functions that are called after all of them are made.
  const gatewayId = (): string | undefined => identity.latest()?.gatewayId ?? fleet.keeper.gatewayId();
  const spec = (): DesiredSpec | undefined => fleet.keeper.spec() ?? turn.before?.state.spec;
  const box = await createBoxSide({
    ...ground,
    gatewayId,
    spec,
    ownSpec: () => fleet.keeper.spec(),
    uplinkStates: () => fleet.reporting.latest()?.uplinks ?? [],
    wakeLanes: () => holding.wakeAll(),
    changed: () => fleet.reporting.changed(),
  });
  const fleet = await createFleetSide({ ...ground, ...box, gatewayId, spec, holding: () => holding });
  const { network, tunnelClock, lanes, modems, wanted } = box;
  const { updater, vty, reporting, moves, queue, bootstrap, uplinkTests, link, keeper } = fleet;
  const holding = createHolding({ lanes, items: wanted.items, system, onRun: () => reporting.changed() });

  watchdog.starting('opening its sockets');
  const installer = await serveSockets(
    {
      paths,
      modems: modems.statuses,
      body: async () => reporting.latest() ?? (await fleet.readBody()),
      items: wanted.read,
      facts: facts.latest,
      network: network.latest,
      gatewayId,
      keys: () => ({ ...ground.keys, ...identity.keyHolder() }),
      events: queue.pending,
      lanes,
      holding,
      keeper,
      link,
      updater,
      uplinkTests,
      cost,
      version,
      files,
      clock,
      log,
    },
    signal,
  );
  followDeadLeases(system, signal);
  followWakeups(
    { runner, files, clock, log, engine, engineSocket, paths },
    wakeupsOf({
      turn,
      facts,
      identity,
      wanted,
      holding,
      reporting,
      bootstrap,
      moves,
      link,
      uplinkLinks: () => linksOfUplinks(spec(), facts.latest(), network.latest()),
      uplinkTests,
      installer,
      log,
      signal,
    }),
    signal,
  );
  reporting.emit('agent-started', gatewayId() ?? facts.latest().serial, `agent ${version} started`);
  log.info('agent started', { gatewayId: gatewayId(), held: keeper.snapshot().committed ?? 'factory' });
  watchdog.starting('looking at the box for the first time');
  void facts.readInventory().then((isNew) => (isNew ? reporting.changed() : undefined));
  void watchLiveness({ vty, clock }, () => reporting.changed(), signal);
  await Promise.all([
    holding.run(signal),
    reporting.run(signal),
    link.run(signal),
    keeper.run(signal),
    updater.run(signal),
    uplinkTests.run(signal),
    tunnelClock.run(signal),
    modems.run(signal),
  ]);
  queue.close();
  watchdog.close();
}
