/**
 * Apps as items, engine requests and attachments, held against the order, the limits and the isolation they
 * must have.
 */
import { describe, expect, test } from 'vitest';
import { anchorImageTar, pauseProgram } from '../../../src/containers/anchorImage.ts';
import { changedInnerLines, outerLines } from '../../../src/containers/attachments.ts';
import { containerBody } from '../../../src/containers/dockerContainer.ts';
import {
  type AppAttachmentSpec,
  engineGate,
  familiarReference,
  imageMark,
  markedImages,
  volumeName,
} from '../../../src/containers/items.ts';
import { renderContainers } from '../../../src/containers/render.ts';
import { bridgeItem } from '../../../src/model/ids.ts';
import { planItems } from '../../../src/reconcile/plan.ts';
import { renderPolicy } from '../../../src/policy/render.ts';
import { appFacts, appSpec } from '../../lab/appSpec.ts';

describe('items of an app', () => {
  const items = renderContainers(appSpec(), appFacts(), 'branch1');
  const byKind = (kind: string) => items.filter((item) => item.kind === kind);

  test('stand on each other in the order that keeps an app from starting without its address', () => {
    const [app] = byKind('app');
    const [attachment] = byKind('app-attachment');
    expect(app?.needs).toEqual([
      'app-anchor:red-app',
      'app-attachment:red-app',
      'app-image:red/app:1#aaaaaaaaaaaaaaaa',
    ]);
    expect(attachment?.needs).toContain('app-anchor:red-app');
    expect(attachment?.needs).toContain(bridgeItem({ vni: 10_010 }));
    expect(byKind('fdb')[0]?.needs).toEqual(['app-attachment:red-app']);
  });

  test('the link waits for the very element that policy renders', () => {
    const elements = renderPolicy(appSpec(), appFacts(), 'branch1').map(({ id }) => id);
    const wanted = byKind('app-attachment')[0]?.needs.filter((id) => id.startsWith('nft-element:'));
    expect(wanted).toHaveLength(1);
    expect(elements).toEqual(expect.arrayContaining(wanted ?? []));
  });

  test('are blocked as a whole where no engine answers', () => {
    const { engine: _, ...facts } = appFacts();
    const gated = renderContainers(appSpec(), facts, 'branch1').filter(({ kind }) => kind !== 'fdb');
    for (const item of gated) expect(item.needs).toContain(engineGate);
    const plan = planItems(gated, [], () => false);
    expect(plan.steps).toEqual([]);
    expect(plan.blocked).toHaveLength(gated.length);
  });

  test('keep the same MAC address at one gateway, and differ at another', () => {
    const mac = (gateway: string) =>
      renderContainers(appSpec(), appFacts(), gateway).flatMap((item) =>
        item.kind === 'app-attachment' ? [item.spec.macAddress] : [],
      );
    expect(mac('branch1')).toEqual(mac('branch1'));
    expect(mac('branch1')).not.toEqual(mac('branch2'));
  });
});

test.each([
  ['app', 'app:latest'],
  ['app:1', 'app:1'],
  ['docker.io/library/app:1', 'app:1'],
  ['docker.io/red/app', 'red/app:latest'],
  ['registry.example:5000/red/app', 'registry.example:5000/red/app:latest'],
  ['registry.example:5000/red/app:2', 'registry.example:5000/red/app:2'],
  ['red/app:1@sha256:ab', 'red/app@sha256:ab'],
])('reference %s is %s to the engine', (given, familiar) => {
  expect(familiarReference(given)).toBe(familiar);
});

test('an image is ours by the mark of its own reference alone', () => {
  const spec = { reference: 'red/app:1', bundle: { sha256: 'b'.repeat(64), sizeBytes: 7 } };
  expect(markedImages(['red/app:1', imageMark(spec)])).toEqual([spec]);
  expect(markedImages(['red/app:2', imageMark(spec)])).toEqual([]);
  expect(markedImages(['red/app:1'])).toEqual([]);
  expect(imageMark(spec).split(':')[1]?.length).toBeLessThanOrEqual(128);
});

describe('attachment', () => {
  const spec: AppAttachmentSpec = {
    app: 'web',
    link: 'app-web',
    bridge: 'br-1',
    macAddress: '02:00:00:00:00:01',
    address: '10.0.0.2/24',
    gateway: '10.0.0.1',
    mtu: 1390,
    wiring: 'whole',
  };

  test('nothing that is not one word reaches a batch', () => {
    expect(() => outerLines({ ...spec, bridge: 'br-1 up\nlink delete br-2' }, '/run/netns/x')).toThrow(
      /interface name/,
    );
    expect(() => outerLines(spec, '/run/netns/x\nlink delete br-2')).toThrow(/odd namespace path/);
  });

  test('a new address brings its gateway again, since the kernel dropped it with the old one', () => {
    expect(changedInnerLines(spec, { ...spec, address: '10.0.0.3/24' })).toEqual([
      'address flush dev eth0',
      'address add 10.0.0.3/24 dev eth0',
      'route replace default via 10.0.0.1 dev eth0',
    ]);
  });
});

test('a volume is the tenant’s own, whatever other apps are named, and is mounted where the app wants it', () => {
  const names = [
    volumeName({ tenant: 'red', app: 'a-b' }, 'c'),
    volumeName({ tenant: 'red', app: 'a' }, 'b-c'),
    volumeName({ tenant: 'blue', app: 'a-b' }, 'c'),
  ];
  expect(new Set(names).size).toBe(names.length);
  const [app] = renderContainers(appSpec(), appFacts(), 'branch1').filter(({ kind }) => kind === 'app');
  expect(app?.spec).toMatchObject({ volumes: [{ name: 'kept', path: '/www/kept' }] });
});

test('an app is limited, cannot change its network, and gets no resolver of the box', () => {
  const common = {
    name: 'x',
    image: 'i',
    environment: { A: 'b' },
    labels: {},
    memoryBytes: 1024,
    cpus: 0.5,
    pids: 9,
    restart: 'always' as const,
    readOnly: false,
    drop: 'network' as const,
  };
  const volumes = [{ name: 'branchbox.red.x.data', path: '/data' }];
  const network = { kind: 'joined', container: 'c' } as const;
  const joined = containerBody({ ...common, hostname: 'h', network, volumes });
  expect(joined).toMatchObject({
    Env: ['A=b'],
    HostConfig: {
      NetworkMode: 'container:c',
      Mounts: [{ Type: 'volume', Source: 'branchbox.red.x.data', Target: '/data' }],
      Memory: 1024,
      MemorySwap: 1024,
      NanoCpus: 500_000_000,
      PidsLimit: 9,
      CapDrop: ['NET_ADMIN', 'NET_RAW'],
      SecurityOpt: ['no-new-privileges'],
    },
  });
  expect(joined).not.toHaveProperty('Hostname');
  expect(containerBody({ ...common, network: { kind: 'none' } })).toMatchObject({
    HostConfig: { NetworkMode: 'none', Dns: ['127.0.0.1'] },
  });
});

test('the anchor is one small program in a whole tar', () => {
  expect(pauseProgram()).toHaveLength(129);
  const tar = anchorImageTar();
  expect(tar.length % 512).toBe(0);
  const sum = tar.slice(0, 512).reduce((total, byte, at) => total + (at >= 148 && at < 156 ? 32 : byte), 0);
  expect(Number.parseInt(new TextDecoder().decode(tar.slice(148, 154)), 8)).toBe(sum);
});
