/** `branchbox fleet usb`: an address a family, and nothing that would be left over without a word. */
import { expect, it } from 'vitest';
import { planStaticAddresses } from '../../../src/cli/usbAddresses.ts';
import { BootstrapNetwork } from '../../../src/model/medium.ts';

const FOUR = '192.0.2.5/24';
const SIX = '2001:db8::5/64';
const plan = (addresses: string[], gateways: string[] = [], dns: string[] = []) =>
  planStaticAddresses({ addresses, gateways, dns });

it('each family has its own gateway and DNS servers, in any order', () => {
  const planned = plan([SIX, FOUR], ['192.0.2.1', 'fe80::1'], ['192.0.2.53', '2001:db8::53']);
  expect(planned.get(4)).toEqual({
    kind: 'static',
    address: FOUR,
    gateway: '192.0.2.1',
    dns: ['192.0.2.53'],
  });
  expect(planned.get(6)).toEqual({ kind: 'static', address: SIX, gateway: 'fe80::1', dns: ['2001:db8::53'] });
  expect([...plan([SIX], ['fe80::1']).keys()]).toEqual([6]);
  expect([...plan([]).keys()]).toEqual([]);
});

it.each([
  ['a gateway of the other family', [FOUR], ['192.0.2.1', 'fe80::1'], [], 'one of IPv6'],
  ['a DNS server of the other family', [SIX], ['fe80::1'], ['192.0.2.53'], 'one of IPv4'],
  ['a second address of a family', [SIX, '2001:db8::6/64'], ['fe80::1'], [], 'leave the others out'],
  ['a second gateway of a family', [SIX], ['fe80::1', 'fe80::2'], [], 'leave the others out'],
])('%s is said', (_, addresses, gateways, dns, mend) => {
  expect(() => plan(addresses, gateways, dns)).toThrow(
    expect.objectContaining({ code: 'cli/usage', mend: expect.stringContaining(mend) }),
  );
});

it.each([
  ['an address of the link', 'fe80::5/64', 'fe80::1', 'no address that others can send to'],
  ['a gateway of another network', SIX, '2001:db8:1::1', 'neither in the network'],
  ['itself as gateway', SIX, '2001:db8::5', "uplink's own address"],
])('a medium does not carry %s', (_, address, gateway, problem) => {
  const addressing6 = { kind: 'static', address, gateway, dns: [] };
  const network = { schema: 1, addressing: { kind: 'dhcp' }, addressing6 };
  const messages = BootstrapNetwork.safeParse(network).error?.issues.map(({ message }) => message) ?? [];
  expect(messages.join()).toContain(problem);
});
