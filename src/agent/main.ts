/**
 * Owns the agent's composition: what is made from what, and what wakes whom. No decision is made here.
 */
import { createBundleStore } from '../containers/bundles.ts';
import { createDockerEngine } from '../containers/dockerEngine.ts';
import { decode } from '../model/decode.ts';
import { BranchboxError } from '../model/errors.ts';
import { FirmwareRequest } from '../model/firmware.ts';
import { installerPortsOf } from '../model/installer.ts';
import type { LocalEvents } from '../model/localStatus.ts';
import type { Reply } from '../model/mqtt.ts';
import { planFactoryUplinks } from '../wan/factory.ts';
import { createDeviceClient } from '../system/deviceClient.ts';
import { createClock } from '../system/linux/clock.ts';
import { createLinuxSystem } from '../system/linux/system.ts';
import type { System } from '../system/ports.ts';
import { createUplinkDialer } from '../system/uplinkDial.ts';
import { createBootUnits } from './bootUnits.ts';
import { checkBox } from './check.ts';
import { createControllerLink } from './controllerLink.ts';
import { createDesiredKeeper } from './desiredState.ts';
import { explainItem, type Knowledge, listItems } from './explain.ts';
import { createFactsGatherer } from './facts.ts';
import { createAgentUpdater } from './firmware.ts';
import { createHolding } from './holding.ts';
import { createLanes, renderBox } from './items.ts';
import { createLeds, ledStateOf } from './leds.ts';
import { serveLocalApi } from './localApi.ts';
import { readLocalPlan, readLocalStatus } from './localStatus.ts';
import { type OwnIdentity, readOwnIdentity } from './ownIdentity.ts';
import { createCostMeter } from './ownCost.ts';
import {
  AGENT_PATHS,
  type AgentPaths,
  bootUnitsPath,
  bundlesDirectory,
  leasesDirectory,
  outboxPath,
  sequencePath,
} from './paths.ts';
import { createMediumNetwork } from './mediumNetwork.ts';
import { createOrders } from './orders.ts';
import { createDoubts, readQuarantine } from './quarantine.ts';
import { createReporting, type Reporting, type StatusBody } from './reporting.ts';
import { createStatusSource } from './statusSource.ts';
import { holdStaticLeases, renderStaticLeases } from './staticLeases.ts';
import { createTrialStore } from './trialStore.ts';
import { createUplinkTester } from '../wan/uplinkTest/measure.ts';
import { UplinkTestRequest } from '../model/uplinkReport.ts';
import { createUplinkTests } from './uplinkTests.ts';
import { rankUplinks } from './uplinkChoice.ts';
import { createWatchdog } from './watchdog.ts';
import { followWakeups } from './wakeups.ts';
import { createOutbox } from '../telemetry/outbox.ts';
import { watchLiveness } from '../telemetry/read.ts';
import { createVty } from '../telemetry/vty.ts';

export interface AgentOptions {
  readonly version: string;
  /** Ends the agent; what it made stays. */
  readonly signal: AbortSignal;
}

