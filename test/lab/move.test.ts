/**
 * A box that goes from one controller to another: two real controllers with a signer each, mosquitto, the box's identity
 * process, and the agent's own parts for it (moveAgent.ts). What an order must not be able to do, and that a box whose next
 * controller does not take it is at its own as if nothing had been.
 */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { createKeyFiles } from '../../src/controller/keyholder/keyFiles.ts';
import { Invitation } from '../../src/model/move.ts';
import { parseCertificate } from '../../src/pki/certificate.ts';
import { signJws } from '../../src/pki/jws.ts';
import { createFiles } from '../../src/system/linux/files.ts';
import { handOnMove } from '../../src/agent/moveTurn.ts';
import { statusWith } from '../unit/controller/statusFixture.ts';
import { entriesOf, last, ownerOf, statusOf, until, untilState } from './bootstrapObserve.ts';
import { ADDRESS, type BootstrapWorld, createBootstrapWorld, readText } from './bootstrapWorld.ts';
import type { Running } from './processes.ts';
import { quietRootTree } from './quietRootTree.ts';

const SERIAL = 'MOVE-1';
const OTHER_SERIAL = 'MOVE-2';
const NEXT_NAME = 'next.branchbox.example';
let world: BootstrapWorld;
let box: string;
let agent: Running;
let identity: Running;
let nextController: Running;
let nextAccess: readonly string[];

const at = (name: string): string => join(world.directory, name);
const fleet = (...words: readonly string[]) => world.branchbox('fleet', ...words, ...world.apiAccess);
const nextFleet = (...words: readonly string[]) => world.branchbox('fleet', ...words, ...nextAccess);
const gatewayToml = (id: string, serial: string, site: string, host: number): string => `
[[gateways]]
id = "${id}"
serial = "${serial}"
role = "branch"
site = "${site}"
vtep = "10.255.0.${host}"
[[gateways.uplinks]]
name = "internet"
port = "wan1"
`;
async function place(by: typeof fleet, id: string, site: string): Promise<void> {
  const file = at(`${site}.toml`);
  await writeFile(
    file,
    `[fleet]\nname = "${site}"\n${gatewayToml(id, SERIAL, site, 11)}${gatewayToml(`${id}-2`, OTHER_SERIAL, site, 12)}`,
  );
  await by('apply', file);
  await by('inventory', SERIAL, OTHER_SERIAL);
}

/** The same manufacturer's customer, at other ports of the same address, with a domain of its own. */
async function startNext(): Promise<void> {
  const toml = (await readText(at('controller.toml')))
    .replace(/^stateDir = .*$/m, `stateDir = "${at('next')}"`)
    .replace(/^names = .*$/m, `names = ["${NEXT_NAME}"]`)
    .replace(
      /^address = .*$/m,
      `$&\nsztpPort = 8543\nestPort = 8544\napiPort = 8545\ndevicePort = 8546\nmqttPort = 8983\nprobePorts = [8547, 8548]`,
    )
    .replace(/^socket = .*$/m, `socket = "${at('next-signer.sock')}"`);
  await writeFile(at('next.toml'), toml);
  const signer = ['--state', at('next-signer'), '--socket', at('next-signer.sock')];
  await world.start('src/cli/main.ts', 'signer', 'serve', ...signer).said(/signer is listening/);
  nextController = world.start('src/cli/main.ts', 'controller', 'serve', '--config', at('next.toml'));
  await nextController.said(/\bready\b/);
  await world.branchbox('controller', 'anchors', '--config', at('next.toml'), '--out', at('next-anchors'));
  nextAccess = [
    '--api',
    `https://${ADDRESS.controller}:8545`,
    '--ca',
    at('next-anchors/domain.pem'),
    '--credential',
    at('next/admin.credential'),
  ];
}

