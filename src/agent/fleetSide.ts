/**
 * Owns the composition of an agent's side towards its fleet: the desired state that the box is held to, the connection it
 * comes over, its status and events, updates of its firmware, and tests of its uplinks.
 * Does not own how the box is held to it (boxSide.ts, holding.ts). No decision is made here.
 */
import type { DesiredSpec } from '../model/desired.ts';
import type { Reply } from '../model/mqtt.ts';
import { createVty, type Vty } from '../telemetry/vty.ts';
import { createUplinkTester } from '../wan/uplinkTest/measure.ts';
import { type BoxStatus, createBoxStatus } from './boxStatus.ts';
import type { BoxSide } from './boxSide.ts';
import type { ControllerLink } from './controllerLink.ts';
import { createControllerSide } from './controllerSide.ts';
import { createDesiredKeeper, type DesiredKeeper } from './desiredState.ts';
import { type AgentUpdater, createAgentUpdater } from './firmware.ts';
import type { Ground } from './ground.ts';
import type { Holding } from './holding.ts';
import { createTrialStore } from './trialStore.ts';
import { createUplinkTests, type UplinkTests } from './uplinkTests.ts';

export interface FleetSide extends BoxStatus {
  readonly updater: AgentUpdater;
  readonly vty: Vty;
  readonly uplinkTests: UplinkTests;
  readonly link: ControllerLink;
  readonly keeper: DesiredKeeper;
}

export async function createFleetSide(
  parts: Ground &
    BoxSide & {
      readonly gatewayId: () => string | undefined;
      /** What the box is held to: on a move that of the present owner, until one of the next is tried. */
      readonly spec: () => DesiredSpec | undefined;
      /** Made after this. */
      readonly holding: () => Holding;
    },
): Promise<FleetSide> {
  const { system, paths, version, watchdog, turn, facts, identity, signal } = parts;
  const { network, device, spec, gatewayId, holding } = parts;
  const { runner, files, clock, log } = system;
  // These know each other only through functions that are called after all of them are made.
  const reply = (message: Reply): Promise<boolean> => link.send('reply', JSON.stringify(message));
  const store = createTrialStore(files, turn.paths, log);

  watchdog.starting('finding the firmware slots');
  const updater = await createAgentUpdater({
    system,
    paths,
    version,
    device,
    wanted: () => keeper.committedSpec()?.firmware,
    body: () => status.reporting.latest(),
    connected: () => link.state().connected,
    spec,
    beforeTrial: () => store.putCommittedAside(),
    restartHeld: () => keeper.snapshot().trial !== undefined,
    emit: (kind, subject, sentence) => status.reporting.emit(kind, subject, sentence),
    onChange: () => status.reporting.changed(),
  });
  const vty = createVty({ directory: '/run/frr', signal });
  const status = await createBoxStatus({
    ...parts,
    vty,
    updater,
    gatewayId,
    keeper: () => keeper,
    link: () => link,
    onTurn: () => watchdog.turned(),
  });
  const { reporting } = status;
  const uplinkTests = await createUplinkTests({
    files,
    paths,
    facts: facts.latest,
    network: network.latest,
    spec,
    gatewayId: () => identity.latest()?.gatewayId,
    owner: () => identity.latest()?.owner.device,
    inService: () => keeper.committedSpec() !== undefined && link.state().connected,
    connected: () => link.state().connected,
    test: createUplinkTester({ runner, files, clock, credentials: identity.read }),
    reply,
    clock,
    random: Math.random,
    log,
    signal,
  });
  const link = createControllerSide({
    system,
    paths,
    turn,
    identity,
    dialer: parts.dialer,
    uplinks: parts.uplinks,
    facts: facts.latest,
    updater,
    reporting,
    uplinkTests,
    keeper: () => keeper,
    holding,
    reply,
    onRefused: parts.refused,
  });
  watchdog.starting('reading the desired state');
  const keeper = await createDesiredKeeper({
    store,
    identity: identity.read,
    settle: (limit) => holding().settle(limit),
    problems: () => holding().problems(),
    wasSettled: () => holding().wasSettled(),
    onChange: () => {
      holding().restart();
      reporting.changed();
      link.wake();
    },
    onCommitted: () => {
      updater.wake();
      uplinkTests.wake();
    },
    prove: (limit) => link.prove(limit),
    controllerAwayMs: () => link.awayMs(),
    emit: (kind, subject, sentence) => reporting.emit(kind, subject, sentence),
    clock,
    log,
  });
  return { ...status, updater, vty, uplinkTests, link, keeper };
}
