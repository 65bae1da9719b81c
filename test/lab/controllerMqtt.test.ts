/**
 * MQTT between the real controller, its mosquitto and gateways that are MQTT clients with enrolled certificates:
 * desired states, confinement, status, events, proof, and what survives a killed controller.
 */
import { readFile, writeFile } from 'node:fs/promises';
import mqtt, { type IClientOptions, type MqttClient } from 'mqtt';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { DesiredState } from '../../src/model/desired.ts';
import { Command, type EventBatch, topicsOf } from '../../src/model/mqtt.ts';
import { parseCertificate } from '../../src/pki/certificate.ts';
import { verifyJws } from '../../src/pki/jws.ts';
import {
  brokerOptions,
  connectGateway,
  type GatewayClient,
  isDesired,
  type Received,
  stateOf,
} from './controllerGateway.ts';
import { statusWith } from '../unit/controller/statusFixture.ts';
import { type ControllerWorld, createControllerWorld } from './controllerWorld.ts';
import type { Running } from './processes.ts';
import { quietRootTree } from './quietRootTree.ts';

let world: ControllerWorld;
let controller: Running;
const clients: MqttClient[] = [];
const GATEWAYS = ['hub', 'branch1', 'branch2'] as const;

const fleetToml = (site: string, others: string): string => `
[fleet]
name = "test"
${GATEWAYS.map(
  (id, i) => `
[[gateways]]
id = "${id}"
serial = "SN-${id}"
role = "${id === 'hub' ? 'hub' : 'branch'}"
site = "${id === 'branch1' ? site : id === 'branch2' ? others : id}"
vtep = "10.255.0.${i + 1}"
uplinks = [{ name = "internet", port = "wan1"${id === 'hub' ? ', publicAddress = "198.51.100.20"' : ''} }]
`,
).join('')}`;

/** Sites of branch1 and of branch2. */
async function applyFleet(site: string, others = 'unchanged'): Promise<void> {
  await writeFile(world.at('fleet.toml'), fleetToml(site, others));
  await world.fleet('apply', world.at('fleet.toml'));
}

beforeAll(async () => {
  world = await createControllerWorld(await quietRootTree());
  controller = await world.startController();
  await world.fleet('inventory', ...GATEWAYS.map((id) => `SN-${id}`));
  await applyFleet('first');
  for (const id of GATEWAYS) await world.enrol(await world.newIdentity(`SN-${id}`));
});
afterEach(async () => {
  for (const client of clients.splice(0)) await client.endAsync(true);
});
afterAll(() => world.remove());

const boxOf = (id: string): string => world.at(`box-SN-${id}`);

const connect = async (id: string, change: IClientOptions = {}): Promise<GatewayClient> => {
  const client = await connectGateway(
    { ...(await options(boxOf(id), 'ldevid')), clientId: id, ...change },
    id,
  );
  clients.push(client.client);
  return client;
};
const options = (box: string, identity: 'ldevid' | 'idevid') => brokerOptions(world, box, identity);

let sequence = 0;
function statusOf(gatewayId: string, change: { seed?: number; sequence?: number } = {}) {
  sequence += 1;
  const seed = GATEWAYS.findIndex((id) => id === gatewayId) + 1;
  return statusWith(gatewayId, { seed, sequence, ...change });
}

describe('a gateway', () => {
  it('finds its desired state retained, signed by the domain for configuration', async () => {
    const branch1 = await connect('branch1');
    const message = await branch1.until(isDesired('branch1'));
    expect(message.retained).toBe(true);
    const domain = parseCertificate(await readFile(world.at('anchors/domain.pem'), 'utf8'));
    const verified = await verifyJws(message.text, { anchors: [domain], atMs: Date.now() });
    const state = DesiredState.parse(JSON.parse(Buffer.from(verified.payload).toString('utf8')));
    expect(state).toMatchObject({ gatewayId: 'branch1', epoch: 1, spec: { site: 'first' } });
    const shown = await world.api('/api/v1/gateways/branch1/desired');
    expect(shown).toMatchObject({ jws: message.text, state: { generation: state.generation } });
  });

  it('is told anew only when its own design changed', async () => {
    const branch1 = await connect('branch1');
    const branch2 = await connect('branch2');
    const before = stateOf(await branch1.until(isDesired('branch1'))).generation;
    const other = stateOf(await branch2.until(isDesired('branch2'))).generation;
    await applyFleet('second');
    await branch1.until((m) => isDesired('branch1')(m) && stateOf(m).generation === before + 1);
    await branch2.settled();
    expect(await world.api('/api/v1/gateways/branch2/desired')).toMatchObject({
      state: { generation: other },
    });
  });

  it('reports its status, and its key becomes a peer at the hub', async () => {
    const hub = await connect('hub');
    const branch1 = await connect('branch1');
    await branch1.publish(topicsOf('branch1').status, statusOf('branch1'));
    const told = await hub.until(
      (m) => isDesired('hub')(m) && stateOf(m).spec.tunnels.some((tunnel) => tunnel.peers.length > 0),
    );
    const [peer] = stateOf(told).spec.tunnels[0]?.peers ?? [];
    expect(peer).toMatchObject({ gatewayId: 'branch1', path: 'branch1.internet~hub.internet' });
    expect(await world.api('/api/v1/gateways/branch1/status')).toMatchObject({
      status: { gatewayId: 'branch1' },
    });
  });

  it('has its events stored once, and is told so', async () => {
    const branch1 = await connect('branch1');
    const batch: EventBatch = {
      gatewayId: 'branch1',
      events: [
        { id: 'boot/1', atMs: 1, kind: 'agent-started', subject: 'agent', sentence: 'The agent started.' },
        { id: 'boot/2', atMs: 2, kind: 'path-changed', subject: 'path', sentence: 'A path changed.' },
      ],
    };
    await branch1.publish(topicsOf('branch1').events, batch);
    await branch1.publish(topicsOf('branch1').events, batch);
    const stored = JSON.stringify({ kind: 'events-stored', ids: ['boot/1', 'boot/2'] });
    await branch1.until((message) => message.text === stored);
    await branch1.settled();
    const events = await world.api('/api/v1/gateways/branch1/events');
    expect(events).toMatchObject([{ id: 'boot/1' }, { id: 'boot/2' }]);
    expect(events).toHaveLength(2);
    expect(Command.safeParse(JSON.parse(stored)).success).toBe(true);
  });
});

