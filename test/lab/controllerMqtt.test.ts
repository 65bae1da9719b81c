/**
 * MQTT between the real controller, its mosquitto and gateways that are MQTT clients with enrolled certificates:
 * desired states, confinement, status, events, proof, and what survives a killed controller.
 */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import mqtt, { type IClientOptions, type IPublishPacket, type MqttClient } from 'mqtt';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { ensureRootTree } from '../../src/lab/rootTree.ts';
import { DesiredState } from '../../src/model/desired.ts';
import { Command, type EventBatch, topicsOf } from '../../src/model/mqtt.ts';
import type { GatewayStatus } from '../../src/model/status.ts';
import { parseCertificate } from '../../src/pki/certificate.ts';
import { verifyJws } from '../../src/pki/jws.ts';
import { createRunner } from '../../src/system/linux/runner.ts';
import { type ControllerWorld, createControllerWorld, type Process } from './controllerWorld.ts';

let world: ControllerWorld;
let controller: Process;
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
  world = await createControllerWorld(await ensureRootTree(createRunner(), () => undefined));
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

async function options(box: string, identity: 'ldevid' | 'idevid'): Promise<IClientOptions> {
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

interface Received {
  readonly topic: string;
  readonly text: string;
  readonly retained: boolean;
}

interface Box {
  readonly client: MqttClient;
  readonly received: readonly Received[];
  /** The first message, come already or to come, that fits. */
  until(fits: (message: Received) => boolean): Promise<Received>;
  publish(topic: string, value: unknown): Promise<void>;
  /** Whatever this box sent before was handled by the controller when this resolves. */
  settled(): Promise<void>;
}

async function connect(id: string, change: IClientOptions = {}): Promise<Box> {
  const received: Received[] = [];
  const waiting = new Set<() => void>();
  const client = mqtt.connect({ ...(await options(boxOf(id), 'ldevid')), clientId: id, ...change });
  clients.push(client);
  client.on('message', (topic: string, payload: Buffer, packet: IPublishPacket) => {
    received.push({ topic, text: payload.toString('utf8'), retained: packet.retain });
    for (const check of waiting) check();
  });
  await new Promise<void>((resolve, reject) => {
    client.once('connect', () => resolve());
    client.once('error', reject);
    client.once('close', () => reject(new Error('the broker closed the connection')));
  });
  await client.subscribeAsync([topicsOf(id).cmd, topicsOf(id).desired], { qos: 1 });
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

const isDesired = (id: string) => (message: Received) => message.topic === topicsOf(id).desired;

function stateOf(message: Received): DesiredState {
  const payload = Buffer.from(message.text.split('.')[1] ?? '', 'base64url').toString('utf8');
  return DesiredState.parse(JSON.parse(payload));
}

let sequence = 0;
function statusOf(gatewayId: string, change: { key?: number; sequence?: number } = {}): GatewayStatus {
  sequence += 1;
  const seed = change.key ?? GATEWAYS.findIndex((id) => id === gatewayId) + 1;
  return {
    schema: 1,
    gatewayId,
    sequence: change.sequence ?? sequence,
    sentAtMs: 1,
    health: { state: 'ok', conditions: [] },
    uplinks: [],
    paths: [],
    segments: [],
    apps: [],
    facts: {
      serial: `SN-${gatewayId}`,
      model: 'lab',
      version: '0',
      bootId: 'boot',
      kernel: { release: '6', features: noFeatures },
      ports: [],
      leases: [],
      wireguardPublicKey: Buffer.alloc(32, seed).toString('base64'),
    },
  };
}
const noFeatures = Object.fromEntries(
  (
    'wireguard tun vxlan vxlan-vnifilter bridge bridge-vlan-filtering vlan vrf dummy nft-inet nft-bridge ' +
    'nft-netdev nft-bridge-conntrack flowtable netem fq-codel cake hsr ppp'
  )
    .split(' ')
    .map((name) => [name, false]),
) as GatewayStatus['facts']['kernel']['features'];

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
    const lie = statusOf('branch2', { key: 99, sequence: 1_000_000 });
    await expect(branch1.publish(topicsOf('branch2').status, lie)).rejects.toThrow(/not authorized/i);
    // By its own topic in another's name, and with another's key.
    await branch1.publish(topicsOf('branch1').status, lie);
    await branch1.publish(topicsOf('branch1').status, statusOf('branch1', { key: 3 }));
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
