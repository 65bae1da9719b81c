/** What `nft` prints, and what it is told: captured from nft 1.1.3 on kernel 6.18. */
import { describe, expect, test } from 'vitest';
import { referencesOf, renderChain } from '../../../src/net/nftChain.ts';
import { parseNft } from '../../../src/net/nftDump.ts';
import { observedElement, renderElement } from '../../../src/net/nftElement.ts';
import { renderSet } from '../../../src/net/nftSet.ts';
import { parseNftComplaints } from '../../../src/net/nftTransaction.ts';

describe('nft', () => {
  test('a chain is written whole', () => {
    const spec = {
      family: 'netdev',
      name: 'leak',
      hook: { type: 'filter', hook: 'egress', priority: 0, policy: 'accept', device: 'wan1' },
      rules: ['udp dport 4789 drop', 'ip saddr @known jump other'],
    } as const;
    expect(renderChain(spec)).toEqual([
      'add table netdev branchbox',
      'add chain netdev branchbox leak { type filter hook egress device "wan1" priority 0; policy accept; }',
      'flush chain netdev branchbox leak',
      'add rule netdev branchbox leak udp dport 4789 drop',
      'add rule netdev branchbox leak ip saddr @known jump other',
    ]);
    expect(referencesOf(spec)).toEqual(['nft-set:netdev/known', 'nft-chain:netdev/other']);
    expect(() => renderChain({ ...spec, rules: ['accept\nflush ruleset'] })).toThrow('nft text');
    expect(() => renderChain({ ...spec, rules: ['accept; flush ruleset'] })).toThrow('nft text');
  });

  test('sets and elements', () => {
    const set = { family: 'inet', name: 's', type: 'ipv4_addr . ifname', flags: ['interval'] } as const;
    expect(renderSet(set)[1]).toBe('add set inet branchbox s { type ipv4_addr . ifname; flags interval; }');
    expect(
      renderElement('add', { family: 'inet', set: 's', key: '10.0.0.0/8 . app-x1', value: 'jump red' }),
    ).toBe('add element inet branchbox s { 10.0.0.0/8 . "app-x1" : jump red }');
  });

  test('our tables alone; a digest that any edit changes', () => {
    const dump = (port: number, table = 'branchbox'): string =>
      `{"nftables":[{"metainfo":{"version":"1.1.3"}},{"table":{"family":"inet","name":"branchbox","handle":1}},` +
      `{"chain":{"family":"inet","table":"${table}","name":"input","handle":3,"type":"filter","hook":"input","prio":0,"policy":"accept"}},` +
      `{"rule":{"family":"inet","table":"${table}","chain":"input","handle":5,"expr":[{"match":{"op":"==","left":{"payload":{"protocol":"udp","field":"dport"}},"right":${port}}},{"drop":null}]}}]}`;
    const [a, b] = [parseNft(dump(1)).chains[0], parseNft(dump(2)).chains[0]];
    expect(a?.rules).toBe(1);
    expect(a?.digest).not.toBe(b?.digest);
    expect(parseNft(dump(1).replace('"handle":5', '"handle":9')).chains[0]?.digest).toBe(a?.digest);
    expect(parseNft(dump(1, 'docker')).chains).toEqual([]);
  });

  test('elements as nft prints them', () => {
    const set = { family: 'inet', table: 'branchbox', name: 's', type: 'ipv4_addr' } as const;
    const map = { ...set, map: 'verdict' };
    const mark = { ...set, map: 'mark' };
    const spec = (from: typeof set, element: unknown) => {
      const { key, value } = observedElement(from, element).spec;
      return value === undefined ? key : `${key} : ${value}`;
    };
    expect(spec(set, { concat: [80, 'tcp', 257] })).toBe('80 . tcp . 257');
    expect(spec(set, { range: ['11.0.0.1', '11.0.0.5'] })).toBe('11.0.0.1-11.0.0.5');
    expect(
      spec(set, { elem: { val: { prefix: { addr: '10.0.0.0', len: 8 } }, timeout: 3600, expires: 3599 } }),
    ).toBe('10.0.0.0/8');
    expect(spec(map, [{ concat: ['10.0.0.1', 'app-x'] }, { jump: { target: 'fw' } }])).toBe(
      '10.0.0.1 . app-x : jump fw',
    );
    expect(spec(map, ['wan1', { drop: null }])).toBe('wan1 : drop');
    expect(spec(mark, ['app-x', 257])).toBe('app-x : 257');
  });

  test('complaints name their line', () => {
    const stderr =
      '/dev/stdin:2:25-28: Error: Could not process rule: No such file or directory\nadd rule inet branchbox nope drop\n' +
      '                        ^^^^\n/dev/stdin:4:35-35: Error: syntax error, unexpected newline\n';
    expect(parseNftComplaints(stderr)).toEqual([
      { line: 2, words: 'Could not process rule: No such file or directory' },
      { line: 4, words: 'syntax error, unexpected newline' },
    ]);
  });
});