export async function runAgent({ version, signal }: AgentOptions): Promise<void> {
  const paths = AGENT_PATHS;
  const cost = createCostMeter(createClock());
  const system = createLinuxSystem({ name: 'agent', onSpawn: cost.countChild });
  const { runner, files, clock, log } = system;
  const engine = createDockerEngine({ socketPath: paths.engineSocket });
  const facts = await createFactsGatherer({
    system,
    paths,
    version,
    engineVersion: (limit) => engine.version(limit),
    signal,
  });
  const identity = createIdentityReader(system, paths);
  await identity.read();

  // The parts below know each other only through functions that are called after all of them are made.
  const gatewayId = (): string | undefined => identity.latest()?.gatewayId ?? keeper.gatewayId();
  const uplinks = () => rankUplinks(keeper.spec(), facts.latest(), reporting.latest()?.uplinks ?? []);

  const network = createMediumNetwork(system, paths);
  await network.read();
  const dialer = createUplinkDialer({ leases: uplinks, proxy: () => network.latest()?.proxy, log });
  const requireIdentity = async (): Promise<OwnIdentity> => {
    const own = await identity.read();
    if (own !== undefined) return own;
    throw new BranchboxError('controller/unreachable', { message: 'this box has no owner yet' });
  };
  const device = createDeviceClient({
    server: () => keeper.spec()?.controller.device ?? { host: 'none.invalid', port: 1 },
    credentials: requireIdentity,
    dialer,
  });
  const bundles = createBundleStore({ directory: bundlesDirectory(paths), device });
  const store = createTrialStore(files, paths, log);
  const lanes = createLanes({ system, engine, bundles, facts: facts.latest });
  const bootUnits = createBootUnits({ files, path: bootUnitsPath(paths), log });
  let renderedFor: string | undefined;
  let quarantine = await readQuarantine(files, paths);
  const items = async (limit: AbortSignal) => {
    const found = await facts.gather(limit);
    renderedFor = gatewayId();
    quarantine = await readQuarantine(files, paths);
    const quarantined = quarantine !== undefined;
    const spec = keeper.spec();
    const said = await network.read();
    const wanted = renderBox(spec, found, renderedFor, { quarantined, network: said });
    // Told by a file: the watch over leases brings the facts of it.
    const statics = renderStaticLeases(spec?.uplinks ?? planFactoryUplinks(found, said), found);
    await holdStaticLeases(files, leasesDirectory(paths), statics);
    await bootUnits.note(wanted);
    return wanted;
  };

  const updater = await createAgentUpdater({
    system,
    paths,
    version,
    device,
    wanted: () => keeper.committedSpec()?.firmware,
    body: () => reporting.latest(),
    connected: () => link.state().connected,
    held: () => keeper.spec() !== undefined,
    beforeTrial: () => store.putCommittedAside(),
    restartHeld: () => keeper.snapshot().trial !== undefined,
    emit: (kind, subject, sentence) => reporting.emit(kind, subject, sentence),
    onChange: () => reporting.changed(),
  });
  const queue = createOutbox({ path: outboxPath(paths) });
  const vty = createVty({ directory: '/run/frr' });
  const status = createStatusSource({ system, engine, vty, eventsDropped: queue.dropped });
  const readBody = async (): Promise<StatusBody> => {
    const body = await status.read({
      spec: keeper.spec(),
      facts: await facts.gather(signal),
      states: holding.states(),
      desired: keeper.snapshot(),
      link: link.state(),
      firmware: updater.status(),
      quarantine,
    });
    return {
      gatewayId: gatewayId(),
      ...keeper.snapshot(),
      ...body,
      facts: facts.latest(),
      firmware: updater.status(),
    };
  };
  const leds = createLeds({ model: facts.model, files, log });
  let uplinkStates = '';
  const reporting = await createReporting({
    read: readBody,
    onStatus: (body) => {
      updater.looked();
      const owned = identity.latest() !== undefined;
      void leds.show(ledStateOf({ owned, health: body.health.state, firmware: updater.status().state }));
      // Which uplinks are dark decides where the connection should be.
      const states = body.uplinks.map(({ ifname, address, state }) => `${ifname} ${address} ${state}`).join();
      if (states !== uplinkStates) link.wake();
      uplinkStates = states;
    },
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
    spec: () => keeper.spec(),
    gatewayId: () => identity.latest()?.gatewayId,
    inService: () => keeper.committedSpec() !== undefined && link.state().connected,
    connected: () => link.state().connected,
    test: createUplinkTester({ runner, files, clock, credentials: identity.read }),
    reply: (reply) => link.send('reply', JSON.stringify(reply)),
    clock,
    random: Math.random,
    log,
    signal,
  });
  const doubts = createDoubts({ socketPath: paths.identitySocket, log });
  const link = createControllerLink({
    identity: identity.read,
    dialer,
    uplinks,
    endpoint: (own) => keeper.spec()?.controller.mqtt ?? own.owner.mqtt,
    onDesired: (jws) => void keeper.offer(jws),
    onCommand: (command) => {
      if (command.kind === 'events-stored') reporting.stored(command.ids);
      else if (command.kind === 'report-stored') void uplinkTests.stored(command.id);
      else if (command.kind === 'order') void orders.carryOut(command.id, command.jws);
      else {
        holding.wakeAll();
        reporting.connected();
        const reply: Reply = {
          kind: 'done',
          id: command.id,
          ok: true,
          message: 'looking at everything anew',
        };
        void link.send('reply', JSON.stringify(reply));
      }
    },
    onState: () => {
      uplinkTests.wake();
      if (link.state().connected) reporting.connected();
      else {
        doubts.tell();
        reporting.changed();
      }
    },
    onRefused: doubts.tell,
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
    reply: (reply) => link.send('reply', JSON.stringify(reply)),
    clock,
    log,
  });
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
  const watchdog = createWatchdog({
    socket: process.env['NOTIFY_SOCKET'],
    busyMs: () => holding.busyMs(),
    log,
  });
  const holding = createHolding({ lanes, items, system, onRun: () => reporting.changed() });

  const knowledge = async (limit: AbortSignal): Promise<Knowledge> => ({
    wanted: await items(limit),
    reports: holding.states().flatMap(({ report }) => report ?? []),
    defects: holding
      .states()
      .flatMap(({ owns, defect }) => (defect === undefined ? [] : { owns, error: defect })),
  });
  await serveLocalApi(
    {
      socket: paths.socket,
      log,
      readOuts: {
        '/status': async () => {
          const body = reporting.latest() ?? (await readBody());
          return readLocalStatus({ body, holding, keeper, link, cost, version, clock });
        },
        '/plan': async (_, limit) => readLocalPlan(lanes, await items(limit), limit),
        '/explain': async (query, limit) => explainItem(query.get('item') ?? '', await knowledge(limit)),
        '/items': async (_, limit) => listItems(await knowledge(limit)),
        '/check': () => checkBox(facts.latest()),
        '/firmware': (_, limit) => updater.read(limit),
        '/uplink-test': () => Promise.resolve(uplinkTests.read()),
        '/events': async (): Promise<LocalEvents> => ({ events: [...queue.pending(1000)] }),
      },
      actions: {
        '/firmware': async (body) => {
          await updater.request(decode(FirmwareRequest, body, 'the request'));
          return updater.status();
        },
        '/uplink-test': (body) =>
          uplinkTests.start(decode(UplinkTestRequest, body, 'the request'), 'asked-here'),
      },
    },
    signal,
  );
  // A socket of its own, so that the page can ask for this and nothing else; it goes where the page goes.
  const enrolled = new AbortController();
  const closeForInstallers = (): void => {
    if (gatewayId() !== undefined) enrolled.abort();
  };
  await serveLocalApi(
    {
      socket: paths.installerSocket,
      mode: 0o666,
      log,
      readOuts: {
        '/ports': () => {
          const uplinkTest = uplinkTests.forInstaller();
          const ports = installerPortsOf(facts.latest());
          return Promise.resolve(uplinkTest === undefined ? ports : { ...ports, uplinkTest });
        },
      },
      actions: {},
    },
    AbortSignal.any([signal, enrolled.signal]),
  );
  closeForInstallers();
  followWakeups(
    { runner, files, clock, log, engine, paths },
    {
      onKernel: () => {
        holding.wakeAll();
        reporting.changed();
        link.wake();
      },
      onLease: () => {
        void facts.gather(signal).finally(() => {
          link.wake();
          uplinkTests.wake();
        });
        holding.wakeAll();
        reporting.changed();
      },
      onIdentity: () => {
        void identity.read().then(async () => {
          link.wake();
          closeForInstallers();
          // Enrolled: what was for the installer goes now. Distrusted, or trusted again: what is for tenants does.
          const isMarked = (await readQuarantine(files, paths)) !== undefined;
          if (gatewayId() === renderedFor && isMarked === (quarantine !== undefined)) return;
          holding.wakeAll();
          reporting.changed();
        });
        const before = JSON.stringify(network.latest());
        void network.read().then((now) => {
          if (JSON.stringify(now) !== before) holding.wakeAll();
        });
      },
      onEngine: () => {
        facts.forgetEngine();
        holding.wakeAll();
        reporting.changed();
      },
    },
    signal,
  );
  reporting.emit('agent-started', gatewayId() ?? facts.latest().serial, `agent ${version} started`);
  log.info('agent started', { gatewayId: gatewayId(), held: keeper.snapshot().committed ?? 'factory' });
  void afterStart(facts, reporting);
  void watchLiveness({ vty, clock }, () => reporting.changed(), signal);
  await Promise.all([
    holding.run(signal),
    reporting.run(signal),
    link.run(signal),
    keeper.run(signal),
    updater.run(signal),
    uplinkTests.run(signal),
  ]);
  queue.close();
  watchdog.close();
}

async function afterStart(facts: { readInventory(): Promise<boolean> }, reporting: Reporting): Promise<void> {
  if (await facts.readInventory()) reporting.changed();
}

/** The identity process's files, read anew at each use; an unreadable one counts as none. */
function createIdentityReader(system: System, paths: AgentPaths) {
  let latest: OwnIdentity | undefined;
  return {
    latest: () => latest,
    read: async (): Promise<OwnIdentity | undefined> => {
      try {
        latest = await readOwnIdentity(system.files, paths);
      } catch (thrown) {
        system.log.warn("the box's identity cannot be read", { error: thrown });
        latest = undefined;
      }
      return latest;
    },
  };
}
