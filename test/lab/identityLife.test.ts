/**
 * What becomes of a box's identity after it is in service, against the real manufacturer, signer and controller, each
 * its own process: trust taken away in mid-session and given back, a second identity of one serial, another box in the
 * place of a dead one, a certificate that ended while nobody looked.
 */
import { cp, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { Quarantine } from '../../src/model/bootstrap.ts';
import { parseCertificates } from '../../src/pki/certificate.ts';
import { ask, last, statesOf, statusOf, untilState } from './bootstrapObserve.ts';
import { type BootstrapWorld, branchesOf, createBootstrapWorld, readText } from './bootstrapWorld.ts';
import { certifyPast } from './bootstrapCertify.ts';
import { makeClone } from './controllerWorld.ts';
import type { Running } from './processes.ts';

let world: BootstrapWorld;
let controller: Running;
const running: Running[] = [];

const SERIALS = ['LIFE-1', 'LIFE-2', 'LIFE-3', 'LIFE-4', 'LIFE-5', 'LIFE-6'] as const;
const fleet = (...words: readonly string[]) => world.branchbox('fleet', ...words, ...world.apiAccess);

beforeAll(async () => {
  world = await createBootstrapWorld();
  ({ controller } = await world.startServices());
  await writeFile(join(world.directory, 'fleet.toml'), `[fleet]\nname = "test"\n${branchesOf(SERIALS)}`);
  await fleet('apply', join(world.directory, 'fleet.toml'));
});
afterEach(async () => {
  for (const one of running.splice(0)) await one.end('SIGKILL');
});
afterAll(() => world.remove());

function startBox(box: string): Running {
  const process = world.start('test/lab/bootstrapBox.ts', box);
  running.push(process);
  return process;
}
/** In service, as a box whose agent has committed a desired state. */
async function inService(serial: string): Promise<{ box: string; process: Running }> {
  const box = await world.newBox(serial);
  await writeFile(join(box, 'agent/committed.jws'), 'x');
  await fleet('inventory', serial);
  const process = startBox(box);
  await untilState(box, last('OPERATIONAL'));
  return { box, process };
}
/** What the agent says when the broker ends its session or turns it away. */
const doubt = (box: string): Promise<string> => ask(box, 'POST', '/doubt');
const markOf = async (box: string): Promise<Quarantine | undefined> => {
  const text = await readText(join(box, 'identity/quarantine.json')).catch(() => undefined);
  return text === undefined ? undefined : Quarantine.parse(JSON.parse(text));
};
async function inventory(serial: string): Promise<{ state: string; quarantined: readonly unknown[] }> {
  const credential = (await readText(join(world.directory, 'controller/admin.credential'))).trim();
  const text = await world.inside(
    'curl',
    '-sS',
    '--cacert',
    join(world.directory, 'anchors/domain.pem'),
    '-H',
    `Authorization: Bearer ${credential}`,
    `https://198.51.100.10:8445/api/v1/inventory/${serial}`,
  );
  return JSON.parse(text);
}

describe('a box in service', () => {
  it('that is revoked in mid-session learns it, says it in words, and is back by a release', async () => {
    const { box, process } = await inService('LIFE-1');
    const certificate = await readText(join(box, 'identity/ldevid.crt'));
    await fleet('deny', 'LIFE-1');
    await doubt(box);
    await untilState(box, last('QUARANTINED'));
    expect((await markOf(box))?.why).toBe('this box was revoked');
    // The process says so a moment after its journal.
    await process.said(/bootstrap state entered.*QUARANTINED/);
    const status = await statusOf(box);
    expect(status.waitsFor).toContain('traffic of tenants off');
    expect(status.mend).toContain('branchbox fleet release');

    // Killed and started again it is what it was, and asks.
    await running.splice(0)[0]?.end('SIGKILL');
    const again = startBox(box);
    await again.said(/bootstrap\/quarantined.*this box was revoked/);
    expect((await markOf(box))?.why).toBe('this box was revoked');

    await fleet('release', 'LIFE-1');
    await doubt(box);
    await untilState(box, last('OPERATIONAL'));
    expect(await markOf(box)).toBeUndefined();
    expect(await readText(join(box, 'identity/ldevid.crt'))).toBe(certificate);
  });

  it('is not stopped by a controller that is away, nor by one that does not know its certificate', async () => {
    const { box, process } = await inService('LIFE-2');
    await controller.end('SIGKILL');
    await doubt(box);
    await process.said(/did not say how this box stands.*bootstrap\/unreachable/);
    controller = await world.startController();
    // As after an old database was restored: issued by the owner's CA, and in no record.
    const hourMs = 3_600_000;
    await certifyPast(world, box, {
      notBeforeMs: Date.now() - hourMs,
      notAfterMs: Date.now() + 1000 * hourMs,
    });
    await doubt(box);
    await process.said(/did not say how this box stands.*bootstrap\/refused/);
    expect(await statesOf(box)).not.toContain('QUARANTINED');
    expect(await markOf(box)).toBeUndefined();
  });

  it('is unharmed by another box with its serial, which is kept out and written down', async () => {
    const { box: original } = await inService('LIFE-3');
    const clone = join(world.directory, 'clone-LIFE-3');
    await cp(join(original, 'factory'), join(clone, 'factory'), { recursive: true });
    await cp(join(original, 'leases'), join(clone, 'leases'), { recursive: true });
    await makeClone(join(world.directory, 'manufacturer'), join(clone, 'factory'), 'LIFE-3');
    const process = startBox(clone);
    expect(await process.said(/bootstrap step failed/)).toContain('another identity holds this serial');
    expect(await statesOf(clone)).not.toContain('OWNED');
    expect(await inventory('LIFE-3')).toMatchObject({
      state: 'enrolled',
      quarantined: [{ reason: 'another identity holds this serial' }],
    });
    // How the original stands: as ever.
    const shown = [
      '--cert',
      join(original, 'identity/ldevid.crt'),
      '--key',
      join(original, 'identity/ldevid.key'),
    ];
    const anchor = ['--cacert', join(world.directory, 'anchors/domain.pem')];
    const pinged = await world.inside(
      'curl',
      '-sS',
      ...anchor,
      ...shown,
      'https://198.51.100.10:8446/v1/ping',
    );
    expect(JSON.parse(pinged)).toEqual({ gatewayId: 'life-3' });
    expect(await markOf(original)).toBeUndefined();
  });

  it('whose certificate ended recovers by its factory identity, to the owner that it has', async () => {
    const { box } = await inService('LIFE-4');
    await running.splice(0)[0]?.end('SIGTERM');
    // As if ninety days had gone by.
    await certifyPast(world, box, { notBeforeMs: Date.now() - 3_600_000, notAfterMs: Date.now() - 1_000 });
    const owner = await readText(join(box, 'identity/owner.json'));
    const key = await readText(join(box, 'identity/ldevid.key'));
    await controller.end('SIGKILL');
    const process = startBox(box);
    expect(await process.said(/"state":"RECOVER".*bootstrap\/unreachable|bootstrap step failed/)).toContain(
      'RECOVER',
    );
    controller = await world.startController();
    // A new lease wakes it before its time.
    const lease = join(box, 'leases/wan1.env');
    await writeFile(lease, await readFile(lease));
    await untilState(box, (states) => states.includes('RECOVER') && last('OPERATIONAL')(states));
    expect(await readText(join(box, 'identity/owner.json'))).toBe(owner);
    expect(await readText(join(box, 'identity/ldevid.key'))).not.toBe(key);
    const states = await statesOf(box);
    expect(states.slice(states.indexOf('RECOVER'))).toEqual(['RECOVER', 'OPERATIONAL']);
  });
});

describe('an owner that makes its next CA', () => {
  it('has it believed by a box that renews, by the signature of the one that the voucher pinned', async () => {
    const { box } = await inService('LIFE-6');
    await running.splice(0)[0]?.end('SIGTERM');
    const pinned = await readText(join(box, 'identity/domain-anchor.pem'));
    const said = await world.branchbox('signer', 'rollover', '--state', join(world.directory, 'signer'));
    // It is asked once a minute; this one was not asked yet.
    await controller.end('SIGKILL');
    controller = await world.startController();
    await certifyPast(world, box, { notBeforeMs: Date.now() - 3_600_000, notAfterMs: Date.now() - 1_000 });
    startBox(box);
    await untilState(box, (states) => states.includes('RECOVER') && last('OPERATIONAL')(states));
    const anchors = await readText(join(box, 'identity/domain-anchor.pem'));
    const [first, second, ...more] = parseCertificates(anchors);
    expect([first?.pem, more]).toEqual([pinned, []]);
    expect(said).toContain(second?.fingerprintSha256);
    // In service with it: the agent reads the same.
    expect(JSON.parse(await readText(join(box, 'identity/owner.json')))).toMatchObject({
      domainAnchorPem: anchors,
    });
  });
});

describe('another box in the place of a dead one', () => {
  it('becomes the same gateway by one command, and the old one is out', async () => {
    const { box: old } = await inService('LIFE-5');
    const next = await world.newBox('LIFE-9');
    await writeFile(join(next, 'agent/committed.jws'), 'x');
    expect(await fleet('replace', 'life-5', 'LIFE-9')).toContain('LIFE-5 is revoked');
    startBox(next);
    await untilState(next, last('OPERATIONAL'));
    expect((await statusOf(next)).gatewayId).toBe('life-5');
    await doubt(old);
    await untilState(old, last('QUARANTINED'));
    expect((await markOf(old))?.why).toContain('no longer has a place');
    expect((await inventory('LIFE-5')).state).toBe('revoked');
    // Nobody's place is taken twice, and no revoked box takes one.
    await expect(fleet('replace', 'life-2', 'LIFE-9')).rejects.toThrow(/is the box of life-5 already/);
    await expect(fleet('replace', 'life-2', 'LIFE-5')).rejects.toThrow(/was revoked/);
  });
});
