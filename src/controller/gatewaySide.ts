/**
 * Owns the composition of what speaks with gateways over MQTT: the broker, the connection to it, desired states, commands
 * and orders out, messages in, and revocations, which the broker has to hear of. No decision is made here.
 * Does not own what gateways ask over HTTPS (servers.ts).
 */
import { join } from 'node:path';
import type { DesiredSpec } from '../model/desired.ts';
import type { Command } from '../model/mqtt.ts';
import { toPem } from '../pki/certificate.ts';
import type { System } from '../system/ports.ts';
import { startBroker } from './broker/broker.ts';
import { openBrokerLink } from './broker/link.ts';
import { endSession } from './broker/sessions.ts';
import { type ControllerConfig, localAddress, publicName } from './config.ts';
import type { DomainTrust } from './domainTrust.ts';
import { commandTopic, createMessageHandler } from './gatewayMessages.ts';
import type { Membership } from './membership.ts';
import { createOrders, type Orders } from './orders.ts';
import { createPresence, type Presence } from './presence.ts';
import { createPublisher } from './publisher.ts';
import { openRevocations, type Revocations } from './revocations.ts';
import type { ServiceCredentials } from './serviceCredentials.ts';
import type { SignerClient } from './signer/client.ts';
import type { Store } from './store/store.ts';

export interface GatewaySide {
  readonly orders: Orders;
  readonly presence: Presence;
  /** The newest list. */
  revocationList(): Revocations['list'];
  /** The signer has one more entry of its own: a list with it is signed. */
  listAnew(): void;
  /** The fleet, the inventory or who is enrolled changed. */
  changed(): void;
  /** Other domain CAs count: when this resolves, no session stands that none of them lets in. */
  trust(domainAnchorPem: string): Promise<void>;
  renew(credentials: ServiceCredentials): Promise<void>;
  ailments(): readonly string[];
  /** Once the signal aborted. */
  close(): Promise<void>;
}

export async function openGatewaySide(parts: {
  readonly system: Pick<System, 'runner' | 'files' | 'clock' | 'log'>;
  readonly config: ControllerConfig;
  readonly store: Store;
  readonly signer: SignerClient;
  readonly anchors: DomainTrust;
  readonly credentials: ServiceCredentials;
  readonly membership: Pick<Membership, 'fleet' | 'admissions'>;
  /** Where gateways reach this controller, as they are told. */
  readonly endpoints: DesiredSpec['controller'];
  /** Whole firmware versions: version → signed manifest. */
  readonly firmware: () => Promise<ReadonlyMap<string, string>>;
  readonly signal: AbortSignal;
}): Promise<GatewaySide> {
  const { config, store, signer, anchors, credentials, endpoints, firmware, signal } = parts;
  const { runner, files, clock, log } = parts.system;
  const { fleet, admissions } = parts.membership;
  const { listen, mosquitto } = config;
  const publisher = createPublisher({
    store,
    fleet,
    admissions,
    signer,
    clock,
    log,
    link: () => link,
    controller: endpoints,
    firmware,
  });
  const command = (gatewayId: string, order: Command): Promise<void> =>
    link.publish(commandTopic(gatewayId), JSON.stringify(order));
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

  const brokerAddress = {
    host: localAddress(listen.address),
    port: listen.mqttPort,
    serverName: publicName(config),
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
  const isRoot = process.getuid?.() === 0;
  const broker = await startBroker(
    {
      runner,
      files,
      clock,
      log,
      program: mosquitto.program,
      place: {
        directory: join(config.stateDir, 'broker'),
        listenAddress: listen.address,
        port: listen.mqttPort,
        user: isRoot ? mosquitto.user : undefined,
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

  return {
    orders,
    presence,
    revocationList: () => revocations.list,
    listAnew: revocations.listAnew,
    changed() {
      publisher.trigger();
      revocations.trigger();
    },
    async trust(domainAnchorPem) {
      link.trust(domainAnchorPem);
      await broker.trust(domainAnchorPem);
    },
    async renew(next) {
      await broker.renew(next.server);
      link.renew(next.client);
    },
    ailments: () => [
      ...(link.connected ? [] : ['the MQTT broker is away']),
      ...(revocations.ailment === undefined ? [] : [revocations.ailment]),
    ],
    async close() {
      await publisher.stop();
      await revoking;
      await link.close();
      await broker.stop();
    },
  };
}
