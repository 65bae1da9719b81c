/** The network drivers on the fake box: scenarios shared with the real kernel, and what only a fake can show. */
import { describe, expect, test } from 'vitest';
import { createNetDrivers } from '../../../src/net/drivers.ts';
import { link } from '../../../src/net/itemIds.ts';
import { createReconciler } from '../../../src/reconcile/reconciler.ts';
import { linkItem } from '../../../src/model/ids.ts';
import { createFakeBox, type FakeBox } from '../../fakes/box.ts';
import { printBox } from '../../fakes/box/print.ts';
import { fakePublicKey } from '../../fakes/box/wgCommand.ts';
import type { Bench, BoxItem } from './bench.ts';
import { SCENARIOS } from './scenarios.ts';

const PRIVATE_KEY = 'QGyPc0m4Dz9WVlmF2gTb6hQ0bJx9o3Gn0v0o1Y8mUms=';

function reconcilerOf(box: FakeBox) {
  const { frr: _, ...drivers } = createNetDrivers(box.system);
  return createReconciler<BoxItem>({ drivers, clock: box.clock, log: box.system.log });
}

function benchOf(box: FakeBox): Bench {
  const signal = new AbortController().signal;
  return {
    converge: (desired) => reconcilerOf(box).converge(desired, signal),
    plan: (desired) => reconcilerOf(box).plan(desired, signal),
    observe: async () => (await reconcilerOf(box).observe([], signal)).items,
    async outside(command, ...args) {
      await box.system.runner.runChecked(command, args);
    },
    print: () => printBox(box.system.runner),
    readFile: (path) => box.files.readText(path),
    wireguardKey() {
      box.files.contents.set('/var/lib/branchbox/agent/wireguard.key', `${PRIVATE_KEY}\n`);
      const file = '/var/lib/branchbox/agent/wireguard.key';
      return Promise.resolve({ file, publicKey: fakePublicKey(PRIVATE_KEY) });
    },
    killWireguard: (name) => Promise.resolve(box.services.kill(`wireguard-go@${name}.service`)),
  };
}

function newBox(): FakeBox {
  const box = createFakeBox({ ports: [] });
  box.files.sysctls.set('net/ipv4/conf/lo/rp_filter', '0');
  return box;
}

describe('on the fake box', () => {
  for (const scenario of SCENARIOS) {
    test(scenario.name, async () => {
      const box = newBox();
      await scenario.run(benchOf(box));
      expect(box.unknown).toEqual([]);
      // A key is in its file alone: no argument, no log line, no note.
      const told = JSON.stringify([
        box.started,
        box.logged,
        [...box.files.contents].filter(([path]) => path.startsWith('/run')),
      ]);
      expect(told).not.toContain(PRIVATE_KEY);
    });
  }
});

const segments = (count: number): BoxItem[] =>
  Array.from({ length: count }, (_, index) => {
    const vni = 10_001 + index;
    const name = `br-${vni}`;
    return [
      link({ type: 'bridge', name, mtu: 1390 }),
      link({ type: 'vxlan', name: `vx-${vni}`, vni, localAddress: '10.255.0.11', mtu: 1390, bridge: name }, [
        linkItem(name),
      ]),
    ];
  }).flat();

describe('cost', () => {
  test('a thousand segments are a handful of processes, and one more is as many', async () => {
    const box = newBox();
    const signal = new AbortController().signal;
    const reconciler = reconcilerOf(box);
    const plan = await reconciler.plan(segments(1000), signal);
    box.started.length = 0;
    await reconciler.apply(plan, signal);
    expect(box.started).toEqual(['ip -batch -', 'ip -batch -']);
    expect((await reconciler.plan(segments(1000), signal)).steps).toEqual([]);
    box.started.length = 0;
    const one = await reconciler.converge(segments(1001), signal);
    expect(one).toMatchObject({ converged: true, applied: 2 });
    // Looked at, made, and the two new links alone looked at again.
    expect(box.started.filter((line) => line.startsWith('ip') && !line.startsWith('ip -6'))).toEqual([
      'ip -j -d -N -batch -',
      'ip -batch -',
      'ip -batch -',
      'ip -j -d -N -force -batch -',
    ]);
  });

  test('looking at an empty box starts no bridge and no wg', async () => {
    const box = newBox();
    await benchOf(box).observe();
    expect(box.started.map((line) => line.split(' ')[0] ?? '').toSorted()).toEqual(['ip', 'ip', 'nft']);
  });
});

test('somebody else has one of the names: that link alone fails and is left alone, all others are made', async () => {
  const box = newBox();
  box.kernel.addLink({ name: 'br-10002', kind: 'bridge' });
  const report = await reconcilerOf(box).converge(segments(3), new AbortController().signal);
  expect([...report.failures.keys()]).toEqual(['link:br-10002', 'link:vx-10002']);
  expect(box.kernel.links.get('br-10002')).toMatchObject({ alias: undefined, up: false, master: undefined });
  expect(['vx-10001', 'vx-10003'].map((name) => box.kernel.links.get(name)?.alias)).toEqual([
    'branchbox:link:vx-10001',
    'branchbox:link:vx-10003',
  ]);
  expect(box.unknown).toEqual([]);
});

test('killed before any of its commands, the next process converges to the same box', async () => {
  const desired = segments(2);
  const whole = newBox();
  await benchOf(whole).converge(desired);
  const commands = whole.started.length;
  const intended = await benchOf(whole).print();
  for (let killAt = 0; killAt < commands; killAt += 1) {
    const box = newBox();
    let count = 0;
    box.before = () => {
      count += 1;
      if (count > killAt) throw new Error('killed');
    };
    await benchOf(box)
      .converge(desired)
      .catch(() => undefined);
    box.before = undefined;
    await benchOf(box).converge(desired);
    expect(await benchOf(box).print(), `killed at ${killAt}`).toBe(intended);
  }
});
