/**
 * Owns putting the controller's process together on the real machine: what starts in which order, and what ends it.
 * Does not own what any part does.
 */
import { join } from 'node:path';
import type { Owner } from '../model/bootstrap.ts';
import type { Command } from '../model/mqtt.ts';
import { toPem } from '../pki/certificate.ts';
import { createLinuxSystem } from '../system/linux/system.ts';
import { openAdminCredential } from './adminCredential.ts';
import { writeAnchorFiles } from './anchorFiles.ts';
import { createApi } from './api/server.ts';
import { startBroker } from './broker/broker.ts';
import { openBrokerLink } from './broker/link.ts';
import { endSession } from './broker/sessions.ts';
import { localAddress, publicName } from './config.ts';
import { createCaDrop } from './caDrop.ts';
import { createDeviceHandler, deviceFailed, deviceRefusal } from './deviceApi.ts';
import { createDomainTrust } from './domainTrust.ts';
import { createMovedRoute } from './movedRoute.ts';
import { settleEpoch } from './epoch.ts';
import { estFailed, plain } from './est/answers.ts';
import { createEstHandler } from './est/estServer.ts';
import { commandTopic, createMessageHandler } from './gatewayMessages.ts';
import { createMedia } from './media.ts';
import { createMembership } from './membership.ts';
import { createInvitations } from './moving.ts';
import { createOrders } from './orders.ts';
import { createPeersAway } from './peersAway.ts';
import { createPresence } from './presence.ts';
import { awaitSigner, openManufacturer, readConfig } from './prerequisites.ts';
import { createPublisher } from './publisher.ts';
import { openRevocations } from './revocations.ts';
import { renewUntilEnd } from './renewal.ts';
import { ensureServiceCredentials } from './serviceCredentials.ts';
import { apiTls, createServers } from './servers.ts';
import { createSignerClient } from './signer/client.ts';
import { openSqliteStore } from './store/sqlite.ts';
import { startUplinkTest } from './uplinkTest/farEnd.ts';
import { openUploads } from './uploads.ts';
import { bootstrapFailed, bootstrapRefusal } from './sztp/answers.ts';
import { createBootstrapHandler } from './sztp/bootstrapServer.ts';

