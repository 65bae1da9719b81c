/** The parts of an agent are made one after the other, and none calls one that is not there yet. */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { release, tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { createBoxSide } from '../../../src/agent/boxSide.ts';
import { createFleetSide, type FleetSide } from '../../../src/agent/fleetSide.ts';
import { createGround } from '../../../src/agent/ground.ts';
import { createHolding, type Holding } from '../../../src/agent/holding.ts';
import { type AgentPaths, bootFindingsPath } from '../../../src/agent/paths.ts';
import { itemId, linkItem } from '../../../src/model/ids.ts';
import { INSTALLER_PAGE_UNIT } from '../../../src/model/installer.ts';
import { KERNEL_FEATURES } from '../../../src/model/facts.ts';
import { createLinuxSystem } from '../../../src/system/linux/system.ts';
import type { Runner } from '../../../src/system/ports.ts';
import { noServices } from '../../fakes/noServices.ts';
import { silentLog as log } from '../../fakes/silentLog.ts';

let directory: string;
let ending: AbortController;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'bbt-composition-'));
  ending = new AbortController();
});
afterEach(async () => {
  ending.abort();
  await rm(directory, { recursive: true });
});

/** Of a machine on which no program says anything. */
const runner: Runner = {
  run: async () => ({ exitCode: 1, stdout: '', stderr: '' }),
  runChecked: async () => '',
  follow: () => new Promise(() => {}),
};

it('a box that is new has its facts, its items and its status, and nothing that it is held to', async () => {
  const at = (name: string): string => join(directory, name);
  const paths: AgentPaths = {
    factory: at('factory'),
    models: join(import.meta.dirname, '../../../firmware/models'),
    identity: at('identity'),
    state: at('state'),
    firmware: at('firmware'),
    releaseAnchors: at('anchors.pem'),
    sshHostKey: at('host.pub'),
    run: at('run'),
    socket: at('agent.sock'),
    installerSocket: at('installer.sock'),
    lookSocket: at('look.sock'),
    engineSocket: at('docker/docker.sock'),
    identitySocket: at('identity.sock'),
  };
  const features = Object.fromEntries(KERNEL_FEATURES.map((name) => [name, true]));
  await mkdir(dirname(bootFindingsPath(paths)), { recursive: true });
  await writeFile(
    bootFindingsPath(paths),
    JSON.stringify({ bootId: 'b', kernelRelease: release(), features }),
  );
  await mkdir(paths.factory);
  await writeFile(join(paths.factory, 'serial'), 'LAB-BRANCH9\n');
  await writeFile(join(paths.factory, 'model'), 'lab\n');
  const { signal } = ending;
  const system = { ...createLinuxSystem({ name: 'test' }), runner, services: noServices, log };

  const made: { fleet?: FleetSide; holding?: Holding } = {};
  const fleet = (): FleetSide => made.fleet ?? expect.fail('what it is told by is not made yet');
  const holding = (): Holding => made.holding ?? expect.fail('what holds it is not made yet');
  const ground = await createGround({
    system,
    paths,
    version: '1.0.0',
    tpmTold: undefined,
    busyMs: () => holding().busyMs(),
    end: () => ending.abort(),
    signal,
  });
  const gatewayId = (): string | undefined => fleet().keeper.gatewayId();
  const spec = () => fleet().keeper.spec();
  const box = await createBoxSide({
    ...ground,
    gatewayId,
    spec,
    ownSpec: spec,
    uplinkStates: () => fleet().reporting.latest()?.uplinks ?? [],
    wakeLanes: () => holding().wakeAll(),
    changed: () => fleet().reporting.changed(),
  });
  made.fleet = await createFleetSide({ ...ground, ...box, gatewayId, spec, holding });
  made.holding = createHolding({ lanes: box.lanes, items: box.wanted.items, system, onRun() {} });

  expect(ground.facts.latest()).toMatchObject({ serial: 'LAB-BRANCH9', model: 'lab' });
  expect(fleet().keeper.snapshot()).toEqual({});
  expect(fleet().link.state().connected).toBe(false);
  expect(box.uplinks()).toEqual([]);
  const wanted = (await box.wanted.read(signal)).map(({ id }) => id);
  expect(wanted).toEqual(expect.arrayContaining([linkItem('wan1'), itemId('service', INSTALLER_PAGE_UNIT)]));
  expect(
    holding()
      .states()
      .map(({ name }) => name),
  ).toEqual(['net', 'apps', 'images']);
  expect(await fleet().readBody()).toMatchObject({ gatewayId: undefined, uplinks: [] });
});
