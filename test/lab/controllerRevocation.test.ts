/**
 * What a revocation costs the revoked box at the real mosquitto, and nobody else: its living session, every way back,
 * what a broker does that cannot be told, and being taken back.
 */
import { readFile, writeFile } from 'node:fs/promises';
import { once } from 'node:events';
import { join } from 'node:path';
import { connect as connectTls, type ConnectionOptions } from 'node:tls';
import type { MqttClient } from 'mqtt';
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';
import { openMqttSession } from '../../src/agent/mqttSession.ts';
import { topicsOf } from '../../src/model/mqtt.ts';
import { parseCertificate } from '../../src/pki/certificate.ts';
import { statusWith } from '../unit/controller/statusFixture.ts';
import { brokerOptions, connectGateway, type GatewayClient } from './controllerGateway.ts';
import { type ControllerWorld, createControllerWorld } from './controllerWorld.ts';
import type { Running } from './processes.ts';
import { quietRootTree } from './quietRootTree.ts';

let world: ControllerWorld;
let controller: Running;
const clients: MqttClient[] = [];

const gateway = (id: string, serial: string, host: number): string => `
[[gateways]]
id = "${id}"
serial = "${serial}"
role = "branch"
site = "here"
vtep = "10.255.0.${host}"
uplinks = [{ name = "internet", port = "wan1" }]
`;
async function applyFleet(serialOfOne: string): Promise<void> {
  const gateways = gateway('one', serialOfOne, 11) + gateway('two', 'SN-two', 12);
  await writeFile(world.at('fleet.toml'), `[fleet]\nname = "test"\n${gateways}`);
  await world.fleet('apply', world.at('fleet.toml'));
}

beforeAll(async () => {
  world = await createControllerWorld(await quietRootTree());
  controller = await world.startController();
  await world.fleet('inventory', 'SN-one', 'SN-two', 'SN-new');
  await applyFleet('SN-one');
  for (const id of ['one', 'two']) await world.enrol(await world.newIdentity(`SN-${id}`));
});
afterEach(async () => {
  for (const client of clients.splice(0)) await client.endAsync(true);
  await world.patchInventory('SN-one', { revoked: false });
  await untilIn('one');
});
afterAll(() => world.remove());

const boxOf = (id: string): string => world.at(`box-SN-${id}`);
async function connect(id: string, box = boxOf(id)): Promise<GatewayClient> {
  const made = await connectGateway({ ...(await brokerOptions(world, box, 'ldevid')), clientId: id }, id);
  clients.push(made.client);
  return made;
}
const tlsOf = async (id: string): Promise<ConnectionOptions> => ({
  host: '127.0.0.1',
  port: world.ports.mqtt,
  servername: 'localhost',
  ca: await readFile(world.at('anchors/domain.pem')),
  key: await readFile(join(boxOf(id), 'ldevid.key')),
  cert: await readFile(join(boxOf(id), 'ldevid.crt')),
});
/** Tries until the broker has heard that this box counts. */
async function untilIn(id: string): Promise<GatewayClient> {
  for (;;) {
    try {
      return await connect(id);
    } catch (thrown) {
      if (!/revoked|ECONNREFUSED|ECONNRESET|closed|disconnected/.test(String(thrown))) throw thrown;
    }
  }
}
/**
 * That this box is refused for being revoked. In TLS 1.3 a client has sent its first message by then, and the reset
 * that answers it can overtake the alert: tried again until the reason is told.
 */
async function refused(attempt: () => Promise<unknown>, why = /certificate revoked/): Promise<void> {
  for (;;) {
    try {
      await attempt();
    } catch (thrown) {
      if (why.test(String(thrown))) return;
      if (/ECONNREFUSED|ECONNRESET|closed|disconnected/.test(String(thrown))) continue;
      throw thrown;
    }
    throw new Error('it was let in');
  }
}
const closed = (of: GatewayClient): Promise<void> =>
  new Promise((resolve) => of.client.once('close', () => resolve()));
const brokerPid = async (): Promise<number> =>
  Number(await readFile(world.at('controller/broker/mosquitto.pid'), 'utf8'));