beforeAll(async () => {
  world = await createBootstrapWorld(await quietRootTree());
  await world.startServices();
  await startNext();
  await place(fleet, 'here', 'first');
  await place(nextFleet, 'there', 'second');
  box = await world.newBox(SERIAL);
  identity = world.start('test/lab/bootstrapBox.ts', box);
  await untilState(box, last('STRICT'));
  agent = world.start('test/lab/moveAgent.ts', box, SERIAL);
  await agent.said(/committed.*"first"/);
  await untilState(box, last('OPERATIONAL'));
});
afterAll(() => world.remove());

const FILES = [
  'identity/owner.json',
  'identity/domain-anchor.pem',
  'identity/ldevid.key',
  'identity/ldevid.crt',
  'agent/committed.jws',
] as const;
const allOf = async (): Promise<readonly string[]> =>
  Promise.all(FILES.map((name) => readText(join(box, name))));
const invite = async (serial = SERIAL): Promise<string> => {
  const file = at(`${serial}.invitation`);
  await nextFleet('invite', serial, '--out', file);
  return file;
};
const order = (file: string, ...more: readonly string[]): Promise<string> =>
  fleet('move', 'here', '--to', file, ...more);
/** How often the next controller was tried. */
const tries = async (): Promise<number> =>
  (await entriesOf(box)).filter(({ note }) => note['stage'] === 'trying').length;
/** How often the box was put back by the end of a move. */
const returns = async (): Promise<number> =>
  (await entriesOf(box)).filter(({ note }) => note['because']?.startsWith('back from a move') === true)
    .length;

it('takes no order of a stranger, nor of the next owner, and none that is for another box', async () => {
  const before = await allOf();
  const invitation = Invitation.parse(JSON.parse(await readText(await invite())));
  const { serial, gatewayId: _there, ...next } = invitation;
  const idevid = parseCertificate(await readText(join(box, 'factory/idevid.crt')));
  const good = {
    order: 'move',
    gatewayId: 'here',
    wireguardPublicKey: statusWith('here', { sequence: 1, seed: 7 }).facts.wireguardPublicKey,
    serial,
    idevidSpkiSha256: idevid.spkiSha256,
    generation: Date.now(),
    notAfterMs: Date.now() + 60_000,
    withinS: 900,
    ...next,
  };
  const offered = async (payload: object, signerOf: string): Promise<string> => {
    const directory = at(signerOf);
    const signer = await createKeyFiles({ files: createFiles(), directory }).load('configuration-signing');
    if (signer === undefined) throw new Error(`${directory} has no configuration signer`);
    return handOnMove(join(box, 'identity.sock'), signJws(Buffer.from(JSON.stringify(payload)), signer));
  };
  await expect(offered(good, 'next-signer')).rejects.toThrow(/pki\/untrusted/);
  await expect(offered({ ...good, serial: OTHER_SERIAL }, 'signer')).rejects.toThrow(/serial is MOVE-2/);
  await expect(offered({ ...good, idevidSpkiSha256: '0'.repeat(64) }, 'signer')).rejects.toThrow(
    /another factory key/,
  );
  await expect(offered({ ...good, notAfterMs: Date.now() - 1 }, 'signer')).rejects.toThrow(/pki\/expired/);
  // Nor does the controller order what the box would refuse.
  await expect(order(await invite(OTHER_SERIAL))).rejects.toThrow(/the invitation is for MOVE-2/);
  expect(await allOf()).toEqual(before);
  expect((await statusOf(box)).state).toBe('OPERATIONAL');
});

