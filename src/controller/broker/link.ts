/**
 * Owns the controller's connection to its broker: MQTT 5 under mutual TLS, subscriptions, reconnecting.
 * Does not own what a message means (gatewayMessages.ts).
 */
import mqtt, { type MqttClient } from 'mqtt';
import { BranchboxError } from '../../model/errors.ts';
import {
  ALL_EVENTS,
  ALL_REPLIES,
  ALL_STATUS,
  MESSAGE_MAX_BYTES,
  PACKET_OVERHEAD_BYTES,
} from '../../model/mqtt.ts';
import type { Logger } from '../../system/ports.ts';
import type { BrokerAddress } from './sessions.ts';
import { CLIENT_NAME, type ServiceCredential } from '../serviceCredentials.ts';

export interface BrokerLink {
  readonly connected: boolean;
  /** QoS 1: resolves when the broker has it; controller/unreachable where it is away. */
  publish(topic: string, payload: string, options?: { readonly retain?: boolean }): Promise<void>;
  /** For the next connection; this one goes on. */
  renew(credential: ServiceCredential): void;
  /** The same of whom it believes. */
  trust(domainAnchorPem: string): void;
  close(): Promise<void>;
}

export interface LinkOptions extends BrokerAddress {
  readonly credential: ServiceCredential;
  readonly log: Logger;
  readonly onMessage: (topic: string, payload: Buffer) => void;
  /** After each connection: whatever was published meanwhile may be lost. */
  readonly onConnected: () => void;
}

const RECONNECT_MS = 500;
const CONNECT_TIMEOUT_MS = 5_000;
/** A broker on this machine answers at once; a message that waits longer is had again by the next trigger. */
const PUBLISH_TIMEOUT_MS = 10_000;
const KEEPALIVE_S = 15;

export function openBrokerLink(options: LinkOptions): BrokerLink {
  const { log } = options;
  const client: MqttClient = mqtt.connect({
    protocol: 'mqtts',
    protocolVersion: 5,
    host: options.host,
    port: options.port,
    servername: options.serverName,
    ca: options.domainAnchorPem,
    key: options.credential.key.reveal(),
    cert: options.credential.certificatePem,
    clientId: CLIENT_NAME,
    clean: true,
    keepalive: KEEPALIVE_S,
    reconnectPeriod: RECONNECT_MS,
    connectTimeout: CONNECT_TIMEOUT_MS,
    // A message is published again from the store; a queue here would only send old ones late.
    queueQoSZero: false,
    resubscribe: false,
    properties: { maximumPacketSize: MESSAGE_MAX_BYTES.status + PACKET_OVERHEAD_BYTES },
  });
  client.on('connect', () => {
    const { stream } = client;
    void client
      .subscribeAsync([ALL_STATUS, ALL_EVENTS, ALL_REPLIES], { qos: 1 })
      .then(() => {
        log.info('connected to the broker');
        options.onConnected();
      })
      .catch((error: unknown) => {
        log.warn('the broker took no subscription', { error: String(error) });
        // A connection on which nothing is heard; the next one subscribes again.
        stream.destroy();
      });
  });
  client.on('message', (topic, payload) => options.onMessage(topic, payload));
  client.on('error', (error) => log.warn('the connection to the broker failed', { error: error.message }));
  return {
    get connected() {
      return client.connected;
    },
    async publish(topic, payload, { retain = false } = {}) {
      if (!client.connected) throw away('it is not connected');
      const { promise, resolve, reject } = Promise.withResolvers<void>();
      const timer = setTimeout(() => reject(away('it does not answer')), PUBLISH_TIMEOUT_MS);
      client.publishAsync(topic, payload, { qos: 1, retain }).then(
        () => resolve(),
        (cause: unknown) => reject(away(cause instanceof Error ? cause.message : String(cause), cause)),
      );
      try {
        await promise;
      } finally {
        clearTimeout(timer);
      }
    },
    renew(credential) {
      client.options.key = credential.key.reveal();
      client.options.cert = credential.certificatePem;
    },
    trust(domainAnchorPem) {
      client.options.ca = domainAnchorPem;
    },
    async close() {
      await client.endAsync(true);
    },
  };
}

function away(why: string, cause?: unknown): BranchboxError {
  return new BranchboxError('controller/unreachable', {
    message: `the broker cannot be told: ${why}`,
    ...(cause !== undefined && { cause }),
  });
}