let sequence = 0;
const publishStatus = (of: GatewayClient, id: string): Promise<void> =>
  of.publish(topicsOf(id).status, statusWith(id, { seed: id === 'one' ? 1 : 2, sequence: (sequence += 1) }));

it('ends the session of the revoked box and keeps it out, and another box notices nothing', async () => {
  const one = await connect('one');
  const two = await connect('two');
  // Before: it is believed.
  await publishStatus(one, 'one');
  await one.settled();
  expect(await world.api('/api/v1/gateways/one/status')).toMatchObject({ status: { sequence } });
  let interruptions = 0;
  two.client.on('close', () => (interruptions += 1));

  const codes: (number | undefined)[] = [];
  one.client.on('disconnect', (packet) => codes.push(packet.reasonCode));
  const ended = closed(one);
  await world.patchInventory('SN-one', { revoked: true });
  await ended;
  // MQTT 5: 0x8E, session taken over.
  expect(codes).toEqual([0x8e]);
  await refused(() => connect('one'));

  const csr = await world.newRequest(boxOf('one'), 'late', '/CN=one');
  const shown = ['--cacert', world.at('anchors/domain.pem'), '--key', join(boxOf('one'), 'ldevid.key')];
  const asOne = [...shown, '--cert', join(boxOf('one'), 'ldevid.crt')];
  const pkcs10 = ['-H', 'Content-Type: application/pkcs10', '--data-binary', `@${csr}`];
  const reenroll = `https://localhost:${world.ports.est}/.well-known/est/simplereenroll`;
  expect((await world.curl(...asOne, ...pkcs10, reenroll)).status).toBe(403);
  expect((await world.curl(...asOne, `https://localhost:${world.ports.device}/v1/ping`)).status).toBe(403);

  await publishStatus(two, 'two');
  await two.settled();
  expect(interruptions).toBe(0);
});

