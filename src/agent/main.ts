/**
 * Owns the agent's composition: what is made from what, and who hears of what. No decision is made here.
 */
import { createBundleStore } from '../containers/bundles.ts';
import { createDockerEngine } from '../containers/dockerEngine.ts';
import type { Reply } from '../model/mqtt.ts';
import { createDeviceClient } from '../system/deviceClient.ts';
import { createClock } from '../system/linux/clock.ts';
import { createLinuxSystem } from '../system/linux/system.ts';
import { SYSTEM_BUS } from '../system/dbus.ts';
import { createUplinkDialer } from '../system/uplinkDial.ts';
import { createBoxStatus } from './boxStatus.ts';
import { createControllerSide } from './controllerSide.ts';
import { createDesiredKeeper } from './desiredState.ts';
import { createEngineSocket } from './engineSocket.ts';
import { createFactsGatherer } from './facts.ts';
import { createAgentUpdater } from './firmware.ts';
import { createHolding } from './holding.ts';
import { createLanes } from './items.ts';
import { createCostMeter } from './ownCost.ts';
import { openOwnKeys } from './ownKeys.ts';
import {
  AGENT_PATHS,
  bundlesDirectory,
  clockFloorPath,
  leasesDirectory,
  modemPinsPath,
  usedTimePath,
} from './paths.ts';
import { createMediumNetwork } from './mediumNetwork.ts';
import { connectModemManager } from './modemManager.ts';
import { createModemPins } from './modemPins.ts';
import { createModems } from './modems.ts';
import { beginTurn } from './moveTurn.ts';
import { followDeadLeases } from './otherDhcp.ts';
import { serveSockets } from './sockets.ts';
import { readTimeSync } from './timeSync.ts';
import { createTrialStore } from './trialStore.ts';
import { createTunnelClock } from './tunnelClock.ts';
import { createUplinkTester } from '../wan/uplinkTest/measure.ts';
import { createUplinkTests } from './uplinkTests.ts';
import { linksOfUplinks, rankUplinks } from './uplinkChoice.ts';
import { createWanted } from './wanted.ts';
import { createWatchdog } from './watchdog.ts';
import { followWakeups, wakeupsOf } from './wakeups.ts';
import { callsPeers } from '../wan/usedTime.ts';
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
  const { keys, identity, refused } = await openOwnKeys({
    system,
    paths,
    tpmTold,
    end: () => ending.abort(),
  });

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
    spec,
    beforeTrial: () => store.putCommittedAside(),
    restartHeld: () => keeper.snapshot().trial !== undefined,
    emit: (kind, subject, sentence) => reporting.emit(kind, subject, sentence),
    onChange: () => reporting.changed(),
  });
  const vty = createVty({ directory: '/run/frr', signal });
  const { reporting, moves, queue, bootstrap, readBody } = await createBoxStatus({
    system,
    paths,
    engine,
    vty,
    keys,
    turn,
    facts,
    identity,
    tunnelClock,
    modems,
    wanted,
    updater,
    gatewayId,
    keeper: () => keeper,
    holding: () => holding,
    link: () => link,
    onTurn: () => watchdog.turned(),
    signal,
  });
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
    dialer,
    uplinks,
    facts: facts.latest,
    updater,
    reporting,
    uplinkTests,
    keeper: () => keeper,
    holding: () => holding,
    reply,
    onRefused: refused,
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

  watchdog.starting('opening its sockets');
  const installer = await serveSockets(
    {
      paths,
      modems: modems.statuses,
      body: async () => reporting.latest() ?? (await readBody()),
      items: wanted.read,
      facts: facts.latest,
      network: network.latest,
      gatewayId,
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
