/** Prefixes of both families, and the one way an IPv6 address is written: held against the platform's own. */
import { isIP } from 'node:net';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  canonicalAddress,
  canonicalCidr,
  ipv6NetworkOf,
  isLinkLocal,
  plainAddress,
  prefixHolds,
} from '../../../src/model/prefixes.ts';

describe('a prefix', () => {
  it.each([
    ['198.51.100.0/24', '198.51.100.7', true],
    ['198.51.100.0/24', '198.51.101.7', false],
    ['198.51.100.0/24', '::ffff:198.51.100.7', true],
    ['0.0.0.0/0', '198.51.100.7', true],
    ['0.0.0.0/0', '2001:db8::1', false],
    ['2001:db8::/32', '2001:db8:1::7', true],
    ['2001:db8::/32', '2001:db9::7', false],
    ['::/0', '2001:db8::1', true],
    ['fe80::1:0/112', 'fe80::1:ffff', true],
    ['10.0.0.0/8', 'nonsense', false],
  ])('%s on %s: %s', (prefix, address, holds) => {
    expect(prefixHolds(prefix, address)).toBe(holds);
  });

  it('knows an IPv4 address on an IPv6 socket', () => {
    expect(plainAddress('::ffff:198.51.100.7')).toBe('198.51.100.7');
    expect(plainAddress('2001:db8::7')).toBe('2001:db8::7');
  });
});

describe('an IPv6 address', () => {
  it.each([
    ['2001:DB8:0:0:0:0:0:7', '2001:db8::7'],
    ['2001:db8:0:1:0:0:0:1', '2001:db8:0:1::1'],
    ['2001:db8:0:0:1:0:0:1', '2001:db8::1:0:0:1'],
    ['2001:db8:0:1:1:1:1:1', '2001:db8:0:1:1:1:1:1'],
    ['0:0:0:0:0:0:0:0', '::'],
    ['::0001', '::1'],
    ['1::', '1::'],
    ['fe80::0A', 'fe80::a'],
    ['198.51.100.7', '198.51.100.7'],
    ['nonsense', 'nonsense'],
  ])('%s is written %s', (written, canonical) => {
    expect(canonicalAddress(written)).toBe(canonical);
  });

  it('is written as the platform does, whichever it is', () => {
    const group = fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 0xffff }));
    fc.assert(
      fc.property(fc.array(group, { minLength: 8, maxLength: 8 }), (groups) => {
        // What is written with dots is IPv4 in disguise, and stays as it is.
        fc.pre(groups.slice(0, 5).some((one) => one !== 0));
        const written = groups.map((one) => one.toString(16).padStart(4, '0').toUpperCase()).join(':');
        expect(isIP(canonicalAddress(written))).toBe(6);
        expect(canonicalAddress(written)).toBe(new URL(`http://[${written}]`).hostname.slice(1, -1));
      }),
    );
  });

  it('has a network, and a length of its own', () => {
    expect(ipv6NetworkOf('2001:db8:1:2:3::7/64')).toBe('2001:db8:1:2::/64');
    expect(ipv6NetworkOf('2001:db8::ff/121')).toBe('2001:db8::80/121');
    expect(ipv6NetworkOf('2001:db8::7/128')).toBe('2001:db8::7/128');
    expect(ipv6NetworkOf('2001:db8::7/0')).toBe('::/0');
    expect(canonicalCidr('2001:DB8::07/64')).toBe('2001:db8::7/64');
  });

  it('counts on its link alone below fe80::/10', () => {
    for (const on of ['fe80::1', 'febf::1']) expect(isLinkLocal(on), on).toBe(true);
    for (const off of ['fec0::1', '2001:db8::1', '::1', '192.0.2.1'])
      expect(isLinkLocal(off), off).toBe(false);
  });
});
