/**
 * Owns the composition of a box's status: what it is read from, what it moves on the box, and its way to the controller.
 * No decision is made here.
 */
import type { Engine } from '../containers/engine.ts';
import type { TpmReadiness } from '../model/keyHolder.ts';
import type { System } from '../system/ports.ts';
import { createOutbox, type Outbox } from '../telemetry/outbox.ts';
import type { Vty } from '../telemetry/vty.ts';
import type { ControllerLink } from './controllerLink.ts';
import type { DesiredKeeper } from './desiredState.ts';
import type { FactsGatherer } from './facts.ts';
import type { AgentUpdater } from './firmware.ts';
import type { Holding } from './holding.ts';
import { createLeds } from './leds.ts';
import type { Modems } from './modems.ts';
import type { MoveTurn } from './moveTurn.ts';
import type { IdentityReader } from './ownIdentity.ts';
import { type AgentPaths, journalPath, outboxPath, sequencePath } from './paths.ts';
import { type BootstrapLook, createBootstrapLook } from './bootstrapStanding.ts';
import { createReporting, type Reporting, type StatusBody } from './reporting.ts';
import { createStatusMoves } from './statusMoves.ts';
import { createStatusSource } from './statusSource.ts';
import type { TunnelClock } from './tunnelClock.ts';
import type { Wanted } from './wanted.ts';

export interface BoxStatus {
  readonly reporting: Reporting;
  readonly moves: ReturnType<typeof createStatusMoves>;
  /** Events that the controller does not have yet. */
  readonly queue: Outbox;
  readonly bootstrap: Pick<BootstrapLook, 'changed'>;
  /** Anew from the box. */
  readBody(): Promise<StatusBody>;
}

export async function createBoxStatus(parts: {
  readonly system: System;
  readonly paths: AgentPaths;
  readonly engine: Engine;
  readonly vty: Vty;
  readonly keys: TpmReadiness['holding'];
  readonly turn: MoveTurn;
  readonly facts: FactsGatherer;
  readonly identity: IdentityReader;
  readonly tunnelClock: TunnelClock;
  readonly modems: Modems;
  readonly wanted: Wanted;
  readonly updater: AgentUpdater;
  readonly gatewayId: () => string | undefined;
  /** These three are made after this. */
  readonly keeper: () => DesiredKeeper;
  readonly holding: () => Holding;
  readonly link: () => ControllerLink;
  /** After each look at the box. */
  readonly onTurn: () => void;
  readonly signal: AbortSignal;
}): Promise<BoxStatus> {
  const { system, paths, turn, facts, identity, updater, keeper, link } = parts;
  const { files, clock, log } = system;
  const queue = createOutbox({ path: outboxPath(turn.paths), nowMs: clock.nowMs, log });
  const status = createStatusSource({ ...parts, eventsDropped: queue.dropped });
  const bootstrap = createBootstrapLook({ socketPath: paths.identitySocket, clock });
  const readBody = async (): Promise<StatusBody> =>
    status.read({
      gatewayId: parts.gatewayId(),
      spec: keeper().spec(),
      facts: await facts.gather(parts.signal),
      // The next owner must not read what is the present owner's.
      states: keeper().spec() === undefined && turn.before !== undefined ? [] : parts.holding().states(),
      desired: keeper().snapshot(),
      link: link().state(),
      firmware: updater.status(),
      quarantine: parts.wanted.quarantine(),
      move: turn.record(),
      modems: parts.modems.statuses(),
      bootstrap: await bootstrap.read(),
    });
  const moves = createStatusMoves({
    leds: createLeds({ model: facts.model, files, journalPath: journalPath(paths), log }),
    identity,
    updater,
    onUplinks: () => link().wake(),
  });
  const reporting = await createReporting({
    read: readBody,
    onStatus: moves.onStatus,
    onTurn: parts.onTurn,
    send: (topic, text) => link().send(topic, text),
    queue,
    files,
    sequencePath: sequencePath(paths),
    clock,
    log,
  });
  return { reporting, moves, queue, bootstrap, readBody };
}