describe('a gateway that tries what is not its own', () => {
  it('is heard by the controller under no other name', async () => {
    const branch1 = await connect('branch1');
    // First that the topic works for the one it belongs to.
    const branch2 = await connect('branch2');
    await branch2.publish(topicsOf('branch2').status, statusOf('branch2'));
    await branch2.settled();
    const honest = await world.api('/api/v1/gateways/branch2/status');
    const lie = statusOf('branch2', { seed: 99, sequence: 1_000_000 });
    await expect(branch1.publish(topicsOf('branch2').status, lie)).rejects.toThrow(/not authorized/i);
    // By its own topic in another's name, and with another's key.
    await branch1.publish(topicsOf('branch1').status, lie);
    await branch1.publish(topicsOf('branch1').status, statusOf('branch1', { seed: 3 }));
    await branch1.settled();
    expect(await world.api('/api/v1/gateways/branch2/status')).toEqual(honest);
    expect(await world.api('/api/v1/gateways/branch1/status')).toMatchObject({
      status: { facts: { wireguardPublicKey: Buffer.alloc(32, 2).toString('base64') } },
    });
  });

  it('hears nothing of another', async () => {
    const branch1 = await connect('branch1');
    const branch2 = await connect('branch2');
    const everything = ['#', 'branchbox/#', 'branchbox/v1/gw/+/desired', topicsOf('branch2').cmd, '$SYS/#'];
    await branch1.client.subscribeAsync(everything, { qos: 1 }).catch(() => undefined);
    // Its own do arrive by the same subscriptions, so silence is no broken client.
    await branch2.settled();
    await branch1.settled();
    await applyFleet('third', 'a-secret-of-branch2');
    const siteIs = (site: string) => (m: Received) =>
      m.topic.endsWith('/desired') && stateOf(m).spec.site === site;
    await branch2.until(siteIs('a-secret-of-branch2'));
    await branch1.until(siteIs('third'));
    await branch2.settled();
    await branch1.settled();
    const own: readonly string[] = [topicsOf('branch1').desired, topicsOf('branch1').cmd];
    expect(branch1.received.filter((message) => !own.includes(message.topic))).toEqual([]);
  });

  it('may not write what it reads, nor reach others by a command', async () => {
    const branch1 = await connect('branch1');
    for (const topic of [
      topicsOf('branch1').desired,
      topicsOf('branch2').cmd,
      'branchbox/v1/gw/hub/desired',
      'x',
    ]) {
      await expect(branch1.publish(topic, {})).rejects.toThrow(/not authorized/i);
    }
  });

  it('has the client id of its certificate, whatever it says', async () => {
    const branch2 = await connect('branch2');
    const closed: string[] = [];
    branch2.client.on('close', () => closed.push('branch2'));
    const liar = await connect('branch1', { clientId: 'branch2' });
    await liar.settled();
    await branch2.settled();
    await connect('branch1', {
      clientId: 'controller.service',
      username: 'controller.service',
      password: 'x',
    });
    await branch2.settled();
    expect(closed).toEqual([]);
  });

  it('is not let in by a factory identity or by nothing', async () => {
    const { key: _key, cert: _cert, ...anonymous } = await options(boxOf('branch1'), 'ldevid');
    const tries: IClientOptions[] = [await options(boxOf('branch1'), 'idevid'), anonymous];
    for (const attempt of tries) {
      const client = mqtt.connect({ ...attempt, clientId: 'branch1' });
      clients.push(client);
      const outcome = await new Promise<string>((resolve) => {
        client.once('connect', () => resolve('connected'));
        client.once('error', () => resolve('refused'));
        client.once('close', () => resolve('refused'));
      });
      expect(outcome).toBe('refused');
    }
  });

  it('is told nothing after junk, and the controller goes on', async () => {
    const branch1 = await connect('branch1');
    for (const topic of [topicsOf('branch1').status, topicsOf('branch1').events, topicsOf('branch1').reply]) {
      await branch1.client.publishAsync(topic, Buffer.alloc(70_000, 0x7b), { qos: 1 });
      await branch1.publish(topic, { schema: 1 });
    }
    await branch1.settled();
  });
});

describe('a controller that was killed', () => {
  it('starts over its own broker, with the same generations', async () => {
    const before = await world.api('/api/v1/status');
    await controller.end('SIGKILL');
    controller = await world.startController();
    const branch1 = await connect('branch1');
    await branch1.until(isDesired('branch1'));
    await branch1.settled();
    expect(await world.api('/api/v1/status')).toEqual(before);
  });

  it('and was put back from an old copy has a higher epoch', async () => {
    await controller.end('SIGTERM');
    controller = await world.startController('--raise-epoch');
    const branch1 = await connect('branch1');
    await branch1.until((m) => isDesired('branch1')(m) && stateOf(m).epoch === 2);
    expect(await world.api('/api/v1/status')).toMatchObject({ epoch: 2 });
  });
});
