/**
 * Owns what wakes the agent (kernel events, leases, the identity's files, the engine) and whom each wakes. An event only
 * says that something may have changed; nobody believes its content.
 */
import type { Engine } from '../containers/engine.ts';
import { LABEL_APP } from '../containers/items.ts';
import { watchLeases } from '../system/leases.ts';
import type { Clock, Files, Logger, Runner } from '../system/ports.ts';
import type { ControllerLink } from './controllerLink.ts';
import type { BootstrapLook } from './bootstrapStanding.ts';
import type { EngineSocket } from './engineSocket.ts';
import type { FactsGatherer } from './facts.ts';
import type { Holding } from './holding.ts';
import type { InstallerSocket } from './installerSocket.ts';
import { linksNamed } from './kernelEvents.ts';
import type { MoveTurn } from './moveTurn.ts';
import type { IdentityReader } from './ownIdentity.ts';
import { type AgentPaths, leasesDirectory } from './paths.ts';
import type { Reporting } from './reporting.ts';
import type { createStatusMoves } from './statusMoves.ts';
import type { UplinkTests } from './uplinkTests.ts';
import type { Wanted } from './wanted.ts';

/** Before a follower that ended is started again; its end says that events were lost, so all is looked at. */
const RESTART_MS = 2000;

type FollowedEngine = Pick<Engine, 'version' | 'follow'>;

interface Wakeups {
  /** A line of `ip monitor`; without one, events were lost. */
  readonly onKernel: (line?: string) => void;
  readonly onLease: () => void;
  readonly onIdentity: () => void;
  readonly onEngine: () => void;
}

/** Whom each event has look again. */
export function wakeupsOf(parts: {
  readonly turn: Pick<MoveTurn, 'look'>;
  readonly facts: Pick<FactsGatherer, 'gather' | 'forgetEngine'>;
  readonly identity: Pick<IdentityReader, 'read'>;
  readonly wanted: Pick<Wanted, 'look'>;
  readonly holding: Pick<Holding, 'wakeAll'>;
  readonly reporting: Pick<Reporting, 'changed'>;
  readonly bootstrap: Pick<BootstrapLook, 'changed'>;
  readonly moves: Pick<ReturnType<typeof createStatusMoves>, 'onIdentity'>;
  readonly link: Pick<ControllerLink, 'wake'>;
  /** Names of the links that the controller may be reached by, there or not. */
  readonly uplinkLinks: () => ReadonlySet<string>;
  readonly uplinkTests: Pick<UplinkTests, 'wake'>;
  readonly installer: Pick<InstallerSocket, 'closeOnceOwned'>;
  readonly log: Logger;
  readonly signal: AbortSignal;
}): Wakeups {
  const { facts, link, uplinkTests, log } = parts;
  const lookAnew = (): void => {
    parts.holding.wakeAll();
    parts.reporting.changed();
  };
  return {
    onKernel(line) {
      lookAnew();
      // A wake cuts the pause before the next dial short. A link that is no way to the controller is no reason to: a
      // tenant's port that flaps would have a box dial without end.
      const named = line === undefined ? [] : linksNamed(line);
      const ways = parts.uplinkLinks();
      if (named.length === 0 || named.some((name) => ways.has(name))) link.wake();
    },
    onLease() {
      void facts
        .gather(parts.signal)
        .catch((error: unknown) => log.warn('the facts of this box cannot be read', { error }))
        .finally(() => {
          link.wake();
          uplinkTests.wake();
        });
      lookAnew();
    },
    onIdentity() {
      parts.moves.onIdentity();
      parts.bootstrap.changed();
      parts.reporting.changed();
      void parts.identity.read().then(async () => {
        await parts.turn.look();
        link.wake();
        parts.installer.closeOnceOwned();
        if (await parts.wanted.look()) lookAnew();
      });
    },
    onEngine() {
      facts.forgetEngine();
      lookAnew();
    },
  };
}

export function followWakeups(
  parts: {
    readonly runner: Runner;
    readonly files: Files;
    readonly clock: Clock;
    readonly log: Logger;
    readonly engine: FollowedEngine;
    readonly engineSocket: Pick<EngineSocket, 'came'>;
    readonly paths: AgentPaths;
  },
  wakeups: Wakeups,
  signal: AbortSignal,
): void {
  const { runner, files, clock, log, paths } = parts;
  const keep = async (name: string, follow: () => Promise<unknown>, onEnd: () => void): Promise<void> => {
    while (!signal.aborted) {
      await follow().catch((thrown: unknown) => log.debug('a follower ended', { name, error: thrown }));
      if (signal.aborted) return;
      onEnd();
      await clock.sleep(RESTART_MS, signal).catch(() => undefined);
    }
  };
  let engineWasThere = false;
  const engineCame = (): void => {
    engineWasThere = true;
    wakeups.onEngine();
  };
  const engineGone = (): void => {
    if (engineWasThere) wakeups.onEngine();
    engineWasThere = false;
  };
  const kernel = ['-o', 'monitor', 'link', 'address', 'route', 'rule'];
  void keep(
    'ip monitor',
    () => runner.follow('ip', kernel, wakeups.onKernel, signal),
    () => wakeups.onKernel(),
  );
  void keep('engine', () => followEngine(parts, engineCame, signal), engineGone);
  watchLeases(files, wakeups.onLease, signal, leasesDirectory(paths));
  files.watch(paths.identity, wakeups.onIdentity, signal);
}

async function followEngine(
  {
    engine,
    engineSocket,
  }: { readonly engine: FollowedEngine; readonly engineSocket: Pick<EngineSocket, 'came'> },
  onEvent: () => void,
  signal: AbortSignal,
): Promise<void> {
  await engineSocket.came(signal);
  await engine.version(signal);
  // An engine that came up is an event too.
  onEvent();
  await engine.follow(LABEL_APP, onEvent, signal);
}
