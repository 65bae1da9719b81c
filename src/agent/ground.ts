/**
 * Owns the composition of what the rest of an agent stands on: whose turn it is, the container engine as far as it is there,
 * what this box is, its keys, and the watchdog that each step of the start is told to.
 * Does not own which machine that is (main.ts) nor what is made of it (boxSide.ts, fleetSide.ts). No decision is made here.
 */
import { createDockerEngine } from '../containers/dockerEngine.ts';
import type { Engine } from '../containers/engine.ts';
import type { System } from '../system/ports.ts';
import { createEngineSocket, type EngineSocket } from './engineSocket.ts';
import { createFactsGatherer, type FactsGatherer } from './facts.ts';
import { beginTurn, type MoveTurn } from './moveTurn.ts';
import { openOwnKeys, type OwnKeys } from './ownKeys.ts';
import type { AgentPaths } from './paths.ts';
import { createWatchdog, type Watchdog } from './watchdog.ts';

export interface Ground extends OwnKeys {
  readonly system: System;
  readonly paths: AgentPaths;
  readonly version: string;
  readonly watchdog: Watchdog;
  readonly turn: MoveTurn;
  readonly engine: Engine;
  readonly engineSocket: EngineSocket;
  readonly facts: FactsGatherer;
  /** Ends the agent. */
  readonly signal: AbortSignal;
}

export async function createGround(parts: {
  readonly system: System;
  readonly paths: AgentPaths;
  readonly version: string;
  /** The line of firmware/tpm-ready. */
  readonly tpmTold: string | undefined;
  /** How long the network's lane is in one run. Its lanes are made after this. */
  readonly busyMs: () => number | undefined;
  /** Has the agent end, to be started again. */
  readonly end: () => void;
  readonly signal: AbortSignal;
}): Promise<Ground> {
  const { system, paths, version, end, signal } = parts;
  const { files, clock, log } = system;
  const watchdog = createWatchdog({
    socket: process.env['NOTIFY_SOCKET'],
    waitUs: process.env['WATCHDOG_USEC'],
    busyMs: parts.busyMs,
    clock,
    log,
  });
  watchdog.starting('reading whose turn it is');
  const turn = await beginTurn({ files, paths, log, end });
  const engine = createDockerEngine({ socketPath: paths.engineSocket });
  const engineSocket = createEngineSocket({ files, clock, path: paths.engineSocket, signal });
  watchdog.starting('finding out what this box is');
  const facts = await createFactsGatherer({
    system,
    paths,
    version,
    engineVersion: async (limit) => ((await engineSocket.isThere()) ? engine.version(limit) : undefined),
    signal,
  });
  const ownKeys = await openOwnKeys({ system, paths, tpmTold: parts.tpmTold, end });
  return { ...ownKeys, system, paths, version, watchdog, turn, engine, engineSocket, facts, signal };
}
