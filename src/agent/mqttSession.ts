/**
 * Owns one MQTT 5 session over one TLS connection: from CONNECT to its end. It never reconnects by itself.
 * Does not own which uplink it stands on, nor what messages mean.
 */
import type { TLSSocket } from 'node:tls';
import { BranchboxError } from '../model/errors.ts';
import type { Obstacle } from '../model/obstacle.ts';
import { type Reply, topicsOf } from '../model/mqtt.ts';

/** Seconds. A dead connection is mostly noticed earlier, by a publish that nobody acknowledged. */
const KEEPALIVE_S = 10;
const CONNECT_TIMEOUT_MS = 5000;
/** From CONNECT to the last subscription: a broker may accept the first and never answer the other. */
const OPEN_TIMEOUT_MS = 10_000;
/** An acknowledgement later than this means that the way is dark: LTE round trips stay well below. */
const PUBLISH_TIMEOUT_MS = 2500;
/** Of what we take: the largest desired state as a JWS, with room. */
const MAXIMUM_PACKET_BYTES = 8 * 1024 * 1024;

export interface MqttSession {
  /** QoS 1; rejects and ends the session where the broker does not acknowledge in time. */
  publish(topic: string, text: string, retain: boolean): Promise<void>;
  end(reason: string): void;
  /** Resolves to why it ended. */
  readonly ended: Promise<string>;
}

export async function openMqttSession(options: {
  readonly socket: TLSSocket;
  readonly gatewayId: string;
  readonly openTimeoutMs?: number;
  readonly onMessage: (topic: string, payload: Uint8Array) => void;
}): Promise<MqttSession> {
  const { socket, gatewayId, openTimeoutMs = OPEN_TIMEOUT_MS } = options;
  // Loaded when first needed: a box comes up from its committed state before it thinks of its controller.
  // By its default: in the bundle a CommonJS package has no named exports.
  const { default: mqtt } = await import('mqtt');
  const { desired, cmd, reply } = topicsOf(gatewayId);
  const gone: Reply = { kind: 'gone', gatewayId };
  const client = new mqtt.MqttClient(() => socket, {
    protocolVersion: 5,
    clientId: gatewayId,
    username: gatewayId,
    clean: true,
    keepalive: KEEPALIVE_S,
    reconnectPeriod: 0,
    connectTimeout: CONNECT_TIMEOUT_MS,
    will: { topic: reply, payload: Buffer.from(JSON.stringify(gone)), qos: 1, retain: false },
    properties: { sessionExpiryInterval: 0, maximumPacketSize: MAXIMUM_PACKET_BYTES },
  });
  const ended = Promise.withResolvers<string>();
  let reason = 'the connection was closed';
  let isOver = false;
  /** Of what waits now. Not a race against one promise for all: it would keep a reaction of each while the session lives. */
  const waiting = new Set<(refusal: BranchboxError) => void>();
  const finish = (): void => {
    isOver = true;
    client.end(true);
    ended.resolve(reason);
    for (const refuse of waiting) refuse(refusedFor(reason));
  };
  const end = (why: string): void => {
    if (!isOver) reason = why;
    socket.destroy();
    finish();
  };
  client.on('error', (error) => end(whyOf(error)));
  client.on('disconnect', (packet) => {
    reason = `the broker ended it: ${packet.properties?.reasonString ?? packet.reasonCode ?? 'no reason'}`;
  });
  client.on('close', finish);
  client.on('message', (topic, payload) => options.onMessage(topic, payload));
  // What was announced to the broker binds nobody: its packets are held until they are whole.
  let heldBytes = 0;
  client.on('packetreceive', () => (heldBytes = 0));
  socket.on('data', (chunk: Uint8Array) => {
    heldBytes += chunk.length;
    if (heldBytes > MAXIMUM_PACKET_BYTES) end('the broker sent a packet that is too large');
  });

  const unlessEnded = async <T>(work: () => Promise<T>): Promise<T> => {
    if (isOver) throw refusedFor(reason);
    const { promise, resolve, reject } = Promise.withResolvers<T>();
    waiting.add(reject);
    work().then(resolve, reject);
    try {
      return await promise;
    } finally {
      waiting.delete(reject);
    }
  };
  const opening = setTimeout(() => end('the broker does not answer'), openTimeoutMs);
  try {
    await unlessEnded(() => new Promise<void>((resolve) => client.once('connect', () => resolve())));
    await unlessEnded(() =>
      client.subscribeAsync([desired, cmd], { qos: 1 }).catch((refused: Error) => {
        throw refusedFor(`the broker took no subscription: ${refused.message}`);
      }),
    );
  } finally {
    clearTimeout(opening);
  }

  return {
    ended: ended.promise,
    end,
    async publish(topic, text, retain) {
      const timer = setTimeout(() => end('a message was not acknowledged'), PUBLISH_TIMEOUT_MS);
      try {
        await unlessEnded(() => client.publishAsync(topic, text, { qos: 1, retain }));
      } finally {
        clearTimeout(timer);
      }
    },
  };
}

const refusedFor = (why: string): BranchboxError =>
  new BranchboxError('controller/refused', {
    message: `MQTT: ${why}`,
    fields: { obstacle: obstacleOfEnd(why) },
  });

/** By the words that are made below, OpenSSL's of an alert, and the MQTT client's of a refused CONNECT. Pure. */
export function obstacleOfEnd(why: string): Obstacle {
  if (why.includes(KEY_UNUSABLE)) return 'own-key';
  return /was revoked|alert (access denied|bad certificate|certificate|unknown ca)|not authori[sz]ed/i.test(
    why,
  )
    ? 'not-authorised'
    : 'connection';
}

const KEY_UNUSABLE = 'its key cannot be used';

/** In TLS 1.3 a refused certificate is told after the handshake: it comes as an error of the first read. */
function whyOf({ message }: Error): string {
  if (/alert certificate revoked/.test(message))
    return "this box's certificate was revoked at the controller";
  // OpenSSL shows no certificate where the TPM with its key does not answer.
  if (/alert certificate required/.test(message))
    return `the broker saw no certificate of this box: ${KEY_UNUSABLE} (branchbox bootstrap status)`;
  // OpenSSL's words end with a line of their own.
  return message.trim();
}
