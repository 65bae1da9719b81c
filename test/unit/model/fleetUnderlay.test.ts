/** Addresses of uplinks in a fleet: what fits together in which family, and what is refused, at what was written. */
import { describe, expect, it } from 'vitest';
import { tryDecode } from '../../../src/model/decode.ts';
import { Fleet, FleetGateway } from '../../../src/model/fleet.ts';
import { addressingOf, endpointAddress } from '../../../src/model/fleetUnderlay.ts';
import { branch, hub, SMALL_FLEET } from '../controller/fixtures.ts';

const V4 = '198.51.100.20';
const V6 = '2001:db8::20';

function problems(gateways: readonly object[], tenantMtu = 1370): string[] {
  const fleet = { ...SMALL_FLEET.fleet, tenantMtu };
  const decoded = tryDecode(Fleet, { ...SMALL_FLEET, fleet, gateways });
  return decoded.ok ? [] : decoded.problems.map(({ path, message }) => `${path} ${message}`);
}
const hubWith = (...uplinks: readonly object[]) => ({
  ...hub('hub', '10.255.0.1'),
  uplinks: uplinks.map((more, i) => ({ name: `up${i + 1}`, port: `wan${i + 1}`, ...more })),
});
const branchWith = (...uplinks: readonly object[]) => ({
  ...branch('branch1', '10.255.0.11'),
  uplinks: uplinks.map((more, i) => ({ name: `up${i + 1}`, port: `wan${i + 1}`, ...more })),
});
const uplinkOf = (more: object) => {
  const [uplink] = FleetGateway.parse(branchWith(more)).uplinks;
  if (uplink === undefined) throw new Error('no uplink');
  return uplink;
};

describe('an uplink', () => {
  const static4 = { address: '192.0.2.5/28', gateway: '192.0.2.1' };
  const static6 = { address: '2001:db8:1::5/64', gateway: 'fe80::1' };

  it.each([
    [{}, { addressing: { kind: 'dhcp' } }],
    [{ ipv6: 'auto' }, { addressing: { kind: 'dhcp' }, addressing6: { kind: 'auto' } }],
    [
      { ipv4: 'none', ipv6: 'auto' },
      { addressing: { kind: 'none' }, addressing6: { kind: 'auto' } },
    ],
    [
      { static: static4, static6 },
      {
        addressing: { kind: 'static', ...static4, dns: [] },
        addressing6: { kind: 'static', ...static6, dns: [] },
      },
    ],
    [{ ipv4: 'dhcp', ipv6: 'none' }, { addressing: { kind: 'dhcp' } }],
    [{ ipv4: 'pppoe' }, { addressing: { kind: 'pppoe' } }],
    [{ modem: {} }, { addressing: { kind: 'modem' } }],
    [
      { modem: { apn: 'iot.example', user: 'u', password: 'p w', pin: '0042' } },
      { addressing: { kind: 'modem', apn: 'iot.example', user: 'u', password: 'p w', pin: '0042' } },
    ],
  ])('%j', (written, addressing) => {
    expect(addressingOf(uplinkOf(written))).toEqual(addressing);
  });

  it.each([
    [
      'no family',
      { ipv4: 'none' },
      'ipv4 is none, and there is no IPv6 either: say ipv6 = "auto", or static6',
    ],
    [
      'no family',
      { ipv4: 'none', ipv6: 'none' },
      'ipv4 is none, and there is no IPv6 either: say ipv6 = "auto", or static6',
    ],
    ['IPv6 over PPPoE', { ipv4: 'pppoe', ipv6: 'auto' }, 'ipv6 is not brought up over PPPoE: leave it out'],
    [
      'a modem and DHCP',
      { modem: {}, ipv4: 'dhcp' },
      'ipv4 is not for a modem: its network gives the address',
    ],
    [
      'a modem and IPv6',
      { modem: {}, ipv6: 'auto' },
      'ipv6 is not for a modem: its network gives the address',
    ],
    ['a modem and a VLAN', { modem: {}, vlan: 7 }, 'vlan is not for a modem: its network gives the address'],
    ['IPv4 twice', { ipv4: 'dhcp', static: static4 }, 'ipv4 is said twice: static has an IPv4 address'],
    ['IPv6 twice', { ipv6: 'auto', static6 }, 'ipv6 is said twice: static6 has an IPv6 address'],
    [
      'a gateway of another network',
      { static: { ...static4, gateway: '192.0.2.17' } },
      "static.gateway is no host of 192.0.2.0/28, the uplink's network",
    ],
    [
      'its broadcast address for its gateway',
      { static: { ...static4, gateway: '192.0.2.15' } },
      "static.gateway is no host of 192.0.2.0/28, the uplink's network",
    ],
    [
      'itself for its gateway',
      { static: { ...static4, gateway: '192.0.2.5' } },
      "static.gateway is the uplink's own address",
    ],
    [
      'the address of its network',
      { static: { ...static4, address: '192.0.2.0/28' } },
      'static.address is the network or broadcast address of 192.0.2.0/28',
    ],
    [
      'an address of the box itself',
      { static: { address: '127.0.0.5/8', gateway: '127.0.0.1' } },
      'static.address is no address that others can send to',
    ],
    [
      'an address of the tunnels',
      { static: { address: '10.254.7.5/24', gateway: '10.254.7.1' } },
      'static.address is inside 10.254.0.0/16, which is reached through the tunnels',
    ],
    [
      'a gateway of another network',
      { static6: { ...static6, gateway: '2001:db8:2::1' } },
      'static6.gateway is neither in the network of 2001:db8:1::5/64 nor of the link (fe80::/10)',
    ],
    [
      'itself for its gateway',
      { static6: { ...static6, gateway: '2001:DB8:1::05' } },
      "static6.gateway is the uplink's own address",
    ],
    [
      'an address of the link',
      { static6: { ...static6, address: 'fe80::5/64' } },
      'static6.address is no address that others can send to',
    ],
  ])('may not have %s', (_, written, problem) => {
    const all = problems([branchWith(written)]);
    expect(all).toEqual([`$.gateways[0].uplinks[0].${problem}`]);
  });

  it('has addresses of the family that is asked for', () => {
    const paths = (written: object): (string | undefined)[] =>
      problems([branchWith(written)]).map((problem) => problem.split(' ')[0]);
    const own = '$.gateways[0].uplinks[0]';
    expect(paths({ static: { ...static4, address: '2001:db8::5/64' } })).toEqual([`${own}.static.address`]);
    expect(paths({ static6: { ...static6, address: '192.0.2.5/28' } })).toEqual([`${own}.static6.address`]);
    expect(paths({ static6: { ...static6, gateway: '192.0.2.1' } })).toEqual([`${own}.static6.gateway`]);
  });
});

