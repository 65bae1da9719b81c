/** The device API as a gateway's own client sees it: curl with an enrolled box's certificate, against the real controller. */
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ProbeSession } from '../../src/model/uplinkProbe.ts';
import { signJws } from '../../src/pki/jws.ts';
import { makeVersion } from '../fakes/firmwareVersion.ts';
import {
  BUNDLE,
  BUNDLE_SHA256,
  type ControllerClients,
  pkcs10,
  startControllerClients,
} from './controllerClients.ts';
import type { ControllerWorld } from './controllerWorld.ts';
import { makeAuthority } from './firmwareRelease.ts';

let world: ControllerWorld;
let box1: string;
let est: ControllerClients['est'];
let device: ControllerClients['device'];
beforeAll(async () => {
  ({ world, box1, est, device } = await startControllerClients());
  await world.enrol(box1);
  await world.enrol(await world.newIdentity('SN-two'));
});
afterAll(() => world.remove());

describe('the device API', () => {
  it('gives a gateway the bundles of its own apps', async () => {
    const whole = await device(box1, 'ldevid', `/v1/bundles/${BUNDLE_SHA256}`);
    expect([whole.status, whole.body.equals(BUNDLE)]).toEqual([200, true]);
    const rest = await device(box1, 'ldevid', `/v1/bundles/${BUNDLE_SHA256}`, '-r', '5-');
    expect([rest.status, rest.body.equals(BUNDLE.subarray(5))]).toEqual([206, true]);
    const other = await device(world.at('box-SN-two'), 'ldevid', `/v1/bundles/${BUNDLE_SHA256}`);
    expect(other.status).toBe(404);
  });

  it('gives a gateway the parts of the firmware that it is to run, whole and from any byte on', async () => {
    const release = makeAuthority();
    const version = makeVersion('1.1.0', { builtAtMs: Date.now() });
    const { manifest } = version.target;
    const place = world.at('release');
    await mkdir(place);
    const key = release.issue({ kind: 'firmware-signing', commonName: 'release' });
    await writeFile(
      join(place, 'branchbox-1.1.0.update.jws'),
      signJws(Buffer.from(JSON.stringify(manifest)), key),
    );
    for (const { role, file } of manifest.parts) await writeFile(join(place, file), version.bytes[role]);
    expect(await world.fleet('firmware', 'upload', place)).toContain('firmware 1.1.0 can be had');
    expect(await world.fleet('firmware', 'list')).toContain('whole');
    const [root] = manifest.parts;
    const path = `/v1/firmware/${root?.sha256}`;
    expect((await device(box1, 'ldevid', path)).status).toBe(404);
    const fleet = await readFile(world.at('fleet.toml'), 'utf8');
    await writeFile(
      world.at('fleet-firmware.toml'),
      fleet.replace('id = "one"', 'id = "one"\nfirmware = { version = "1.1.0" }'),
    );
    await world.fleet('apply', world.at('fleet-firmware.toml'));
    const whole = await device(box1, 'ldevid', path);
    expect([whole.status, whole.body.equals(version.bytes.root)]).toEqual([200, true]);
    const rest = await device(box1, 'ldevid', path, '-r', '3000-');
    expect([
      rest.status,
      rest.headers.get('content-range'),
      rest.body.equals(version.bytes.root.subarray(3000)),
    ]).toEqual([206, 'bytes 3000-3999/4000', true]);
    const piece = await device(box1, 'ldevid', path, '-r', '1000-1499');
    expect([
      piece.status,
      piece.headers.get('content-range'),
      piece.body.equals(version.bytes.root.subarray(1000, 1500)),
    ]).toEqual([206, 'bytes 1000-1499/4000', true]);
    expect((await device(world.at('box-SN-two'), 'ldevid', path)).status).toBe(404);
    await world.fleet('apply', world.at('fleet.toml'));
    expect(await world.fleet('firmware', 'remove', '1.1.0')).toContain('forgotten');
  });

  it('is the far end of a gateway’s uplink tests, and of nobody else’s', async () => {
    const session = '/v1/uplink-test/session';
    expect((await device(box1, 'idevid', session, '-X', 'POST')).status).toBe(401);
    const granted = await device(box1, 'ldevid', session, '-X', 'POST');
    expect(ProbeSession.safeParse(JSON.parse(granted.body.toString())).success).toBe(true);
    const down = await device(box1, 'ldevid', '/v1/uplink-test/download/100000');
    expect([down.status, down.body.length]).toEqual([200, 100_000]);
    const up = await device(box1, 'ldevid', '/v1/uplink-test/upload', '--data-binary', 'x'.repeat(5000));
    expect([up.status, up.body.toString()]).toEqual([200, '{"receivedBytes":5000}']);
    expect((await device(box1, 'ldevid', '/v1/uplink-test/download/999999999')).status).toBe(413);
  });

  it('knows a gateway by its own certificate only, until it is revoked', async () => {
    expect((await device(box1, 'idevid', `/v1/bundles/${BUNDLE_SHA256}`)).status).toBe(401);
    expect((await device(box1, 'ldevid', '/v1/ping')).status).toBe(200);
    // How it stands is told by the factory identity too: a box whose own certificate ended has no other.
    expect((await device(box1, 'idevid', '/v1/ping')).status).toBe(200);
    await world.patchInventory('SN-one', { revoked: true });
    for (const identity of ['ldevid', 'idevid'] as const) {
      const answer = await device(box1, identity, '/v1/ping');
      expect([answer.status, JSON.parse(answer.body.toString('utf8'))]).toEqual([
        403,
        { code: 'controller/refused', standing: 'quarantined', message: 'this box was revoked' },
      ]);
    }
    const csr = await world.newRequest(box1, 'late', '/CN=one');
    expect((await est(box1, 'ldevid', 'simplereenroll', ...pkcs10(csr))).status).toBe(403);
    expect((await est(box1, 'idevid', 'simpleenroll', ...pkcs10(csr))).status).toBe(403);
    await world.patchInventory('SN-one', { revoked: false });
    expect((await device(box1, 'ldevid', '/v1/ping')).status).toBe(200);
  });
});
