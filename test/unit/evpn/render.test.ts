/** Owns the rules of the overlay's items that a golden case does not say out loud. */
import { describe, expect, it } from 'vitest';
import { renderEvpn } from '../../../src/evpn/render.ts';
import { factsOf, specOf } from '../../lab/wan/fleet.ts';

const KEYS = {
  hub: 'AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=',
  branch1: 'BBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBA=',
  branch2: 'CCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCA=',
};
const facts = factsOf(KEYS.branch1);
const frr = (gateway: 'hub' | 'branch1', options = {}) =>
  renderEvpn(specOf(gateway, KEYS, options), facts)
    .flatMap((item) => (item.kind === 'frr' ? [[...item.spec.context, item.spec.line].join(' | ')] : []))
    .sort();

describe('renderEvpn', () => {
  it('permits a branch one VNI more by one line, and moves no other', () => {
    const one = new Set(frr('hub', { permitted: { branch2: [10_010] } }));
    const two = frr('hub', { permitted: { branch2: [10_010, 10_020] } });
    expect(two.filter((line) => !one.has(line))).toEqual([
      'bgp extcommunity-list standard vnis-branch2 seq 10020 permit rt 64512:10020',
    ]);
    expect(two.length).toBe(one.size + 1);
  });

  it('says to a hub without segments that it has none', () => {
    expect(frr('hub').some((line) => line.endsWith('advertise-all-vni'))).toBe(false);
    expect(
      frr('hub', { segments: { hub: ['red'] } }).some((line) => line.endsWith('advertise-all-vni')),
    ).toBe(true);
  });

  it('puts no inbound policy on a branch: it trusts its hub', () => {
    expect(frr('branch1').filter((line) => line.includes('route-map'))).toEqual([]);
  });

  it('takes the low two bytes of a four-byte AS number for route targets, as FRR does', () => {
    const spec = specOf('hub', KEYS);
    const wide = { ...spec, fleet: { ...spec.fleet, asn: 4_200_000_001 } };
    const lines = renderEvpn(wide, facts).flatMap((item) => (item.kind === 'frr' ? [item.spec.line] : []));
    expect(lines).toContain('bgp extcommunity-list standard vnis-branch1 seq 10010 permit rt 59905:10010');
  });

  it('blocks segments where the kernel lacks VXLAN, and a port that is not there alone', () => {
    const items = renderEvpn(specOf('branch1', KEYS), facts);
    expect(items.find((item) => item.id === 'link:vx-10010')?.needs).toContain('external:kernel/vxlan');
    expect(items.find((item) => item.id === 'link:br-10010')?.needs).not.toContain('external:kernel/vxlan');
    expect(items.find((item) => item.id === 'link:lan1')?.needs).toEqual([
      'external:port/lan1',
      'link:br-10010',
    ]);
  });
});
