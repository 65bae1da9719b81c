/**
 * Owns putting the controller's process together on the real machine: what starts in which order, and what ends it.
 * Does not own what any part does.
 */
import { join } from 'node:path';
import type { Owner } from '../model/bootstrap.ts';
import { REVOCATION_LISTS_PATH } from '../model/deviceApi.ts';
import { toPem } from '../pki/certificate.ts';
import { createLinuxSystem } from '../system/linux/system.ts';
import { openAdminCredential } from './adminCredential.ts';
import { writeAnchorFiles } from './anchorFiles.ts';
import { createApi } from './api/server.ts';
import { publicName } from './config.ts';
import { createCaDrop } from './caDrop.ts';
import { createDeviceHandler, deviceFailed, deviceRefusal } from './deviceApi.ts';
import { createDomainTrust } from './domainTrust.ts';
import { createMovedRoute } from './movedRoute.ts';
import { settleEpoch } from './epoch.ts';
import { estFailed, plain } from './est/answers.ts';
import { createEstHandler } from './est/estServer.ts';
import { openGatewaySide } from './gatewaySide.ts';
import { createMedia } from './media.ts';
import { createMembership } from './membership.ts';
import { createInvitations } from './moving.ts';
import { createPeersAway } from './peersAway.ts';
import { awaitSigner, openManufacturer, readConfig } from './prerequisites.ts';
import { createRenewal } from './renewal.ts';
import { ensureServiceCredentials } from './serviceCredentials.ts';
import { createServiceRevocations } from './serviceRevocations.ts';
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
  const system = createLinuxSystem({ name: 'controller' });
  const { runner, files, clock, log } = system;
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
  const certify = (without?: string) =>
    ensureServiceCredentials(
      {
        signer,
        store,
        files,
        clock,
        log,
        directory: state('tls'),
        names: config.names,
        addresses: config.addresses,
        domain,
      },
      without,
    );
  const credentials = await certify();
  const { manufacturer, manufacturers } = await openManufacturer(files, config.manufacturer);
  const anchors = createDomainTrust({ manufacturers, domain, previous });

  const host = publicName(config);
  const endpoints = { mqtt: { host, port: listen.mqttPort }, device: { host, port: listen.devicePort } };
  /** The fleet, the inventory or who is enrolled changed. */
  const onChange = (): void => gateways.changed();
  const { fleet, activations, admissions, pending } = createMembership({
    store,
    controller: endpoints,
    firmware: firmware.offered,
    onFleetChange: onChange,
    onInventoryChange: onChange,
    clock,
    log,
  });
  const ownerOf = (gatewayId: string): Owner => ({
    schema: 1,
    gatewayId,
    est: { host, port: listen.estPort },
    mqtt: endpoints.mqtt,
    device: endpoints.device,
    revocationListsPath: REVOCATION_LISTS_PATH,
    domainAnchorPem: domain.pem,
  });

  let latest = credentials;
  const caDrop = createCaDrop({
    store,
    fleet,
    admissions,
    signer,
    trust: anchors,
    async follow() {
      servers.renew(latest);
      await gateways.trust(toPem(anchors.domains));
      onChange();
    },
    clock,
    log,
  });
  await caDrop.settle();
  const gateways = await openGatewaySide({
    system,
    config,
    store,
    signer,
    anchors,
    credentials,
    membership: { fleet, admissions },
    endpoints,
    firmware: firmware.offered,
    signal,
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
        revocationLists: () => gateways.revocationList().pem,
        anchors,
        clock,
      }),
      failed: deviceFailed,
      refusal: deviceRefusal,
    },
    clock,
    log,
  });
  const renewal = createRenewal({
    ensure: certify,
    first: credentials,
    async hand(next) {
      latest = next;
      await gateways.renew(next);
      servers.renew(next);
      api.server.setSecureContext(apiTls(next));
    },
    clock,
    log,
  });
  const { listAnew } = gateways;
  const api = await createApi({
    context: {
      store,
      fleet,
      bundles,
      firmware,
      orders: gateways.orders,
      activations,
      pending,
      presence: gateways.presence,
      manufacturer,
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
      serviceRevocations: createServiceRevocations({ renewal, signer, store, listAnew, clock, log }),
      invitations: createInvitations({ store, admissions, signer, domain, ownerOf }),
      revocationList: () => gateways.revocationList().der,
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
    ailments: () => [...gateways.ailments(), ...(fleet.ailment === undefined ? [] : [fleet.ailment])],
  });
  await servers.listen();
  await api.listen({ host: listen.address, port: listen.apiPort });
  log.info('ready', { names: config.names, listen });

  await renewal.untilEnd(signal);

  servers.close();
  uplinkTest.close();
  await api.close();
  await gateways.close();
  await store.close();
}

export const writeAnchors = (options: {
  readonly configPath: string;
  readonly out: string;
}): ReturnType<typeof writeAnchorFiles> =>
  writeAnchorFiles({ ...createLinuxSystem({ name: 'controller' }), ...options });
