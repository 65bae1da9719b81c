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
  readonly subscribeTimeoutMs?: number;
  readonly reconnectMs?: typeof reconnectMsAfter;
}

const RECONNECT_MS = 500;
/** Between connections on which the broker takes no subscription: it would go on refusing, and the log would fill. */
const RECONNECT_MAX_MS = 30_000;
const CONNECT_TIMEOUT_MS = 5_000;
/** A broker on this machine answers at once. */
const SUBSCRIBE_TIMEOUT_MS = 10_000;
/** A message that waits longer is had again by the next trigger. */
const PUBLISH_TIMEOUT_MS = 10_000;
const KEEPALIVE_S = 15;

/** How long the next connection waits, behind so many on which the broker took no subscription. Pure. */
export const reconnectMsAfter = (refusals: number): number =>
  Math.min(RECONNECT_MS * 2 ** refusals, RECONNECT_MAX_MS);

export function openBrokerLink(options: LinkOptions): BrokerLink {
  const { log, subscribeTimeoutMs = SUBSCRIBE_TIMEOUT_MS, reconnectMs = reconnectMsAfter } = options;
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
    reconnectPeriod: reconnectMs(0),
    connectTimeout: CONNECT_TIMEOUT_MS,
    // A message is published again from the store; a queue here would only send old ones late.
    queueQoSZero: false,
    resubscribe: false,
    properties: { maximumPacketSize: MESSAGE_MAX_BYTES.status + PACKET_OVERHEAD_BYTES },
  });
  /** Rejects where the broker refuses, goes, or does not answer; mqtt.js waits for an answer as long as the connection stands. */
  const subscribe = async (): Promise<void> => {
    const { promise: late, reject } = Promise.withResolvers<never>();
    const timer = setTimeout(() => reject(new Error('it does not answer')), subscribeTimeoutMs);
    try {
      await Promise.race([client.subscribeAsync([ALL_STATUS, ALL_EVENTS, ALL_REPLIES], { qos: 1 }), late]);
    } finally {
      clearTimeout(timer);
    }
  };
  let refusals = 0;
  const refusedSoOften = (times: number): void => {
    refusals = times;
    client.options.reconnectPeriod = reconnectMs(times);
  };
  client.on('connect', () => {
    const { stream } = client;
    void subscribe().then(
      () => {
        refusedSoOften(0);
        log.info('connected to the broker');
        options.onConnected();
      },
      (error: unknown) => {
        if (client.disconnecting) return;
        log.warn('the broker took no subscription', { error: String(error) });
        refusedSoOften(refusals + 1);
        // A connection on which nothing is heard; the next one subscribes again.
        stream.destroy();
      },
    );
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
