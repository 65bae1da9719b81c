/** From any set of network items to any other: the box ends as if it had never held the first. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { linkItem } from '../../src/model/ids.ts';
import { createNetDrivers } from '../../src/net/drivers.ts';
import { address, fdb, link, nftChain, nftElement, nftSet, route, rule } from '../../src/net/itemIds.ts';
import { createReconciler } from '../../src/reconcile/reconciler.ts';
import { createFakeBox, type FakeBox } from '../fakes/box.ts';
import { printBox } from '../fakes/box/print.ts';
import type { BoxItem } from '../unit/net/bench.ts';

const signal = new AbortController().signal;
const PORTS = ['lan1', 'lan2'];

/** One segment: its size, which port is on it, whether it has a VXLAN device, an address, an entry. */
const segment = fc.record({
  vni: fc.integer({ min: 1, max: 4 }),
  mtu: fc.constantFrom(1280, 1390),
  port: fc.constantFrom(undefined, ...PORTS),
  vxlan: fc.option(fc.integer({ min: 100, max: 103 }), { nil: undefined }),
  address: fc.boolean(),
  gateway: fc.constantFrom(1, 2),
  drop: fc.boolean(),
});
type Segment = typeof segment extends fc.Arbitrary<infer T> ? T : never;
const world = fc.uniqueArray(segment, { selector: (one) => one.vni, maxLength: 4 });

function itemsOf(segments: readonly Segment[]): BoxItem[] {
  const items: BoxItem[] = [];
  const taken = new Set<string | number>();
  for (const one of segments) {
    const name = `br-${one.vni}`;
    const bridge = link({ type: 'bridge', name, mtu: one.mtu });
    items.push(bridge);
    if (one.vxlan !== undefined && !taken.has(one.vxlan)) {
      taken.add(one.vxlan);
      items.push(
        link(
          {
            type: 'vxlan',
            name: `vx-${one.vni}`,
            vni: one.vxlan,
            localAddress: '10.255.0.1',
            mtu: one.mtu,
            bridge: name,
          },
          [bridge.id],
        ),
      );
    }
    if (one.port !== undefined && !taken.has(one.port)) {
      taken.add(one.port);
      const port = link({ type: 'port', name: one.port, mtu: one.mtu, bridge: name }, [bridge.id]);
      items.push(port, fdb({ link: one.port, macAddress: `02:00:00:00:00:0${one.vni}` }, [port.id]));
      const set = nftSet({ family: 'inet', name: 'ports', type: 'ifname', mapTo: 'verdict' });
      if (!items.some((item) => item.id === set.id)) {
        items.push(set, nftChain({ family: 'inet', name: 'in', rules: ['iifname vmap @ports'] }, [set.id]));
      }
      items.push(
        nftElement({ family: 'inet', set: 'ports', key: one.port, value: one.drop ? 'drop' : 'accept' }, [
          set.id,
        ]),
      );
    }
    if (one.address) {
      const own = address({ link: name, address: `10.${one.vni}.0.9/24` }, [bridge.id]);
      const via = `10.${one.vni}.0.${one.gateway}`;
      items.push(
        own,
        route(
          { table: 100 + one.vni, destination: '0.0.0.0/0', type: 'unicast', via, dev: name, metric: 1 },
          [linkItem(name), own.id],
        ),
        rule({
          preference: 1100 + one.vni,
          mark: 0x100 + one.vni,
          action: { kind: 'lookup', table: 100 + one.gateway },
        }),
      );
    }
  }
  return items;
}

function converge(box: FakeBox, items: readonly BoxItem[]) {
  const { frr: _, ...drivers } = createNetDrivers(box.system);
  return createReconciler<BoxItem>({ drivers, clock: box.clock, log: box.system.log }).converge(
    items,
    signal,
  );
}

const newBox = (): FakeBox => {
  const box = createFakeBox({ ports: PORTS });
  // Up or down is the one thing that a port keeps when it is let go of.
  for (const port of PORTS) box.kernel.link(port).up = true;
  return box;
};

test('whatever was before, the box is as wished, and then nothing is left to do', async () => {
  await fc.assert(
    fc.asyncProperty(world, world, fc.integer({ min: 0, max: 40 }), async (before, after, killAt) => {
      const direct = newBox();
      await converge(direct, itemsOf(after));
      const intended = await printBox(direct.system.runner);

      const box = newBox();
      let count = 0;
      box.before = () => {
        count += 1;
        if (count > killAt) throw new Error('killed');
      };
      await converge(box, itemsOf(before)).catch(() => undefined);
      box.before = undefined;
      const report = await converge(box, itemsOf(after));
      expect([...report.failures.values()].map((error) => error.message)).toEqual([]);
      expect(report.converged).toBe(true);
      expect(await printBox(box.system.runner)).toBe(intended);
      expect(box.unknown).toEqual([]);
    }),
    { numRuns: 80 },
  );
});