it('ranges of a fleet are of addresses that can be sent to', () => {
  const message = 'has addresses that nobody can send to: loopback, multicast or reserved ones';
  const said = (vtepRange: string, tunnelRange: string): string[] => {
    const fleet = { ...SMALL_FLEET.fleet, vtepRange, tunnelRange };
    const decoded = tryDecode(Fleet, { ...SMALL_FLEET, fleet, gateways: [] });
    return decoded.ok ? [] : decoded.problems.map(({ path, message: said }) => `${path} ${said}`);
  };
  for (const bad of ['127.0.0.0/8', '239.1.0.0/16', '0.0.0.0/8', '240.0.0.0/4', '64.0.0.0/2', '128.0.0.0/1'])
    expect(said(bad, '10.254.0.0/16'), bad).toEqual([`$.fleet.vtepRange ${message}`]);
  expect(said('10.255.0.0/16', '224.0.0.0/16')).toEqual([`$.fleet.tunnelRange ${message}`]);
  expect(said('100.64.0.0/10', '192.168.0.0/16')).toEqual([]);
  // One that is no network at all is told of once.
  expect(said('10.255.0.0/33', '10.254.0.0/16')).toHaveLength(1);
});

it('a hub is reached at an address that is not of the tunnels, nor of nobody', () => {
  const at = (publicAddress: string) => problems([hubWith({ publicAddress })]);
  for (const good of ['198.51.100.20', '10.1.2.3']) expect(at(good), good).toEqual([]);
  const path = '$.gateways[0].uplinks[0].publicAddress';
  const at6 = (publicAddress6: string) => problems([hubWith({ ipv6: 'auto', publicAddress6 })]);
  for (const good of ['2001:db8::1', '64:ff9b::1', '100::1']) expect(at6(good), good).toEqual([]);
  for (const bad of ['::', '::1', '0:0::0:1', 'ff02::1', 'fe80::1'])
    expect(at6(bad), bad).toEqual([`${path}6 is no address that branches can send to`]);
  for (const bad of ['0.0.0.0', '127.0.0.1', '224.0.0.5', '255.255.255.255'])
    expect(at(bad), bad).toEqual([`${path} is no address that branches can send to`]);
  for (const [bad, range] of [
    ['10.255.0.7', '10.255.0.0/16'],
    ['10.254.0.1', '10.254.0.0/16'],
  ] as const)
    expect(at(bad)).toEqual([`${path} is inside ${range}, which is reached through the tunnels`]);
});

it('a hub says where it is reached, in a family that the uplink has', () => {
  const own = '$.gateways[0].uplinks[0]';
  const needs = 'a hub needs it: branches must know where to send';
  expect(problems([hubWith({})])).toEqual([`${own}.publicAddress ${needs}`]);
  expect(problems([hubWith({ ipv4: 'none', ipv6: 'auto' })])).toEqual([`${own}.publicAddress6 ${needs}`]);
  expect(problems([hubWith({ publicAddress: V6 })])).toEqual([
    `${own}.publicAddress is no IPv4 address: one of IPv6 is told as publicAddress6`,
  ]);
  expect(problems([hubWith({ publicAddress: V4, publicAddress6: V6 })])).toEqual([
    `${own}.publicAddress6 the uplink has no IPv6: say ipv6 = "auto", or static6`,
  ]);
  expect(problems([hubWith({ ipv4: 'none', ipv6: 'auto', publicAddress: V4, publicAddress6: V6 })])).toEqual([
    `${own}.publicAddress the uplink has no IPv4 (ipv4 = "none")`,
  ]);
  expect(problems([hubWith({ ipv6: 'auto', publicAddress: V4, publicAddress6: V6 })])).toEqual([]);
});