export async function runController(options: {
  readonly configPath: string;
  readonly raiseEpoch: boolean;
  /** Ends it in order. */
  readonly signal: AbortSignal;
}): Promise<void> {
  const { runner, files, clock, log } = createLinuxSystem({ name: 'controller' });
  const { signal } = options;
  const config = await readConfig(files, options.configPath);
  const { listen } = config;
  const state = (...names: string[]) => join(config.stateDir, ...names);

  // Others may pass through to what is theirs (the broker's directory); every file in it is its owner's alone.
  await runner.runChecked('mkdir', ['-p', '-m', '0711', config.stateDir]);
  const store = openSqliteStore(state('controller.sqlite'));
  const admin = await openAdminCredential({ store, files, log, path: state('admin.credential') });
  await settleEpoch({ store, files, log, path: state('epoch'), raise: options.raiseEpoch });
  const { bundles, firmware } = await openUploads({ config, store, files, clock });

  const signer = createSignerClient({ socketPath: config.signer.socket });
  const { domain, previous, offered } = await awaitSigner({ signer, clock, log, signal });
  const certify = () =>
    ensureServiceCredentials({
      signer,
      store,
      files,
      clock,
      directory: state('tls'),
      names: config.names,
      addresses: config.addresses,
      domain,
    });
  const credentials = await certify();
  const { manufacturer, manufacturers } = await openManufacturer(files, config.manufacturer);
  const anchors = createDomainTrust({ manufacturers, domain, previous });

  const host = publicName(config);
  const endpoints = { mqtt: { host, port: listen.mqttPort }, device: { host, port: listen.devicePort } };
  /** The fleet, the inventory, or who enrolled. */
  const onChange = (): void => {
    publisher.trigger();
    revocations.trigger();
  };
  const { fleet, activations, admissions, pending } = createMembership({
    store,
    controller: endpoints,
    firmware: firmware.offered,
    onFleetChange: onChange,
    onInventoryChange: onChange,
    clock,
    log,
  });
  const publisher = createPublisher({
    store,
    fleet,
    admissions,
    signer,
    clock,
    log,
    link: () => link,
    controller: endpoints,
    firmware: firmware.offered,
  });
  const command = (gatewayId: string, command: Command): Promise<void> =>
    link.publish(commandTopic(gatewayId), JSON.stringify(command));
  const orders = createOrders({ store, signer, command, clock });
  const presence = createPresence({ clock });
  const onMessage = createMessageHandler({
    store,
    fleet,
    presence,
    clock,
    log,
    command,
    onDone: (gatewayId, reply) => orders.answered(gatewayId, reply),
    onNewFacts: () => publisher.trigger(),
  });
  const ownerOf = (gatewayId: string): Owner => ({
    schema: 1,
    gatewayId,
    est: { host, port: listen.estPort },
    mqtt: endpoints.mqtt,
    device: endpoints.device,
    domainAnchorPem: domain.pem,
  });

  const brokerAddress = {
    host: localAddress(listen.address),
    port: listen.mqttPort,
    serverName: host,
    get domainAnchorPem() {
      return toPem(anchors.domains);
    },
  };
  const revocations = await openRevocations({
    store,
    admissions,
    signer,
    broker: () => broker,
    endSession: (gatewayId) => endSession({ signer, broker: brokerAddress }, gatewayId),
    clock,
    log,
  });
  let latest = credentials;
  const caDrop = createCaDrop({
    store,
    fleet,
    admissions,
    signer,
    trust: anchors,
    async follow() {
      const pem = toPem(anchors.domains);
      servers.renew(latest);
      link.trust(pem);
      await broker.trust(pem);
      onChange();
    },
    clock,
    log,
  });
  await caDrop.settle();
  const isRoot = process.getuid?.() === 0;
  const broker = await startBroker(
    {
      runner,
      files,
      clock,
      log,
      program: config.mosquitto.program,
      place: {
        directory: state('broker'),
        listenAddress: listen.address,
        port: listen.mqttPort,
        user: isRoot ? config.mosquitto.user : undefined,
      },
    },
    {
      credential: credentials.server,
      revocationListPem: revocations.list.pem,
      domainAnchorPem: toPem(anchors.domains),
    },
  );
  const revoking = revocations.run(signal);
  const link = openBrokerLink({
    ...brokerAddress,
    credential: credentials.client,
    log,
    onMessage: (topic, payload) => void onMessage(topic, payload),
    onConnected: () => publisher.republish(),
  });

  const uplinkTest = await startUplinkTest({ address: listen.address, ports: listen.probePorts, clock, log });
  const servers = createServers({
    credentials,
    domains: () => anchors.domains,
    manufacturers,
    listen,
    sztp: {
      handle: createBootstrapHandler({
        store,
        admissions,
        pending,
        signer,
        manufacturer,
        anchors,
        ownerOf,
        clock,
      }),
      failed: bootstrapFailed,
      refusal: bootstrapRefusal,
    },
    est: {
      handle: createEstHandler({
        store,
        admissions,
        signer,
        anchors,
        offered,
        onEnrolled: onChange,
        clock,
        log,
      }),
      failed: estFailed,
      refusal: plain,
    },
    device: {
      handle: createDeviceHandler({
        store,
        admissions,
        bundles,
        firmware,
        fleet,
        uplinkTest: uplinkTest.routes,
        moved: createMovedRoute({ store, clock, log }),
        anchors,
        clock,
      }),
      failed: deviceFailed,
      refusal: deviceRefusal,
    },
    clock,
    log,
  });
  const api = await createApi({
    context: {
      store,
      fleet,
      bundles,
      firmware,
      orders,
      activations,
      pending,
      presence,
      media: createMedia({
        store,
        admissions,
        signer,
        manufacturer,
        domain,
        ownerOf,
        bootstrapServer: `https://${host}:${listen.sztpPort}`,
        clock,
      }),
      caDrop,
      invitations: createInvitations({ store, admissions, signer, domain, ownerOf }),
      revocationList: () => revocations.list.der,
      onInventoryChange: onChange,
      clock,
    },
    admin,
    peersAway: createPeersAway({
      clock,
      peers: { 'the signer': () => signer.anchors(), 'the manufacturer': () => manufacturer.ping() },
    }),
    tls: apiTls(credentials),
    log,
    ailments: () => [
      ...(link.connected ? [] : ['the MQTT broker is away']),
      ...(revocations.ailment === undefined ? [] : [revocations.ailment]),
      ...(fleet.ailment === undefined ? [] : [fleet.ailment]),
    ],
  });
  await servers.listen();
  await api.listen({ host: listen.address, port: listen.apiPort });
  log.info('ready', { names: config.names, listen });

  await renewUntilEnd({
    ensure: certify,
    current: credentials,
    async hand(next) {
      latest = next;
      await broker.renew(next.server);
      link.renew(next.client);
      servers.renew(next);
      api.server.setSecureContext(apiTls(next));
    },
    clock,
    log,
    signal,
  });

  servers.close();
  uplinkTest.close();
  await api.close();
  await publisher.stop();
  await revoking;
  await link.close();
  await broker.stop();
  await store.close();
}

export const writeAnchors = (options: {
  readonly configPath: string;
  readonly out: string;
}): ReturnType<typeof writeAnchorFiles> =>
  writeAnchorFiles({ ...createLinuxSystem({ name: 'controller' }), ...options });
