/**
 * Owns scenarios of nft tables. They run on the fake box and on a real kernel (scenarios.ts).
 */
import { expect } from 'vitest';
import { itemId } from '../../../src/model/ids.ts';
import { nftChain, nftElement, nftSet } from '../../../src/net/itemIds.ts';
import { lines, settle, type Scenario } from './bench.ts';

const chain = (rules: readonly string[]) =>
  nftChain(
    {
      family: 'inet',
      name: 'input',
      hook: { type: 'filter', hook: 'input', priority: 0, policy: 'accept' },
      rules,
    },
    [itemId('nft-set', 'inet', 'callers'), itemId('nft-set', 'inet', 'ports')],
  );
const sets = [
  nftSet({ family: 'inet', name: 'callers', type: 'ipv4_addr . ifname', flags: ['interval'] }),
  nftSet({ family: 'inet', name: 'ports', type: 'ifname', mapTo: 'verdict' }),
];
const elements = [
  nftElement({ family: 'inet', set: 'callers', key: '10.0.0.0/8 . wan1' }, [
    itemId('nft-set', 'inet', 'callers'),
  ]),
  nftElement({ family: 'inet', set: 'ports', key: 'app-x1', value: 'jump tenant-red' }, [
    itemId('nft-set', 'inet', 'ports'),
    itemId('nft-chain', 'inet', 'tenant-red'),
  ]),
];
const RULES = [
  'iifname "wan1" udp dport 4789 counter drop',
  'ip saddr . iifname @callers accept',
  'iifname vmap @ports',
];
const policy = [
  ...sets,
  nftChain({ family: 'inet', name: 'tenant-red', rules: ['counter accept'] }),
  ...elements,
  chain(RULES),
];

export const NFT_SCENARIOS: readonly Scenario[] = [
  {
    name: 'nft: chains, sets and elements; an edit is undone; a bad rule keeps no other out',
    async run(bench) {
      await bench.outside('nft', 'add', 'table', 'inet', 'somebody');
      const before = await bench.print();
      await settle(bench, policy);
      expect(lines(await bench.print()).filter((line) => line.startsWith('nft'))).toEqual([
        'nft chain inet branchbox input input 0 accept',
        'nft chain inet branchbox tenant-red',
        'nft map inet branchbox ports',
        ...RULES.map(() => 'nft rule inet branchbox input'),
        'nft rule inet branchbox tenant-red',
        'nft set inet branchbox callers',
      ]);
      const found = await bench.observe();
      expect(found.filter((item) => item.kind === 'nft-element').map((item) => item.spec)).toEqual(
        elements.map((item) => item.spec),
      );

      await bench.outside('nft', 'add', 'rule', 'inet', 'branchbox', 'input', 'accept');
      const plan = await bench.plan(policy);
      expect(plan.steps.map((step) => step.op)).toEqual(['modify']);
      await settle(bench, policy);
      expect(
        lines(await bench.print()).filter((line) => line === 'nft rule inet branchbox input'),
      ).toHaveLength(3);

      const broken = nftChain({ family: 'inet', name: 'broken', rules: ['what is this'] });
      const lost = nftChain({ family: 'inet', name: 'lost', rules: ['jump nowhere'] });
      const added = nftChain({ family: 'inet', name: 'added', rules: ['drop'] });
      const report = await bench.converge([...policy, broken, lost, added]);
      expect([...report.failures.keys()].toSorted()).toEqual([broken.id, lost.id]);
      expect(await bench.print()).toContain('nft chain inet branchbox added');

      await settle(bench, []);
      expect(await bench.print()).toBe(before);
    },
  },
  {
    name: 'nft: a value of a map changes in place, a hook by a new chain',
    async run(bench) {
      await settle(bench, policy);
      const dropped = nftElement({ family: 'inet', set: 'ports', key: 'app-x1', value: 'drop' }, [
        itemId('nft-set', 'inet', 'ports'),
      ]);
      const later = chain(RULES);
      const moved = nftChain(
        { ...later.spec, hook: { type: 'filter', hook: 'input', priority: 10, policy: 'drop' } },
        later.needs,
      );
      const rest = policy.filter((item) => item.id !== dropped.id && item.id !== moved.id);
      await settle(bench, [...rest, dropped, moved]);
      expect(await bench.print()).toContain('nft chain inet branchbox input input 10 drop');
    },
  },
  {
    name: 'nft: the bridge family, keys of several parts, raw bits of a header',
    async run(bench) {
      const guard = itemId('nft-set', 'bridge', 'sources');
      const vnis = itemId('nft-set', 'inet', 'vnis');
      const desired = [
        nftSet({ family: 'bridge', name: 'sources', type: 'ifname . ether_addr . ipv4_addr' }),
        nftElement({ family: 'bridge', set: 'sources', key: 'app-red . 02:00:00:00:00:01 . 10.10.0.100' }, [
          guard,
        ]),
        nftChain(
          {
            family: 'bridge',
            name: 'guard',
            hook: { type: 'filter', hook: 'prerouting', priority: -300, policy: 'accept' },
            rules: [
              'iifname "app-*" ether type ip iifname . ether saddr . ip saddr @sources accept',
              'counter drop',
            ],
          },
          [guard],
        ),
        nftSet({ family: 'inet', name: 'vnis', type: 'ipv4_addr . mark' }),
        nftElement({ family: 'inet', set: 'vnis', key: '10.255.0.11 . 2562560' }, [vnis]),
        nftChain(
          {
            family: 'inet',
            name: 'senders',
            rules: [
              'meta mark set @th,96,32 & 0xffffff00',
              'ip saddr . meta mark @vnis meta mark set 0 accept',
            ],
          },
          [vnis],
        ),
      ];
      await settle(bench, desired);
      const chains = (await bench.observe()).filter((item) => item.kind === 'nft-chain');
      expect(
        chains.map((item) => [item.id, item.needs]).toSorted(([a], [b]) => (String(a) < String(b) ? -1 : 1)),
      ).toEqual([
        ['nft-chain:bridge/guard', [guard]],
        ['nft-chain:inet/senders', [vnis]],
      ]);
      await settle(bench, []);
      expect(lines(await bench.print())).toEqual(['link lo mtu 65536 up']);
    },
  },
];
