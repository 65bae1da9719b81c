/**
 * Owns the composition of what speaks with the controller: the connection, whom a message of it is for, orders, and what the
 * identity process hears of it. No decision is made here.
 */
import type { Facts } from '../model/facts.ts';
import type { Reply } from '../model/mqtt.ts';
import type { System } from '../system/ports.ts';
import { createCommandHandler } from './commands.ts';
import { type ControllerLink, createControllerLink, type LinkParts } from './controllerLink.ts';
import type { DesiredKeeper } from './desiredState.ts';
import type { AgentUpdater } from './firmware.ts';
import type { Holding } from './holding.ts';
import { handOnMove, type MoveTurn, onTrial } from './moveTurn.ts';
import { createOrders } from './orders.ts';
import { createIdentityTelling } from './identityTelling.ts';
import type { IdentityReader } from './ownIdentity.ts';
import type { AgentPaths } from './paths.ts';
import type { Reporting } from './reporting.ts';
import type { UplinkTests } from './uplinkTests.ts';

export function createControllerSide(
  parts: Pick<LinkParts, 'dialer' | 'uplinks' | 'onRefused'> & {
    readonly system: Pick<System, 'services' | 'clock' | 'log'>;
    readonly paths: AgentPaths;
    readonly turn: MoveTurn;
    readonly identity: IdentityReader;
    readonly facts: () => Facts;
    readonly updater: AgentUpdater;
    readonly reporting: Reporting;
    readonly uplinkTests: UplinkTests;
    /** These two are made after this. */
    readonly keeper: () => DesiredKeeper;
    readonly holding: () => Holding;
    readonly reply: (message: Reply) => Promise<boolean>;
  },
): ControllerLink {
  const { paths, turn, identity, updater, reporting, uplinkTests, keeper, holding, reply } = parts;
  const { services, clock, log } = parts.system;
  const telling = createIdentityTelling({ socketPath: paths.identitySocket, log });
  const orders = createOrders({
    identity: identity.read,
    wireguardPublicKey: () => parts.facts().wireguardPublicKey,
    services,
    testUplinks: async (request) => {
      await uplinkTests.start(request, 'ordered');
      return 'testing; the report follows';
    },
    move: (jws) => handOnMove(paths.identitySocket, jws),
    onTrial: () => onTrial(keeper().snapshot(), updater.status()),
    isTried: turn.before !== undefined,
    reply,
    log,
  });
  const wakeAll = (): void => holding().wakeAll();
  const link = createControllerLink({
    identity: identity.read,
    dialer: parts.dialer,
    uplinks: parts.uplinks,
    endpoint: (own) => keeper().spec()?.controller.mqtt ?? own.owner.mqtt,
    onDesired: (jws) => void keeper().offer(jws),
    onCommand: createCommandHandler({ reporting, uplinkTests, orders, holding: { wakeAll }, reply }),
    onState: () => {
      uplinkTests.wake();
      if (link.state().connected) reporting.connected();
      else {
        telling.doubt();
        reporting.changed();
      }
    },
    onProblem: telling.broker,
    onRevoked: (why) => reporting.emit('condition-raised', 'controller', why),
    onRefused() {
      parts.onRefused();
      telling.doubt();
    },
    clock,
    log,
  });
  return link;
}
