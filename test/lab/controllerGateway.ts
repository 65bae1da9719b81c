/**
 * Owns a gateway as the controller sees one: an MQTT client with an enrolled certificate, which waits for messages.
 */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import mqtt, { type IClientOptions, type IPublishPacket, type MqttClient } from 'mqtt';
import { DesiredState } from '../../src/model/desired.ts';
import { topicsOf } from '../../src/model/mqtt.ts';
import type { ControllerWorld } from './controllerWorld.ts';

export async function brokerOptions(
  world: ControllerWorld,
  box: string,
  identity: 'ldevid' | 'idevid',
): Promise<IClientOptions> {
  return {
    protocol: 'mqtts',
    protocolVersion: 5,
    host: '127.0.0.1',
    port: world.ports.mqtt,
    servername: 'localhost',
    reconnectPeriod: 0,
    ca: await readFile(world.at('anchors/domain.pem')),
    key: await readFile(join(box, `${identity}.key`)),
    cert: await readFile(join(box, `${identity}.crt`)),
  };
}

export interface Received {
  readonly topic: string;
  readonly text: string;
  readonly retained: boolean;
}

export interface GatewayClient {
  readonly client: MqttClient;
  readonly received: readonly Received[];
  /** The first message, come already or to come, that fits. */
  until(fits: (message: Received) => boolean): Promise<Received>;
  publish(topic: string, value: unknown): Promise<void>;
  /** Whatever this box sent before was handled by the controller when this resolves. */
  settled(): Promise<void>;
}

/** Throws where the broker does not let it in. */
export async function connectGateway(options: IClientOptions, id: string): Promise<GatewayClient> {
  const received: Received[] = [];
  const waiting = new Set<() => void>();
  const client = mqtt.connect(options);
  client.on('message', (topic: string, payload: Buffer, packet: IPublishPacket) => {
    received.push({ topic, text: payload.toString('utf8'), retained: packet.retain });
    for (const check of waiting) check();
  });
  const refused = new Promise<never>((_, reject) => {
    client.once('error', reject);
    client.once('close', () => reject(new Error('the broker closed the connection')));
  });
  refused.catch(() => undefined);
  await Promise.race([refused, new Promise<void>((resolve) => void client.once('connect', () => resolve()))]);
  await Promise.race([refused, client.subscribeAsync([topicsOf(id).cmd, topicsOf(id).desired], { qos: 1 })]);
  const until = (fits: (message: Received) => boolean): Promise<Received> =>
    new Promise((resolve) => {
      const check = (): void => {
        const found = received.find(fits);
        if (found === undefined) return;
        waiting.delete(check);
        resolve(found);
      };
      waiting.add(check);
      check();
    });
  const publish = async (topic: string, value: unknown): Promise<void> => {
    await client.publishAsync(topic, JSON.stringify(value), { qos: 1 });
  };
  let proofs = 0;
  return {
    client,
    received,
    until,
    publish,
    async settled() {
      const nonce = `settled-${(proofs += 1)}`;
      await publish(topicsOf(id).reply, { kind: 'proof-request', gatewayId: id, nonce });
      await until((message) => message.text === JSON.stringify({ kind: 'proof', nonce }));
    },
  };
}

export const isDesired = (id: string) => (message: Received) => message.topic === topicsOf(id).desired;

export function stateOf(message: Received): DesiredState {
  const payload = Buffer.from(message.text.split('.')[1] ?? '', 'base64url').toString('utf8');
  return DesiredState.parse(JSON.parse(payload));
}
