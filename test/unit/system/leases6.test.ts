/** What a hostile network may write into a lease of IPv6, and what is left of it. */
import { expect, it } from 'vitest';
import { parseLease6 } from '../../../src/system/leases6.ts';

const parse = (...lines: readonly string[]) => parseLease6('wan1', lines.join('\n'));
const ADDRESS = 'nd1_addr1=2001:db8::5/64';

it('prefers the address that DHCPv6 assigned', () => {
  expect(parse(ADDRESS, 'new_dhcp6_ia_na1_ia_addr1=2001:db8::100')?.address).toBe('2001:db8::100/128');
  expect(parse(ADDRESS)?.address).toBe('2001:db8::5/64');
});

it.each([
  ['no address', 'nd1_rdnss1_servers=2001:db8::1'],
  ['one of the link alone', 'nd1_addr1=fe80::1/64'],
  ['one of many', 'nd1_addr1=ff02::1/64'],
  ['this host', 'nd1_addr1=::1/128'],
  ['one of IPv4', 'nd1_addr1=192.0.2.1/24'],
  ['words', 'nd1_addr1=$(reboot)/64'],
])('is none with %s', (_, line) => {
  expect(parse(line)).toBeUndefined();
});

it('drops what does not fit, and keeps to its caps', () => {
  const lease = parse(
    ADDRESS,
    `nd1_rdnss1_servers=ff02::fb fe80::2%wan2 192.0.2.1 x ${Array.from({ length: 20 }, (_, i) => `2001:db8::${i + 1}`).join(' ')}`,
    `new_dhcp6_sztp_redirect=${'x'.repeat(3000)} ${Array.from({ length: 20 }, (_, i) => `https://h${i}`).join(' ')}`,
  );
  expect(lease?.dns).toHaveLength(8);
  expect(lease?.dns[0]).toBe('2001:db8::1');
  expect(lease?.bootstrapServers).toHaveLength(16);
});

it('takes a DNS server that is known on its link alone, with the interface beside it or without', () => {
  const servers = ['fe80::1%wan1', 'fe80::1', 'fe80::2', '2001:db8::1'].join(' ');
  expect(parse(ADDRESS, `nd1_rdnss1_servers=${servers}`)?.dns).toEqual(['fe80::1', 'fe80::2', '2001:db8::1']);
});

it('is of no interface with a name that is a path', () => {
  expect(parseLease6('../x', ADDRESS)).toBeUndefined();
});

it('takes the length of an assigned address from a prefix that is said to be on the link', () => {
  const assigned = 'new_dhcp6_ia_na1_ia_addr1=2001:db8::100';
  const prefix = (flags: string, at = '2001:db8::') => [
    `nd1_prefix_information1_prefix=${at}`,
    'nd1_prefix_information1_length=64',
    `nd1_prefix_information1_flags=${flags}`,
  ];
  expect(parse(assigned, ...prefix('LA'))?.address).toBe('2001:db8::100/64');
  expect(parse(assigned, ...prefix('A'))?.address).toBe('2001:db8::100/128');
  expect(parse(assigned, ...prefix('L', '2001:db8:1::'))?.address).toBe('2001:db8::100/128');
});

it('takes for its gateway the first router that is one, and none that is elsewhere', () => {
  const router = (number: number, address: string, lifetime: string) => [
    `nd${number}_from=${address}`,
    `nd${number}_lifetime=${lifetime}`,
  ];
  const second = router(2, 'fe80::2', '1800');
  expect(parse(ADDRESS, ...router(1, 'fe80::1', '1800'), ...second)?.gateway).toBe('fe80::1');
  expect(parse(ADDRESS, ...router(1, 'fe80::1', '0'), ...second)?.gateway).toBe('fe80::2');
  expect(parse(ADDRESS, ...router(1, '2001:db8::1', '1800'))?.gateway).toBeUndefined();
  expect(parse(ADDRESS)?.gateway).toBeUndefined();
});
