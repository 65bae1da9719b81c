/**
 * A box on a line of IPv6 that nobody advertises and no DHCP serves: a stick gives it its address, and it enrols over
 * that. Real controller, signer and manufacturer; the agent's own plan by the real drivers in the box's namespace.
 */
import { cp, mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createMediumNetwork } from '../../src/agent/mediumNetwork.ts';
import { AGENT_PATHS } from '../../src/agent/paths.ts';
import { holdStaticLeases, renderStaticLeases } from '../../src/agent/staticLeases.ts';
import { MEDIUM_DIRECTORY } from '../../src/model/medium.ts';
import { createNetDrivers } from '../../src/net/drivers.ts';
import { presentGates } from '../../src/net/gates.ts';
import type { NetItem } from '../../src/net/items.ts';
import { createReconciler } from '../../src/reconcile/reconciler.ts';
import { createLinuxSystem } from '../../src/system/linux/system.ts';
import type { System } from '../../src/system/ports.ts';
import { planFactoryUplinks, renderFactory } from '../../src/wan/factory.ts';
import { entriesOf, statusOf, untilOwned } from './bootstrapObserve.ts';
import { type BootstrapWorld, createBootstrapWorld, placeInFleet } from './bootstrapWorld.ts';
import { createProcesses } from './processes.ts';
import { type BareNode, rootTree, startBareNode } from './wan/bareNode.ts';
import { factsOf } from './wan/fleet.ts';

const LAUNCH = join(import.meta.dirname, '../../launch');
const SERIAL = 'BBT-S6';
/** Beyond the gateway: nothing of it is on the box's own link. */
const BEYOND = { controller: '2001:db8:9::10', names: '2001:db8:9::53' } as const;
const LINE = { box: '2001:db8:5::5/64', gateway: '2001:db8:5::1' } as const;
const tree = rootTree();

describe.skipIf(tree === undefined)('a static address of IPv6', () => {
  const processes = createProcesses();
  let world: BootstrapWorld;
  let node: BareNode;

  beforeAll(async () => {
    world = await createBootstrapWorld();
    await world.startServices();
    await placeInFleet(world, [SERIAL]);
    node = await startBareNode('static6', tree ?? '');
    const words = `link add isp0 type veth peer name wan1 netns ${node.netns}`;
    await world.inside('ip', ...words.split(' '));
    await world.inside('ip', 'address', 'add', `${LINE.gateway}/64`, 'dev', 'isp0', 'nodad');
    await world.inside('ip', 'link', 'set', 'isp0', 'up');
    for (const at of Object.values(BEYOND))
      await world.inside('ip', 'address', 'add', `${at}/128`, 'dev', 'lo', 'nodad');
    await world
      .start('test/lab/bootstrapMiddle.ts', 'relay', BEYOND.controller, '198.51.100.10', '8443,8444,8446')
      .said(/^ready$/);
    await world.start('test/lab/bootstrapNames.ts', BEYOND.names, BEYOND.controller).said(/^ready$/);
  });
  afterAll(async () => {
    await processes.end('SIGKILL');
    await node?.stop();
    await world?.remove();
  });

  it('comes from the stick, and the box enrols by it', async () => {
    const box = await world.newBox(SERIAL);
    await rm(join(box, 'leases/wan1.env'));
    const identity = processes.start('nsenter', [
      `--net=/run/netns/${node.netns}`,
      LAUNCH,
      'test/lab/bootstrapBox.ts',
      box,
    ]);
    await identity.said(/bootstrap state entered.*ADDR/);
    const stick = join(world.directory, 'stick');
    const line = ['--address', LINE.box, '--gateway', LINE.gateway, '--dns', BEYOND.names];
    await world.branchbox('fleet', 'usb', SERIAL, '--out', stick, '--json', ...line, ...world.apiAccess);
    const read = join(box, 'root/run/branchbox/media/sda1');
    await mkdir(read, { recursive: true });
    await cp(join(stick, MEDIUM_DIRECTORY, SERIAL), read, { recursive: true });
    await identity.said(/bootstrap state entered.*OWNED/);
    expect((await statusOf(box)).mend).toContain('plug in a WAN cable');

    // What the agent does then.
    const { files, clock, log } = createLinuxSystem({ name: 'test' });
    const network = await createMediumNetwork(
      { files, log },
      { ...AGENT_PATHS, identity: join(box, 'identity') },
    ).read();
    expect(network).toMatchObject({ addressing: { kind: 'dhcp' }, addressing6: { address: LINE.box } });
    const all = factsOf('AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=');
    const facts = { ...all, ports: all.ports.filter(({ label }) => label === 'wan1') };
    const started: string[] = [];
    const system: System = {
      runner: node.runner,
      files: node.files,
      clock,
      log,
      // Nobody on this line would answer a client.
      services: {
        start: async (units) => void started.push(...units),
        stop: async () => {},
        restart: async () => {},
        list: async () => started.map((unit) => ({ unit, active: true, mainPid: 1, restarts: 0 })),
      },
    };
    const drivers = createNetDrivers(system, { gates: () => presentGates(facts) });
    const reconciler = createReconciler<NetItem>({ drivers, clock, log });
    const report = await reconciler.converge(renderFactory(facts, network), AbortSignal.timeout(60_000));
    expect([...report.failures]).toEqual([]);
    expect(started).toEqual(['dhcpcd@wan1.service']);
    await holdStaticLeases(
      files,
      join(box, 'leases'),
      renderStaticLeases(planFactoryUplinks(facts, network), facts),
    );

    expect((await untilOwned(box)).gatewayId).toBe(SERIAL.toLowerCase());
    const enrolling = (await entriesOf(box)).map(({ state }) => state);
    expect(enrolling).not.toContain('PROVISIONAL');
    expect(await node.run('ip', '-4', 'address', 'show', 'dev', 'wan1')).toBe('');
    // By the table of the uplink: the box's main table has no way out.
    expect(await node.run('ip', '-6', 'route', 'show', 'table', 'main', 'default')).toBe('');
    await identity.end('SIGTERM');
  });
});