it('tells the box why, as its status words it', async () => {
  const one = await connect('one');
  const ended = closed(one);
  await world.patchInventory('SN-one', { revoked: true });
  await ended;
  const words = await tlsOf('one');
  const attempt = async () => {
    const socket = connectTls(words);
    // As the box does: MQTT begins on a connection that stands.
    await once(socket, 'secureConnect');
    await openMqttSession({ socket, gatewayId: 'one', onMessage: () => undefined });
  };
  await refused(attempt, /MQTT: this box's certificate was revoked at the controller$/);
});

it('lets no TLS session of before be resumed', async () => {
  const words = await tlsOf('one');
  const dial = async (session?: Buffer) => {
    const socket = connectTls({ ...words, ...(session === undefined ? {} : { session }) });
    const ticket = new Promise<Buffer>((resolve, reject) => {
      socket.once('session', resolve);
      socket.once('error', reject);
      socket.once('close', () => reject(new Error('the broker closed the connection')));
    });
    ticket.catch(() => undefined);
    return { socket, ticket };
  };
  const before = await dial();
  const ticket = await before.ticket;
  // The control: while it counts, a ticket is as good as the certificate.
  const resumed = await dial(ticket);
  await once(resumed.socket, 'secureConnect');
  expect(resumed.socket.isSessionReused()).toBe(true);
  const next = await resumed.ticket;
  before.socket.destroy();
  resumed.socket.destroy();

  const one = await connect('one');
  const ended = closed(one);
  await world.patchInventory('SN-one', { revoked: true });
  await ended;
  await refused(async () => (await dial(next)).ticket);
});

it('lets a box that is taken back in again, and its messages count', async () => {
  const one = await connect('one');
  const ended = closed(one);
  await world.patchInventory('SN-one', { revoked: true });
  await ended;
  await world.patchInventory('SN-one', { revoked: false });
  const again = await untilIn('one');
  await publishStatus(again, 'one');
  await again.settled();
  expect(await world.api('/api/v1/gateways/one/status')).toMatchObject({ status: { sequence } });
});

it('serves the list to whoever verifies', async () => {
  const one = await connect('one');
  const ended = closed(one);
  await world.patchInventory('SN-one', { revoked: true });
  await ended;
  const anchored = ['--cacert', world.at('anchors/domain.pem')];
  const answer = await world.curl(...anchored, `https://localhost:${world.ports.api}/domain.crl`);
  expect(answer.headers.get('content-type')).toBe('application/pkix-crl');
  await writeFile(world.at('domain.crl'), answer.body);
  const { number } = parseCertificate(await readFile(join(boxOf('one'), 'ldevid.crt'), 'utf8'));
  const der = ['-inform', 'DER', '-in', world.at('domain.crl')];
  expect(await world.openssl('crl', ...der, '-noout', '-text')).toContain(number.toUpperCase());
  await world.openssl('crl', ...der, '-out', world.at('domain.crl.pem'));
  const against = [
    '-crl_check',
    '-CAfile',
    world.at('anchors/domain.pem'),
    '-CRLfile',
    world.at('domain.crl.pem'),
  ];
  const verify = (id: string) => world.openssl('verify', ...against, join(boxOf(id), 'ldevid.crt'));
  await expect(verify('one')).rejects.toThrow(/certificate revoked/);
  expect(await verify('two')).toContain('OK');
});

it('takes its own certificates out of use for good, and no box notices: the broker goes by the same list', async () => {
  const one = await connect('one');
  let interruptions = 0;
  one.client.on('close', () => (interruptions += 1));
  const numbersIn = (text: string) => [...text.matchAll(/^in use +(\w+)/gm)].map(([, number = '']) => number);
  const before = numbersIn(await world.controller('certificates'));
  for (const number of before)
    expect(await world.controller('revoke', number)).toContain(`${number} was in use`);
  const after = numbersIn(await world.controller('certificates'));
  expect(after.filter((number) => before.includes(number))).toEqual([]);
  await publishStatus(one, 'one');
  await one.settled();
  expect(interruptions).toBe(0);
  // Who connects is shown the new one, and is let in as before.
  const shown = connectTls(await tlsOf('two'));
  await once(shown, 'secureConnect');
  expect(shown.getPeerCertificate().serialNumber.toLowerCase()).toBe(after[0]);
  shown.destroy();
  const two = await connect('two');
  await publishStatus(two, 'two');
  await two.settled();
  // The controller itself is a client of the broker, by a certificate that is on no list.
  const connects = () => controller.lines.filter((line) => line.includes('connected to the broker')).length;
  const connected = connects();
  process.kill(await brokerPid(), 'SIGKILL');
  await expect.poll(connects, { timeout: 60_000 }).toBeGreaterThan(connected);
  await untilIn('two');

  const anchored = ['--cacert', world.at('anchors/domain.pem')];
  const device = `https://localhost:${world.ports.device}/v1/revocation-lists`;
  const lists = await world.curl(...anchored, device);
  expect([lists.status, lists.headers.get('content-type')]).toEqual([200, 'application/x-pem-file']);
  await writeFile(world.at('lists.pem'), lists.body);
  const text = await world.openssl('crl', '-in', world.at('lists.pem'), '-noout', '-text');
  for (const number of before) expect(text).toContain(number.toUpperCase());
  expect(text.match(/Key Compromise/g)).toHaveLength(before.length);
});

it('keeps out a box whose place another one has, under the same name', async () => {
  const old = await connect('one');
  const ended = closed(old);
  await applyFleet('SN-new');
  await ended;
  await world.enrol(await world.newIdentity('SN-new'));
  const next = await connect('one', boxOf('new'));
  await next.settled();
  await refused(() => connect('one'));
  await applyFleet('SN-one');
});

it('starts a broker again that spoilt its list, rather than have it go on without one', async () => {
  const one = await connect('one');
  const ended = closed(one);
  await world.patchInventory('SN-one', { revoked: true });
  await ended;
  await writeFile(world.at('controller/broker/revoked.crl'), 'not a list');
  process.kill(await brokerPid(), 'SIGHUP');
  await controller.said(/cannot read its files/);
  await untilIn('two');
  await refused(() => connect('one'));
});

it('starts a broker again that does not listen: the revoked box is out, the others come back', async () => {
  const one = await connect('one');
  const two = await connect('two');
  const pid = await brokerPid();
  const ended = Promise.all([closed(one), closed(two)]);
  process.kill(pid, 'SIGSTOP');
  await world.patchInventory('SN-one', { revoked: true });
  await ended;
  await untilIn('two');
  expect(await brokerPid()).not.toBe(pid);
  await refused(() => connect('one'));
});