describe('a path', () => {
  const four = { ipv4: 'dhcp' };
  const both = { ipv6: 'auto' };
  const six = { ipv4: 'none', ipv6: 'auto' };
  const pub4 = { publicAddress: V4 };
  const pub6 = { publicAddress6: V6 };

  it.each([
    ['IPv4 where both ends have both', both, { ...pub4, ...pub6 }, V4],
    ['IPv4 where the branch has no other', four, { ...pub4, ...pub6 }, V4],
    ['IPv6 where the branch has no other', six, { ...pub4, ...pub6 }, V6],
    ['IPv6 where the hub has no other', both, pub6, V6],
    ['nothing where nothing is common', six, pub4, undefined],
    ['nothing where nothing is common', four, pub6, undefined],
  ])('takes %s', (_, own, theirs, address) => {
    expect(endpointAddress(uplinkOf(own), theirs)).toBe(address);
  });

  it('must lead from a branch to every hub', () => {
    expect(problems([hubWith(pub4), branchWith(six)])).toEqual([
      '$.gateways[1].uplinks none has an address family in common with hub hub, so no path leads there: give the hub a publicAddress6 or the branch IPv4',
    ]);
    expect(problems([hubWith(pub4), branchWith(six, four)])).toEqual([]);
    expect(problems([hubWith(pub4, { ...six, ...pub6 }), branchWith(six)])).toEqual([]);
  });

  // 1500 or 1492 of the line, less 60 or 80 of WireGuard, less 50 of VXLAN.
  it.each<[string, number, () => readonly object[], string]>([
    [
      'over IPv6',
      1370,
      () => [hubWith({ ...both, ...pub4, ...pub6 }), branchWith(six)],
      'branch1.up1~hub.up1: at most 1370 over IPv6, since $.gateways[1].uplinks[0] (Ethernet) carries 1500',
    ],
    [
      'over IPv4',
      1390,
      () => [hubWith({ ...both, ...pub4, ...pub6 }), branchWith(both)],
      'branch1.up1~hub.up1: at most 1390 over IPv4, since $.gateways[1].uplinks[0] (Ethernet) carries 1500',
    ],
    [
      'whose branch is on PPPoE',
      1382,
      () => [hubWith(pub4), branchWith({}, { ipv4: 'pppoe' })],
      'branch1.up2~hub.up1: at most 1382 over IPv4, since $.gateways[1].uplinks[1] (PPPoE) carries 1492',
    ],
    [
      'whose branch is on a modem',
      1310,
      () => [hubWith(pub4), branchWith({}, { modem: {} })],
      'branch1.up2~hub.up1: at most 1310 over IPv4, since $.gateways[1].uplinks[1] (a modem) carries 1420',
    ],
    [
      'whose branch is on PPPoE on a VLAN',
      1382,
      () => [hubWith(pub4), branchWith({ ipv4: 'pppoe', vlan: 7 })],
      'branch1.up1~hub.up1: at most 1382 over IPv4, since $.gateways[1].uplinks[0] (PPPoE) carries 1492',
    ],
    [
      'whose branch is on a VLAN',
      1390,
      () => [hubWith(pub4), branchWith({ vlan: 7 })],
      'branch1.up1~hub.up1: at most 1390 over IPv4, since $.gateways[1].uplinks[0] (Ethernet) carries 1500',
    ],
    [
      'whose hub is on PPPoE',
      1382,
      () => [hubWith({ ...pub4, ipv4: 'pppoe' }), branchWith({})],
      'branch1.up1~hub.up1: at most 1382 over IPv4, since $.gateways[0].uplinks[0] (PPPoE) carries 1492',
    ],
    [
      'that is the narrowest of all',
      1370,
      () => [hubWith({ ...both, ...pub4, ...pub6 }), branchWith({ ipv4: 'pppoe' }, six)],
      'branch1.up2~hub.up1: at most 1370 over IPv6, since $.gateways[1].uplinks[1] (Ethernet) carries 1500',
    ],
  ])('%s has to carry what the fleet promises its tenants: at most %i', (_which, most, gateways, why) => {
    expect(problems(gateways(), most)).toEqual([]);
    expect(problems(gateways(), most + 1)).toEqual([`$.fleet.tenantMtu does not fit path ${why}`]);
  });

  it('that no branch takes narrows nothing', () => {
    const lonely = [hubWith(pub4, { ...pub4, publicAddress: '198.51.100.21', ipv4: 'pppoe' })];
    expect(problems(lonely, 9000)).toEqual([]);
  });
});
