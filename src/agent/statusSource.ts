/**
 * Owns handing telemetry what it judges a status by, and what the agent itself knows beside it.
 */
import { readAppStates } from '../containers/appStates.ts';
import type { Engine } from '../containers/engine.ts';
import { engineGate } from '../containers/items.ts';
import type { BootstrapStanding, Quarantine } from '../model/bootstrap.ts';
import { CRASHES_DIRECTORY } from '../model/crash.ts';
import type { DesiredSpec } from '../model/desired.ts';
import type { Facts } from '../model/facts.ts';
import type { FirmwareStatus } from '../model/firmware.ts';
import { type ItemId, itemId } from '../model/ids.ts';
import type { TpmReadiness } from '../model/keyHolder.ts';
import type { ModemStatus } from '../model/localStatus.ts';
import type { MoveRecord } from '../model/move.ts';
import { missingGateSentence } from '../net/gates.ts';
import type { System } from '../system/ports.ts';
import { createStatusReader } from '../telemetry/read.ts';
import type { Vty } from '../telemetry/vty.ts';
import type { LinkState } from './controllerLink.ts';
import { readCrashes } from './crashes.ts';
import type { DesiredSnapshot } from './desiredState.ts';
import type { FactsGatherer } from './facts.ts';
import type { LaneState } from './holding.ts';
import type { StatusBody } from './reporting.ts';
import type { TunnelClock } from './tunnelClock.ts';

export interface StatusInput {
  readonly gatewayId: string | undefined;
  readonly spec: DesiredSpec | undefined;
  readonly facts: Facts;
  readonly states: readonly LaneState[];
  readonly desired: DesiredSnapshot;
  readonly link: LinkState;
  readonly firmware: FirmwareStatus;
  readonly quarantine: Quarantine | undefined;
  readonly move: MoveRecord | undefined;
  readonly modems: readonly ModemStatus[];
  readonly bootstrap: BootstrapStanding | undefined;
}

/** A daemon that hangs must not hold up what the box says of itself. */
const READ_TIMEOUT_MS = 10_000;

export function createStatusSource(parts: {
  readonly system: System;
  readonly engine: Pick<Engine, 'listContainers' | 'inspectContainer'>;
  readonly facts: Pick<FactsGatherer, 'engineProblem'>;
  readonly vty: Vty;
  readonly eventsDropped: () => number;
  readonly keys: TpmReadiness['holding'];
  readonly tunnelClock: Pick<TunnelClock, 'heard' | 'sentence'>;
}): { read(input: StatusInput): Promise<StatusBody> } {
  const { files, clock } = parts.system;
  const reader = createStatusReader({
    system: parts.system,
    vty: parts.vty,
    apps: (signal) => readAppStates(parts.engine, signal),
    gateSentence(id) {
      const sentence = missingGateSentence(id);
      const problem = id === engineGate ? parts.facts.engineProblem() : undefined;
      return sentence === undefined || problem === undefined
        ? sentence
        : `${sentence} When asked: ${problem}.`;
    },
    onHandshakes: parts.tunnelClock.heard,
  });
  return {
    async read({
      gatewayId,
      spec,
      facts,
      states,
      desired,
      link,
      firmware,
      quarantine,
      move,
      modems,
      bootstrap,
    }) {
      const body = await reader.read(
        {
          spec,
          facts,
          undone: undoneOf(states),
          controller: spec === undefined ? undefined : link,
          refused: desired.refused,
          firmware,
          quarantine,
          move,
          modems,
          eventsDropped: parts.eventsDropped(),
          keys: parts.keys,
          clockBehind: parts.tunnelClock.sentence(),
          crashes: await readCrashes(files, CRASHES_DIRECTORY, clock.nowMs()),
        },
        AbortSignal.timeout(READ_TIMEOUT_MS),
      );
      return {
        gatewayId,
        ...desired,
        ...body,
        facts,
        firmware,
        ...(bootstrap !== undefined && { bootstrap }),
      };
    },
  };
}

/** Of all lanes together; a lane that could not even be planned fails under its name. */
function undoneOf(states: readonly LaneState[]) {
  const blocked = new Map<ItemId, readonly ItemId[]>();
  const failures = new Map<ItemId, { readonly message: string }>();
  for (const { name, report, defect } of states) {
    for (const { id, missing } of report?.plan.blocked ?? []) blocked.set(id, missing);
    for (const [id, error] of report?.failures ?? []) failures.set(id, error);
    if (defect !== undefined) failures.set(itemId('lane', name), defect);
  }
  return { blocked, failures };
}