it('stays with its own controller where the next one is away, and takes that order no second time', async () => {
  const before = await allOf();
  const file = await invite();
  const sessions = agent.lines.filter((line) => line.includes('controller lost')).length;
  await nextController.end('SIGKILL');
  const orders = agent.lines.length;
  expect(await order(file, '--within', '1m')).toContain(`goes to ${NEXT_NAME} as there`);
  await identity.said(/bootstrap state entered.*MIGRATE/);
  const status = await statusOf(box);
  expect(status.move?.now).toMatchObject({ stage: 'enrolling', to: NEXT_NAME, gatewayId: 'there' });
  await until(box, async () => (await returns()) === 1);
  const after = await statusOf(box);
  expect(after.move?.last).toMatchObject({ outcome: 'returned', to: NEXT_NAME });
  expect(after.move?.last?.why).toContain('bootstrap/unreachable');
  // Nothing of what it has was touched, and the agent never left its controller.
  expect(await allOf()).toEqual(before);
  expect(agent.lines.filter((line) => line.includes('controller lost'))).toHaveLength(sessions);
  expect(agent.lines.slice(orders).join('\n')).not.toContain('begins anew');
  await expect(
    handOnMove(join(box, 'identity.sock'), await readText(join(box, 'last-order.jws'))),
  ).rejects.toThrow(/was taken before/);
  expect(await allOf()).toEqual(before);
});

it('stays where the next one enrols it and has no desired state for it', async () => {
  nextController = world.start('src/cli/main.ts', 'controller', 'serve', '--config', at('next.toml'));
  await nextController.said(/\bready\b/);
  const before = await allOf();
  const file = await invite();
  await order(file, '--within', '1m');
  await until(box, async () => (await tries()) === 1);
  await agent.end('SIGKILL');
  await until(box, async () => (await returns()) === 2);
  expect((await statusOf(box)).move?.last?.why).toContain('no desired state of it was committed in time');
  expect(await allOf()).toEqual(before);
  agent = world.start('test/lab/moveAgent.ts', box, SERIAL);
  await agent.said(/controller connected.*controller\.branchbox\.example/);
  await agent.said(/holding.*"first"/);
});

it('goes where it is ordered, killed on its way, and is the next owner’s alone', async () => {
  const before = await allOf();
  const file = await invite();
  const nextCa = await readText(at('next-anchors/domain.pem'));
  expect(await order(file)).toContain(parseCertificate(nextCa).fingerprintSha256);
  await until(box, async () => (await tries()) === 2);
  await identity.end('SIGKILL');
  identity = world.start('test/lab/bootstrapBox.ts', box);
  await agent.said(/committed.*"second"/);
  await until(box, async () => (await statusAfter()) === 'moved');
  await untilState(box, last('OPERATIONAL'));
  expect((await ownerOf(box)).gatewayId).toBe('there');
  const after = await allOf();
  for (const [index, text] of after.entries()) expect(text, FILES[index]).not.toBe(before[index]);
  expect(await readText(join(box, 'identity/domain-anchor.pem'))).toBe(nextCa);
  // The one before knows, and keeps its place until somebody gives it to another box.
  const journal = (await entriesOf(box)).at(-1);
  expect(journal?.note).toMatchObject({ because: `moved to ${NEXT_NAME}`, before: 'told' });
  const known = async () => {
    const [words] = JSON.parse(await fleet('status')).gateways;
    return words;
  };
  expect(await known()).toMatchObject({ id: 'here', serial: SERIAL, inventory: 'enrolled', sync: 'moved' });
  expect((await known()).sentence).toContain(`is with ${NEXT_NAME} as there since`);
  // The one before cannot order it any more, nor can anybody by what it once signed.
  await expect(order(file)).rejects.toThrow(/does not answer/);
  expect(await known()).toMatchObject({ sync: 'moved' });
  await expect(
    handOnMove(join(box, 'identity.sock'), await readText(join(box, 'last-order.jws'))),
  ).rejects.toThrow(/pki\/untrusted/);
  expect((await statusOf(box)).gatewayId).toBe('there');
});

async function statusAfter(): Promise<string | undefined> {
  const text = await readFile(join(box, 'identity/move.json'), 'utf8').catch(() => '{}');
  const read: unknown = JSON.parse(text);
  return typeof read === 'object' && read !== null && 'last' in read && !('move' in read)
    ? String(Reflect.get(Object(Reflect.get(read, 'last')), 'outcome'))
    : undefined;
}
