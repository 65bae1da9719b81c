/**
 * A box that comes into service by a USB stick: made by one command of the real controller, signer and manufacturer,
 * read by the box's own script, and enrolled once there is a WAN.
 */
import { execFile } from 'node:child_process';
import { cp, mkdir, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { BootstrapNetwork, MEDIUM_DIRECTORY, MEDIUM_FILES } from '../../src/model/medium.ts';
import { statesOf, statusOf, untilOwned } from './bootstrapObserve.ts';
import { type BootstrapWorld, createBootstrapWorld, placeInFleet, readText } from './bootstrapWorld.ts';
import type { Running } from './processes.ts';

const run = promisify(execFile);
const SCRIPT = join(import.meta.dirname, '../../firmware/medium-read');
let world: BootstrapWorld;
const SERIALS = ['BBT-U1', 'BBT-U2', 'BBT-U3'] as const;

beforeAll(async () => {
  world = await createBootstrapWorld();
  await world.startServices();
  await placeInFleet(world, SERIALS);
  for (const serial of SERIALS) boxes.set(serial, await unpluggedBox(serial));
});
afterAll(() => world.remove());

/** Made at the factory before anybody asks for a voucher. */
const boxes = new Map<string, string>();
const boxOf = (serial: string): string => boxes.get(serial) ?? '';
const startBox = (box: string): Running => world.start('test/lab/bootstrapBox.ts', box);
const network = ['--address', '198.51.100.100/24', '--gateway', '198.51.100.1', '--dns', '198.51.100.1'];
const usb = (serial: string, out: string, ...more: readonly string[]): Promise<string> =>
  world.branchbox('fleet', 'usb', serial, '--out', out, ...more, ...world.apiAccess);

/** A box whose WAN is not plugged in: its lease is put aside. */
async function unpluggedBox(serial: string): Promise<string> {
  const box = await world.newBox(serial);
  await rename(join(box, 'leases/wan1.env'), join(box, 'wan1.env'));
  const root = join(box, 'root');
  await mkdir(join(root, 'etc/branchbox'), { recursive: true });
  await mkdir(join(root, 'var/lib/branchbox'), { recursive: true });
  await symlink(join(box, 'factory'), join(root, 'etc/branchbox/factory'));
  await symlink(join(box, 'identity'), join(root, 'var/lib/branchbox/identity'));
  return box;
}
const plugWan = (box: string) => rename(join(box, 'wan1.env'), join(box, 'leases/wan1.env'));
const plugStick = (box: string, stick: string) => run('sh', [SCRIPT, stick, join(box, 'root')]);
it('knows its owner with no WAN at all, and goes on by itself when there is one', async () => {
  const stick = join(world.directory, 'stick-1');
  const said = await usb('BBT-U1', stick, ...network, '--valid', '2h');
  expect(said).toContain('BBT-U1 becomes bbt-u1');
  expect(said).toContain('\u001B[');
  expect(await readText(join(stick, MEDIUM_DIRECTORY, 'BBT-U1/label.svg'))).toMatch(/^<svg/);

  const box = boxOf('BBT-U1');
  const process = startBox(box);
  await process.said(/bootstrap state entered.*ADDR/);
  await plugStick(box, stick);
  await process.said(/bootstrap state entered.*OWNED/);
  // Pulled out, and the box does not need it any more.
  await rm(stick, { recursive: true });
  await rename(join(box, 'root/run/branchbox/media'), join(box, 'media-before'));
  const waiting = await statusOf(box);
  expect(waiting).toMatchObject({ state: 'OWNED', gatewayId: 'bbt-u1', medium: { state: 'taken' } });
  expect(waiting.mend).toContain('plug in a WAN cable');
  const told = BootstrapNetwork.parse(JSON.parse(await readText(join(box, 'identity/network.json'))));
  expect(told.addressing).toMatchObject({ kind: 'static', address: '198.51.100.100/24' });
  expect(told.bootstrapServers).toEqual(['https://controller.branchbox.example:8443']);

  await plugWan(box);
  const owner = await untilOwned(box);
  expect(owner.gatewayId).toBe('bbt-u1');
  expect(await statesOf(box)).toEqual(['FACTORY', 'LINK', 'ADDR', 'OWNED', 'ENROLLING', 'LDEVID', 'STRICT']);
  await process.end('SIGTERM');

  // Owned now: the script does not even look any more.
  const { stdout } = await plugStick(box, world.directory);
  expect(stdout).toContain('has an owner');
});

it("does not believe another box's stick under its own name, and says so; its own is taken then", async () => {
  const stick = join(world.directory, 'stick-2');
  await usb('BBT-U3', stick);
  const forged = join(stick, MEDIUM_DIRECTORY, 'BBT-U2');
  await cp(join(stick, MEDIUM_DIRECTORY, 'BBT-U3'), forged, { recursive: true });
  const box = boxOf('BBT-U2');
  const process = startBox(box);
  await process.said(/bootstrap state entered.*ADDR/);
  await plugStick(box, stick);
  expect(await process.said(/bootstrap medium refused/)).toContain('pki/mismatch');
  const refused = await statusOf(box);
  expect(refused).toMatchObject({ state: 'ADDR', medium: { state: 'refused' } });
  expect(refused.medium?.message).toContain('this box is BBT-U2');

  // Its own voucher with what was signed for another: the network is no more believed than the rest.
  await usb('BBT-U2', stick);
  const own = await readText(join(forged, MEDIUM_FILES.voucher), 'latin1');
  await cp(join(stick, MEDIUM_DIRECTORY, 'BBT-U3', MEDIUM_FILES.voucher), join(forged, MEDIUM_FILES.voucher));
  await plugStick(box, stick);
  await writeFile(join(forged, MEDIUM_FILES.voucher), own, 'latin1');
  await plugStick(box, stick);
  await process.said(/bootstrap state entered.*OWNED/);
  await process.end('SIGTERM');
});

it('takes no password from the command line, and none is asked where nobody can answer', async () => {
  const stick = join(world.directory, 'stick-3');
  await expect(usb('BBT-U3', stick, '--pppoe-user', 'line7@isp')).rejects.toThrow('--pppoe-password-file');
  const file = join(world.directory, 'pppoe.password');
  await writeFile(file, 'hunter2\n');
  const made = await usb(
    'BBT-U3',
    stick,
    '--pppoe-user',
    'line7@isp',
    '--pppoe-password-file',
    file,
    '--json',
  );
  expect(JSON.parse(made)).toMatchObject({ serial: 'BBT-U3', gatewayId: 'bbt-u3' });
  const audit = await world.inside(
    'curl',
    '-s',
    '--cacert',
    join(world.directory, 'anchors/domain.pem'),
    '-H',
    `Authorization: Bearer ${(await readText(join(world.directory, 'controller/admin.credential'))).trim()}`,
    'https://198.51.100.10:8445/api/v1/audit',
  );
  expect(audit).toContain('medium-made');
  expect(audit).not.toContain('hunter2');
});
