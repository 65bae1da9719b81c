/**
 * Owns scenarios of links and what sits on them. They run on the fake box and on a real kernel (scenarios.ts).
 */
import { expect } from 'vitest';
import { linkItem } from '../../../src/model/ids.ts';
import { fdb } from '../../../src/net/itemIds.ts';
import { addPort, bridge, lines, port, settle, vxlan, type Scenario } from './bench.ts';

export const LINK_SCENARIOS: readonly Scenario[] = [
  {
    name: 'a segment: bridge, VXLAN device, port and a static entry, changed in place and taken away',
    async run(bench) {
      await addPort(bench, 'lan1');
      const before = await bench.print();
      const entry = fdb({ link: 'lan1', macAddress: '02:00:00:00:00:01' }, [linkItem('lan1')]);
      await settle(bench, [bridge(10), vxlan(10), port('lan1', 10), entry]);
      expect(lines(await bench.print())).toEqual([
        'fdb 02:00:00:00:00:01 dev lan1',
        'link br-10 type bridge mtu 1390 up stp 0 snooping 0 alias branchbox:link:br-10',
        'link far-lan1 type veth mtu 1500 down',
        'link lan1 type veth mtu 1390 up master br-10 port-learning true suppress false alias branchbox:link:lan1',
        'link lo mtu 65536 up',
        'link vx-10 type vxlan mtu 1390 up master br-10 id 10 local 10.255.0.11 port 4789 learning false' +
          ' port-learning false suppress false alias branchbox:link:vx-10',
      ]);
      const wider = [
        bridge(10, { mtu: 1400, macAddress: '02:00:00:00:00:aa' }),
        vxlan(10),
        port('lan1'),
        entry,
      ];
      const plan = await bench.plan(wider);
      expect(plan.steps.map((step) => step.op)).toEqual(['modify', 'modify']);
      await settle(bench, wider.slice(0, 3));
      await settle(bench, [bridge(10), vxlan(10), port('lan1')]);
      await settle(bench, []);
      // A port is let go of as it is: up.
      expect(await bench.print()).toBe(
        before.replace('link lan1 type veth mtu 1500 down', 'link lan1 type veth mtu 1500 up'),
      );
    },
  },
  {
    name: 'a segment of an MTU that is too small for IPv6, which is the default of a fleet, and wider and back',
    async run(bench) {
      const before = await bench.print();
      const segment = (mtu: number) => [bridge(10, { mtu }), vxlan(10, 10, { mtu })];
      await settle(bench, segment(1150));
      for (const mtu of [1390, 1150, 1200, 1280]) {
        expect((await bench.plan(segment(mtu))).steps.map((step) => step.op)).toEqual(['modify', 'modify']);
        await settle(bench, segment(mtu));
        const text = await bench.print();
        for (const name of ['br-10 type bridge', 'vx-10 type vxlan'])
          expect(text).toContain(`link ${name} mtu ${mtu} up`);
      }
      await settle(bench, []);
      expect(await bench.print()).toBe(before);
    },
  },
  {
    name: 'a link that somebody else made is left alone, and keeps nothing else out',
    async run(bench) {
      await bench.outside('ip', 'link', 'add', 'name', 'br-7', 'type', 'bridge');
      const desired = [bridge(7), vxlan(7), bridge(8), vxlan(8)];
      const report = await bench.converge(desired);
      const failure = report.failures.get(linkItem('br-7'));
      expect(failure?.code).toBe('net/kernel');
      expect(failure?.message).toContain('not ours');
      const text = await bench.print();
      expect(text).toContain('link br-7 type bridge mtu 1500 down stp 0 snooping 1\n');
      expect(text).toContain('alias branchbox:link:vx-8');
      expect(text).not.toContain('vx-7');
      await settle(bench, []);
      expect(lines(await bench.print())).toEqual([
        'link br-7 type bridge mtu 1500 down stp 0 snooping 1',
        'link lo mtu 65536 up',
      ]);
    },
  },
  {
    name: 'what was changed behind our back is put right',
    async run(bench) {
      const desired = [bridge(10), vxlan(10)];
      await settle(bench, desired);
      const before = await bench.print();
      await bench.outside('ip', 'link', 'set', 'dev', 'br-10', 'down');
      await bench.outside('ip', 'link', 'set', 'dev', 'br-10', 'type', 'bridge', 'mcast_snooping', '1');
      await bench.outside('ip', 'link', 'set', 'dev', 'vx-10', 'nomaster');
      expect(await bench.print()).not.toBe(before);
      expect((await bench.plan(desired)).steps.map((step) => step.op)).toEqual(['modify', 'modify']);
      await settle(bench, desired);
      expect(await bench.print()).toBe(before);
    },
  },
  {
    name: 'a link whose maker was killed before it could name it is ours all the same',
    async run(bench) {
      await bench.outside(
        'ip',
        'link',
        'add',
        'name',
        'br-9',
        'group',
        '98',
        'mtu',
        '1390',
        'type',
        'bridge',
      );
      expect((await bench.observe()).map((item) => item.id)).toContain(linkItem('br-9'));
      await settle(bench, [bridge(9)]);
      expect(await bench.print()).toContain('alias branchbox:link:br-9');
      await settle(bench, []);
      expect(await bench.print()).not.toContain('br-9');
    },
  },
  {
    name: 'a VXLAN device of another VNI is a new device',
    async run(bench) {
      await settle(bench, [bridge(10), vxlan(10)]);
      await settle(bench, [bridge(10), vxlan(11, 10)]);
      expect(await bench.print()).toContain('id 11 local');
    },
  },
];
