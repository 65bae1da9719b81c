/**
 * Owns the agent's composition: what is made from what, and who hears of what. No decision is made here.
 */
import { createBundleStore } from '../containers/bundles.ts';
import { createDockerEngine } from '../containers/dockerEngine.ts';
import { readTpmReadiness } from '../model/keyHolder.ts';
import type { Reply } from '../model/mqtt.ts';
import { createDeviceClient } from '../system/deviceClient.ts';
import { createClock } from '../system/linux/clock.ts';
import { createLinuxSystem } from '../system/linux/system.ts';
import { SYSTEM_BUS } from '../system/dbus.ts';
import { createSecondLook } from '../system/secondLook.ts';
import { createTpmUse } from '../system/tpmUse.ts';
import { createUplinkDialer } from '../system/uplinkDial.ts';
import { createCommandHandler } from './commands.ts';
import { createControllerLink } from './controllerLink.ts';
import { createDesiredKeeper } from './desiredState.ts';
import { createEngineSocket } from './engineSocket.ts';
import { createFactsGatherer } from './facts.ts';
import { createAgentUpdater } from './firmware.ts';
import { createHolding } from './holding.ts';
import { createLanes } from './items.ts';
import { serveInstallerSocket } from './installerSocket.ts';
import { createLeds } from './leds.ts';
import { serveLocalApi } from './localApi.ts';
import { serveLookSocket } from './lookSocket.ts';
import { createIdentityReader } from './ownIdentity.ts';
import { createCostMeter } from './ownCost.ts';
import {
  AGENT_PATHS,
  bundlesDirectory,
  clockFloorPath,
  journalPath,
  leasesDirectory,
  modemPinsPath,
  outboxPath,
  sequencePath,
  usedTimePath,
} from './paths.ts';
import { createMediumNetwork } from './mediumNetwork.ts';
import { connectModemManager } from './modemManager.ts';
import { createModemPins } from './modemPins.ts';
import { createModems } from './modems.ts';
import { beginTurn, handOnMove, onTrial } from './moveTurn.ts';
import { createOrders } from './orders.ts';
import { followDeadLeases } from './otherDhcp.ts';
import { createBrokerTelling } from './brokerTelling.ts';
import { createDoubts } from './quarantine.ts';
import { localApiOf } from './readOuts.ts';
import { createReporting, type Reporting, type StatusBody } from './reporting.ts';
import { createStatusMoves } from './statusMoves.ts';
import { createStatusSource } from './statusSource.ts';
import { readTimeSync } from './timeSync.ts';
import { createTrialStore } from './trialStore.ts';
import { createTunnelClock } from './tunnelClock.ts';
import { createUplinkTester } from '../wan/uplinkTest/measure.ts';
import { createUplinkTests } from './uplinkTests.ts';
import { rankUplinks } from './uplinkChoice.ts';
import { createWanted } from './wanted.ts';
import { createWatchdog } from './watchdog.ts';
import { followWakeups, wakeupsOf } from './wakeups.ts';
import { callsPeers } from '../wan/usedTime.ts';
import { createOutbox } from '../telemetry/outbox.ts';
import { watchLiveness } from '../telemetry/read.ts';
import { createVty } from '../telemetry/vty.ts';

export interface AgentOptions {
  readonly version: string;
  /** The line of firmware/tpm-ready. */
  readonly tpmTold: string | undefined;
  /** Ends the agent; what it made stays. It also ends by itself, to be started again, where its TPM did not answer. */
  readonly signal: AbortSignal;
}

