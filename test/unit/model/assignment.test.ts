/** Rules for boxes that nobody named: what fits, and what a rule may not say. */
import { describe, expect, it } from 'vitest';
import {
  AssignmentRule,
  BoxClaims,
  ClaimCode,
  claimCodeOf,
  claimCodeTyped,
  globFits,
  matchRule,
  wantsClaims,
} from '../../../src/model/assignment.ts';

const rule = (name: string, match: object, more: object = {}) =>
  AssignmentRule.parse({ name, match, ...more });
const problemsOf = (value: unknown): string[] =>
  (AssignmentRule.safeParse(value).error?.issues ?? []).map(({ path }) => path.join('.'));

describe('a pattern', () => {
  it.each([
    ['SN-*', 'SN-1', true],
    ['SN-*', 'XSN-1', false],
    ['*-1', 'SN-1', true],
    ['S?-1', 'SN-1', true],
    ['S?-1', 'S-1', false],
    ['*a*b*', 'xxaxxbxx', true],
    ['*a*b', 'xxaxxbxx', false],
    ['', '', true],
    ['*', '', true],
    ['SN.1', 'SNX1', false],
  ])('%s on %s: %s', (pattern, text, fits) => {
    expect(globFits(pattern, text)).toBe(fits);
  });

  it('full of stars against a stranger’s long text ends', () => {
    expect(globFits(`${'*a'.repeat(60)}b`, 'a'.repeat(4096))).toBe(false);
  });
});

describe('a rule', () => {
  const claims = BoxClaims.parse({
    'mac-address': ['02:00:00:00:00:01', '02:aa:00:00:00:01'],
    uuid: '4c4c4544-0000-2010-8020-80c04f202020',
    hostname: 'Lobby.example',
  });
  const seen = { serial: 'SN-1', address: '198.51.100.7', claims };

  it('fits when all fit that it names; the first one counts', () => {
    const rules = [
      rule('other', { serial: 'XX-*' }),
      rule('both', { serial: 'SN-*', address: '203.0.113.0/24' }),
      rule('mac', { macAddress: '02:AA:*' }),
      rule('host', { hostname: 'lobby.*' }),
    ];
    expect(matchRule(rules, seen)?.name).toBe('mac');
    expect(matchRule(rules, { ...seen, address: '203.0.113.9' })?.name).toBe('both');
    expect(matchRule(rules, { ...seen, claims: undefined })).toBeUndefined();
    expect(matchRule([rule('uuid', { uuid: '4C4C4544-*' })], seen)?.name).toBe('uuid');
    expect(
      matchRule([rule('at', { address: '0.0.0.0/0' })], { ...seen, address: undefined }),
    ).toBeUndefined();
  });

  it('on a serial tells capitals apart: they are another box', () => {
    expect(matchRule([rule('one', { serial: 'sn-*' })], seen)).toBeUndefined();
  });

  it('that looks at claims is what they are asked for', () => {
    expect(wantsClaims([rule('one', { serial: 'SN-*' }), rule('at', { address: '::/0' })])).toBe(false);
    expect(wantsClaims([rule('one', { serial: 'SN-*', hostname: 'a*' })])).toBe(true);
  });

  it('names something', () => {
    expect(problemsOf({ name: 'none', match: {} })).toEqual(['match']);
  });

  it('approves by the serial alone, told well enough, and says where', () => {
    const approving = (match: object) =>
      problemsOf({ name: 'all', match, action: 'approve', place: { site: 'here' } });
    expect(approving({ serial: 'SN-1*' })).toEqual([]);
    expect(approving({ serial: '*' })).toEqual(['match.serial']);
    expect(approving({ serial: 'SN?*' })).toEqual(['match.serial']);
    expect(approving({ macAddress: '02:00:00:00:00:01' })).toEqual(['match.serial']);
    expect(approving({ address: '198.51.100.0/24' })).toEqual(['match.serial']);
    expect(problemsOf({ name: 'all', match: { serial: 'SN-1*' }, action: 'approve' })).toEqual(['place']);
  });
});

describe('a claim code', () => {
  it('is of the key, spelt in groups of what is not taken for one another', () => {
    const code = claimCodeOf('00'.repeat(32));
    expect(code).toBe('AAAA-AAAA-AAAA');
    expect(claimCodeOf(`${'f'.repeat(15)}0${'0'.repeat(48)}`)).toBe('9999-9999-9999');
    expect(ClaimCode.safeParse(claimCodeOf('0123456789abcdef'.repeat(4))).success).toBe(true);
    expect(claimCodeOf(`1${'0'.repeat(63)}`)).not.toBe(code);
  });

  it('is taken as people type it', () => {
    expect(claimCodeTyped(' abcd efgh-jklm')).toBe('ABCD-EFGH-JKLM');
    expect(ClaimCode.safeParse(claimCodeTyped('ABCD-EFGH')).success).toBe(false);
  });
});
