/**
 * Apps on a real Docker Engine in a real node: wired before they start, on their segment and nowhere else, left
 * alone by every death of the engine, and made anew after a power cut.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createContainerDrivers } from '../../src/containers/drivers.ts';
import { anchorName, appContainerName, type ContainerItem, LABEL_APP } from '../../src/containers/items.ts';
import { renderContainers } from '../../src/containers/render.ts';
import { createNetDrivers } from '../../src/net/drivers.ts';
import { external, kernelGate, link } from '../../src/net/itemIds.ts';
import type { NetItem } from '../../src/net/items.ts';
import { renderPolicy } from '../../src/policy/render.ts';
import type { DesiredSpec } from '../../src/model/desired.ts';
import { createReconciler, type Reconciler } from '../../src/reconcile/reconciler.ts';
import { createClock } from '../../src/system/linux/clock.ts';
import { type AppNode, startAppNode } from './appNode.ts';
import { appFacts, appSpec } from './appSpec.ts';
import { rootTree } from './wan/bareNode.ts';
import { until } from './wan/network.ts';
import { silentLog as LOG } from '../fakes/silentLog.ts';
import { noServices } from '../fakes/noServices.ts';

type Item = ContainerItem | NetItem;
const GATEWAY = 'branch1';
const IMAGE = 'red/app:1';
const signal = new AbortController().signal;
const tree = rootTree();

describe.skipIf(tree === undefined)('apps on Docker Engine', () => {
  let box: AppNode;
  let reconciler: Reconciler<Item>;
  let archives: string;
  const desired = (spec: DesiredSpec): Item[] => [
    ...spec.segments.map(({ vni }) => link({ type: 'bridge', name: `br-${vni}`, mtu: spec.fleet.tenantMtu })),
    ...renderPolicy(spec, appFacts(), GATEWAY),
    ...renderContainers(spec, appFacts(), GATEWAY),
  ];
  const converge = async (spec: DesiredSpec): Promise<void> => {
    const report = await reconciler.converge(desired(spec), signal);
    expect([...report.failures].map(([id, error]) => `${id}: ${error.message}`)).toEqual([]);
    expect(report.plan.blocked).toEqual([]);
    expect(report.converged).toBe(true);
  };
  /** What a host of the segment reads at an app; undefined where nothing answers. */
  const get = async (segment: string, address: string, path = '/'): Promise<string | undefined> => {
    const result = await box.node.runner.run('nsenter', [
      `--net=/run/netns/${segment}`,
      'curl',
      '-s',
      '--max-time',
      '2',
      `http://${address}${path}`,
    ]);
    return result.exitCode === 0 ? result.stdout.trim() : undefined;
  };
  /** As often as the app wrote into its volume that it was started; 0 where it does not answer. */
  const starts = async (): Promise<number> =>
    ((await get('red', '10.10.0.100', '/kept/starts')) ?? '').match(/^start$/gm)?.length ?? 0;
  const idOf = async (container: string): Promise<string | undefined> =>
    (await box.engine.inspectContainer(container, signal))?.id;

  beforeAll(async () => {
    box = await startAppNode('apps', tree ?? '');
    archives = mkdtempSync(join(tmpdir(), 'bbt-apps-'));
    const { node, engine } = box;
    for (const [name, vni] of [
      ['red', 10_010],
      ['blue', 10_020],
    ] as const) {
      await node.run('ip', 'netns', 'add', name);
      await node.run('ip', 'link', 'add', `br-${vni}`, 'type', 'bridge');
      await node.run('ip', 'link', 'set', `br-${vni}`, 'alias', `branchbox:link:br-${vni}`, 'up');
      await node.run('ip', 'link', 'add', `h-${name}`, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', name);
      await node.run('ip', 'link', 'set', `h-${name}`, 'master', `br-${vni}`, 'up');
      await node.run('ip', '-n', name, 'addr', 'add', '10.10.0.11/24', 'dev', 'eth0');
      await node.run('ip', '-n', name, 'link', 'set', 'eth0', 'up');
    }
    const made =
      'mkdir -p /tmp/i/bin /tmp/i/www && cp /usr/bin/busybox /tmp/i/bin/sh && tar -C /tmp/i -cf /tmp/i.tar .';
    await node.run('sh', '-c', made);
    const tar = await node.files.readBytes('/tmp/i.tar', 64 * 1024 * 1024);
    await engine.importImage(tar ?? new Uint8Array(), IMAGE, '/bin/sh', signal);
    const saved = join(archives, 'app.tar');
    await node.run(
      'curl',
      '-sf',
      '--unix-socket',
      '/run/docker.sock',
      '-o',
      '/tmp/app.tar',
      `http://e/images/${IMAGE}/get`,
    );
    writeFileSync(saved, (await node.files.readBytes('/tmp/app.tar', 64 * 1024 * 1024)) ?? '');
    await engine.removeImage(IMAGE, signal);
    const system = {
      runner: node.runner,
      files: node.files,
      clock: createClock(),
      log: LOG,
      services: noServices,
    };
    const gates = (['nft-inet', 'nft-bridge', 'bridge'] as const).map((feature) =>
      external(kernelGate(feature), feature),
    );
    reconciler = createReconciler<Item>({
      clock: system.clock,
      log: LOG,
      drivers: {
        ...createNetDrivers(system, { gates: () => gates }),
        ...createContainerDrivers({
          system,
          engine,
          bundles: { fetch: async () => saved, discard: async () => {} },
        }),
      },
    });
  });
  afterAll(async () => {
    await box?.stop();
    if (archives !== undefined) rmSync(archives, { recursive: true, force: true });
  });

  test('an app has its address before its first process, and its limits', async () => {
    await converge(appSpec());
    expect(await get('red', '10.10.0.100')).toBe('red-app');
    expect(await get('red', '10.10.0.100', '/seen')).toContain('inet 10.10.0.100/24');
    expect(await get('blue', '10.10.0.100')).toBeUndefined();
    // Of version 1 of cgroups, or of version 2.
    const limits = async (...names: readonly string[]): Promise<string[]> => {
      const named = names.map((name) => `-name ${name}`).join(' -o ');
      const find = `find /sys/fs/cgroup -path '*/bbt-apps-*' '(' ${named} ')' -exec cat {} +`;
      return (await box.node.run('sh', '-c', find)).split('\n');
    };
    expect(await limits('memory.limit_in_bytes', 'memory.max')).toContain(`${32 * 1024 * 1024}`);
    // Microseconds of each 100 ms.
    const halfACore = /^50000( 100000)?$/;
    expect(await limits('cpu.cfs_quota_us', 'cpu.max')).toContainEqual(expect.stringMatching(halfACore));
  });

  test('a box that is as wanted has nothing to do', async () => {
    expect((await reconciler.plan(desired(appSpec()), signal)).steps).toEqual([]);
  });

  test('its address is known to the bridge without a frame from it', async () => {
    const entries = await box.node.run('bridge', 'fdb', 'show', 'state', 'static');
    expect(entries).toMatch(/dev app-red-app master br-10010 static/);
  });

  test('who had an app in mind at another MAC address is told of the new one', async () => {
    const nobody = '02:00:00:00:00:99';
    const entry = ['neighbour', 'replace', '10.10.0.101', 'lladdr', nobody, 'dev', 'eth0', 'nud', 'stale'];
    const heard = async (): Promise<boolean> => {
      await box.node.run('ip', '-n', 'red', ...entry);
      await converge(appSpec({ address: '10.10.0.101/24' }));
      const known = await box.node.run('ip', '-n', 'red', 'neighbour', 'show', '10.10.0.101');
      await converge(appSpec());
      return !known.includes(nobody);
    };
    await until('the app was heard', heard);
    // Made anew, as where it comes from another gateway.
    await converge({ ...appSpec(), apps: [] });
    await until('and where it is made anew', async () => {
      await converge({ ...appSpec(), apps: [] });
      return heard();
    });
  });

  test('a new address does not restart the app', async () => {
    const before = await idOf(appContainerName('red-app'));
    await converge(appSpec({ address: '10.10.0.101/24' }));
    expect(await get('red', '10.10.0.101')).toBe('red-app');
    expect(await get('red', '10.10.0.100')).toBeUndefined();
    expect(await idOf(appContainerName('red-app'))).toBe(before);
    await converge(appSpec());
  });

  test('a new environment makes the app anew, and not its anchor', async () => {
    const before = await idOf(appContainerName('red-app'));
    const anchor = await idOf(anchorName('red-app'));
    await converge(appSpec({ name: 'red-app again' }));
    // The engine says that it runs before it listens.
    await until('the new app answers', async () => (await get('red', '10.10.0.100')) === 'red-app again');
    expect(await idOf(appContainerName('red-app'))).not.toBe(before);
    expect(await idOf(anchorName('red-app'))).toBe(anchor);
    await converge(appSpec());
  });

  test('what an app keeps in a volume is there for the next container of it', async () => {
    await until('the app answers', async () => (await starts()) > 0);
    const before = await starts();
    await converge(appSpec({ name: 'red-app with what it kept' }));
    await until('the new app answers', async () => (await starts()) === before + 1);
    await converge(appSpec());
    await until('and so does the next', async () => (await starts()) === before + 2);
  });

  test('an app cannot speak as another address', async () => {
    const anchor = await box.engine.inspectContainer(anchorName('red-app'), signal);
    const inApp = [`--net=${anchor?.namespacePath ?? ''}`];
    const ping = (from: string) =>
      box.node.runner.run('nsenter', [...inApp, 'ping', '-c1', '-W1', '-I', from, '10.10.0.11']);
    expect((await ping('10.10.0.100')).exitCode).toBe(0);
    await box.node.run('nsenter', ...inApp, 'ip', 'addr', 'add', '10.10.0.66/24', 'dev', 'eth0');
    expect((await ping('10.10.0.66')).exitCode).not.toBe(0);
    // The address that nobody gave is drift, and taken back.
    await converge(appSpec());
    const inside = await box.node.run('nsenter', ...inApp, 'ip', '-4', 'addr', 'show', 'dev', 'eth0');
    expect(inside).not.toContain('10.10.0.66');
    expect(inside).toContain('10.10.0.100');
  });

  test('the engine killed: the app runs on, and nothing is to do when it is back', async () => {
    const before = await idOf(appContainerName('red-app'));
    await box.node.run('kill', '-9', String(box.node.pidOf('dockerd')));
    expect(await get('red', '10.10.0.100')).toBe('red-app');
    await box.engineAnswers();
    expect((await reconciler.plan(desired(appSpec()), signal)).steps).toEqual([]);
    expect(await idOf(appContainerName('red-app'))).toBe(before);
  });

  test('after a power cut the app never runs without its address, and has what it kept', async () => {
    const kept = await starts();
    await box.killEverything();
    const before = await box.engine.inspectContainer(appContainerName('red-app'), signal);
    expect(before?.running).toBe(false);
    await converge(appSpec());
    expect(await get('red', '10.10.0.100')).toBe('red-app');
    expect(await get('red', '10.10.0.100', '/seen')).toContain('inet 10.10.0.100/24');
    expect(await starts()).toBe(kept + 1);
  });

  test('an archive of another name is refused, and leaves nothing', async () => {
    const spec = appSpec({ reference: 'red/other:1' });
    const report = await reconciler.converge(desired(spec), signal);
    expect([...report.failures.values()].map((error) => error.code)).toContain('engine/image');
    await converge(appSpec());
  });

  test('an app that is no longer wanted leaves nothing', async () => {
    await converge({ ...appSpec(), apps: [] });
    expect(await box.engine.listContainers(LABEL_APP, signal)).toEqual([]);
    const names = (await box.engine.listImages(signal)).flatMap((image) => image.names);
    expect(names.filter((name) => name !== 'branchbox.local/anchor:1')).toEqual([]);
    expect(await box.node.run('ip', 'link', 'show', 'type', 'veth')).not.toContain('app-');
  });
});