export async function runAgent({ version, tpmTold, signal: outer }: AgentOptions): Promise<void> {
  const paths = AGENT_PATHS;
  const ending = new AbortController();
  const signal = AbortSignal.any([outer, ending.signal]);
  const cost = createCostMeter(createClock());
  const system = createLinuxSystem({ name: 'agent', onSpawn: cost.countChild });
  const { runner, files, clock, log } = system;
  const watchdog = createWatchdog({
    socket: process.env['NOTIFY_SOCKET'],
    waitUs: process.env['WATCHDOG_USEC'],
    busyMs: () => holding.busyMs(),
    clock,
    log,
  });
  watchdog.starting('reading whose turn it is');
  const turn = await beginTurn({ files, paths, log, end: () => ending.abort() });
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
  const { holding: keys, mayPass } = readTpmReadiness(tpmTold);
  const look = createSecondLook({ clock, mayPass, end: () => ending.abort() });
  const tpm = createTpmUse();
  const identity = createIdentityReader(system, paths, tpm);
  await identity.read();

  // The parts below know each other only through functions that are called after all of them are made.
  const gatewayId = (): string | undefined => identity.latest()?.gatewayId ?? keeper.gatewayId();
  /** What the box is held to: on a move that of the present owner, until one of the next is tried. */
  const spec = () => keeper.spec() ?? turn.before?.state.spec;
  const uplinks = () =>
    rankUplinks(spec(), facts.latest(), reporting.latest()?.uplinks ?? [], network.latest());
  const reply = (message: Reply): Promise<boolean> => link.send('reply', JSON.stringify(message));

  const network = createMediumNetwork(system, paths);
  await network.read();
  const dialer = createUplinkDialer({ leases: uplinks, proxy: () => network.latest()?.proxy, log });
  const device = createDeviceClient({
    server: () => keeper.spec()?.controller.device ?? { host: 'none.invalid', port: 1 },
    credentials: identity.require,
    dialer,
  });
  const bundles = createBundleStore({ directory: bundlesDirectory(paths), device });
  const store = createTrialStore(files, turn.paths, log);
  const tunnelClock = await createTunnelClock({
    system,
    path: usedTimePath(paths),
    publicKey: () => facts.latest().wireguardPublicKey,
    calls: () => {
      const held = spec();
      return held !== undefined && callsPeers(held);
    },
    timeSync: (limit) => readTimeSync(system, clockFloorPath(paths), limit),
    renewKey: facts.renewWireguardKey,
    onChange: () => {
      holding.wakeAll();
      reporting.changed();
    },
  });
  const lanes = createLanes({ system, engine, bundles, facts: facts.latest });
  const modems = createModems({
    system,
    leases: leasesDirectory(paths),
    pins: await createModemPins(system, modemPinsPath(paths)),
    connect: (on) => connectModemManager({ socketPath: SYSTEM_BUS, uid: process.getuid?.() ?? 0, ...on }),
    onWays: () => holding.wakeAll(),
    onStates: () => reporting.changed(),
  });
  const wanted = await createWanted({
    system,
    paths,
    facts,
    network,
    spec,
    clockIsBehind: tunnelClock.isBehind,
    modems,
    gatewayId: () => (keeper.spec() === undefined && turn.before?.state.gatewayId) || gatewayId(),
  });

  watchdog.starting('finding the firmware slots');
  const updater = await createAgentUpdater({
    system,
    paths,
    version,
    device,
    wanted: () => keeper.committedSpec()?.firmware,
    body: () => reporting.latest(),
    connected: () => link.state().connected,
    held: () => spec() !== undefined,
    beforeTrial: () => store.putCommittedAside(),
    restartHeld: () => keeper.snapshot().trial !== undefined,
    emit: (kind, subject, sentence) => reporting.emit(kind, subject, sentence),
    onChange: () => reporting.changed(),
  });
  const queue = createOutbox({ path: outboxPath(turn.paths), nowMs: clock.nowMs });
  const vty = createVty({ directory: '/run/frr', signal });
  const status = createStatusSource({ system, engine, vty, eventsDropped: queue.dropped, keys, tunnelClock });
  const readBody = async (): Promise<StatusBody> =>
    status.read({
      gatewayId: gatewayId(),
      spec: keeper.spec(),
      facts: await facts.gather(signal),
      // What is of the present owner is nothing that the next one should read.
      states: keeper.spec() === undefined && turn.before !== undefined ? [] : holding.states(),
      desired: keeper.snapshot(),
      link: link.state(),
      firmware: updater.status(),
      quarantine: wanted.quarantine(),
      move: turn.record(),
      modems: modems.statuses(),
    });
  const moves = createStatusMoves({
    leds: createLeds({ model: facts.model, files, journalPath: journalPath(paths), log }),
    identity,
    updater,
    onUplinks: () => link.wake(),
  });
  const reporting = await createReporting({
    read: readBody,
    onStatus: moves.onStatus,
    onTurn: () => watchdog.turned(),
    send: (topic, text) => link.send(topic, text),
    queue,
    files,
    sequencePath: sequencePath(paths),
    clock,
    log,
  });
  const uplinkTests = await createUplinkTests({
    files,
    paths,
    facts: facts.latest,
    network: network.latest,
    spec,
    gatewayId: () => identity.latest()?.gatewayId,
    inService: () => keeper.committedSpec() !== undefined && link.state().connected,
    connected: () => link.state().connected,
    test: createUplinkTester({ runner, files, clock, credentials: identity.read }),
    reply,
    clock,
    random: Math.random,
    log,
    signal,
  });
  const broker = createBrokerTelling({ socketPath: paths.identitySocket, log });
  const doubts = createDoubts({ socketPath: paths.identitySocket, log });
  const link = createControllerLink({
    identity: identity.read,
    dialer,
    uplinks,
    endpoint: (own) => keeper.spec()?.controller.mqtt ?? own.owner.mqtt,
    onDesired: (jws) => void keeper.offer(jws),
    onCommand: (command) => carryOut(command),
    onState: () => {
      uplinkTests.wake();
      if (link.state().connected) reporting.connected();
      else {
        doubts.tell();
        reporting.changed();
      }
    },
    onProblem: broker.tell,
    onRefused() {
      tpm.forget();
      if (identity.keyHolder().ldevid === 'tpm') look.needed();
      doubts.tell();
    },
    clock,
    log,
  });
  const orders = createOrders({
    identity: identity.read,
    wireguardPublicKey: () => facts.latest().wireguardPublicKey,
    services: system.services,
    testUplinks: async (request) => {
      await uplinkTests.start(request, 'ordered');
      return 'testing; the report follows';
    },
    move: (jws) => handOnMove(paths.identitySocket, jws),
    onTrial: () => onTrial(keeper.snapshot(), updater.status()),
    isTried: turn.before !== undefined,
    reply,
    log,
  });
  watchdog.starting('reading the desired state');
  const keeper = await createDesiredKeeper({
    store,
    identity: identity.read,
    settle: (limit) => holding.settle(limit),
    problems: () => holding.problems(),
    wasSettled: () => holding.wasSettled(),
    onChange: () => {
      holding.restart();
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
  const holding = createHolding({ lanes, items: wanted.items, system, onRun: () => reporting.changed() });
  const carryOut = createCommandHandler({ reporting, uplinkTests, orders, holding, reply });

  watchdog.starting('opening its sockets');
  const api = localApiOf({
    modems: modems.statuses,
    body: async () => reporting.latest() ?? (await readBody()),
    items: wanted.read,
    facts: facts.latest,
    keys: () => ({ ...keys, ...identity.keyHolder() }),
    events: queue.pending,
    lanes,
    holding,
    keeper,
    link,
    updater,
    uplinkTests,
    cost,
    version,
    clock,
  });
  await serveLocalApi({ socket: paths.socket, log, ...api }, signal);
  await serveLookSocket({ socket: paths.lookSocket, readOuts: api.readOuts, files, log }, signal);
  const installer = await serveInstallerSocket(
    {
      socket: paths.installerSocket,
      facts: facts.latest,
      network: network.latest,
      uplinkTests,
      gatewayId,
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
      moves,
      link,
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
  void afterStart(facts, reporting);
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

async function afterStart(facts: { readInventory(): Promise<boolean> }, reporting: Reporting): Promise<void> {
  if (await facts.readInventory()) reporting.changed();
}
