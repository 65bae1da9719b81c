/**
 * Owns a process that is the agent of a box for as much as a move asks of it: the agent's own parts for its turn, its
 * identity, its connection, its orders and the keeping of desired states, over a network that is always as wanted. It
 * begins anew where the agent does. Arguments: the directory of the box, its serial, and a number that makes its key.
 */
import { createIdentityTelling } from '../../src/agent/identityTelling.ts';
import { createControllerLink } from '../../src/agent/controllerLink.ts';
import { createDesiredKeeper } from '../../src/agent/desiredState.ts';
import { beginTurn, handOnMove, onTrial } from '../../src/agent/moveTurn.ts';
import { createOrders } from '../../src/agent/orders.ts';
import { createIdentityReader } from '../../src/agent/ownIdentity.ts';
import { AGENT_PATHS } from '../../src/agent/paths.ts';
import { createTrialStore } from '../../src/agent/trialStore.ts';
import { createLinuxSystem } from '../../src/system/linux/system.ts';
import { createUplinkDialer } from '../../src/system/uplinkDial.ts';
import { createWaker } from '../../src/system/waker.ts';
import { statusWith } from '../unit/controller/statusFixture.ts';
import { ADDRESS } from './bootstrapWorld.ts';
import { createTpmUse } from '../../src/system/tpmUse.ts';

const [directory = '', serial = '', seed = '7'] = process.argv.slice(2);
const { files, clock, log } = createLinuxSystem({ name: 'agent' });
const paths = {
  ...AGENT_PATHS,
  identity: `${directory}/identity`,
  state: `${directory}/agent`,
  firmware: `${directory}/firmware`,
  identitySocket: `${directory}/identity.sock`,
  run: `${directory}/run`,
};
const uplink = { ifname: 'wan1', address: ADDRESS.box, dns: [ADDRESS.names], alive: true };
const stopping = new AbortController();
process.once('SIGTERM', () => stopping.abort());
let sequence = 0;

async function run(): Promise<void> {
  const ending = new AbortController();
  const signal = AbortSignal.any([stopping.signal, ending.signal]);
  const turn = await beginTurn({ files, paths, log, end: () => ending.abort() });
  const identity = createIdentityReader({ files, clock, log }, paths, createTpmUse());
  const status = (gatewayId: string) => {
    sequence += 1;
    const told = statusWith(gatewayId, { sequence, seed: Number(seed) });
    return { ...told, facts: { ...told.facts, serial, bootId: `boot-${process.pid}` } };
  };
  const tellStatus = async (): Promise<void> => {
    const own = await identity.read();
    if (own !== undefined) await link.send('status', JSON.stringify(status(own.gatewayId)));
  };
  const held = (): string => {
    const spec = keeper.spec() ?? turn.before?.state.spec;
    return spec === undefined ? 'nothing' : spec.site;
  };
  const link = createControllerLink({
    identity: identity.read,
    dialer: createUplinkDialer({ leases: () => [uplink], log }),
    uplinks: () => [uplink],
    endpoint: (own) => keeper.spec()?.controller.mqtt ?? own.owner.mqtt,
    onDesired: (jws) => void keeper.offer(jws),
    onCommand: (command) => {
      if (command.kind !== 'order') return;
      // What somebody who reads the broker could send again.
      void files
        .writeDurable(`${directory}/last-order.jws`, command.jws)
        .then(() => orders.carryOut(command.id, command.jws));
    },
    onState: () => {
      if (link.state().connected) void tellStatus();
    },
    onProblem: createIdentityTelling({ socketPath: paths.identitySocket, log }).broker,
    onRevoked: () => undefined,
    onRefused: () => undefined,
    clock,
    log,
  });
  const orders = createOrders({
    identity: identity.read,
    wireguardPublicKey: () => status('any').facts.wireguardPublicKey,
    services: { start: () => Promise.reject(new Error('there is no unit here')) },
    testUplinks: () => Promise.reject(new Error('there is nothing to test here')),
    move: (jws) => handOnMove(paths.identitySocket, jws),
    onTrial: () => onTrial(keeper.snapshot(), { state: 'idle' }),
    isTried: turn.before !== undefined,
    reply: (reply) => link.send('reply', JSON.stringify(reply)),
    log,
  });
  const keeper = await createDesiredKeeper({
    store: createTrialStore(files, turn.paths, log),
    identity: identity.read,
    settle: async () => undefined,
    problems: () => [],
    wasSettled: () => true,
    onChange: () => {
      log.info('holding', { site: held() });
      link.wake();
    },
    onCommitted: () => log.info('committed', { site: held() }),
    prove: (limit) => link.prove(limit),
    controllerAwayMs: () => link.awayMs(),
    emit: () => undefined,
    clock,
    log,
  });
  log.info('holding', { site: held() });
  const waker = createWaker(clock);
  files.watch(
    paths.identity,
    () => {
      void turn.look();
      link.wake();
      waker.wake();
    },
    signal,
  );
  await turn.look();
  await Promise.all([link.run(signal), keeper.run(signal)]);
}

while (!stopping.signal.aborted) await run();
